// Files of weights that lie: refused at once, in memory that is in proportion to the file. Read in processes of their own.
import { execFile } from 'node:child_process'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'
import { loadPth, ops, saveSafetensors, tensor } from 'torch-learner'
import { dictPickle, int, keysPickle, LEGACY, numbers, pickled, tensorPickle, text } from './helpers/pth.js'
import { readWeights } from './helpers/weight-reader.js'
import { zip } from './helpers/zip.js'

const folder = await mkdtemp(join(tmpdir(), 'torch-learner-hostile-'))
const fixture = (name: string) => fileURLToPath(new URL(`fixtures/pytorch_${name}.pth`, import.meta.url))

let files = 0
async function put(bytes: Buffer, extension = 'pth'): Promise<string> {
  const file = join(folder, `${files++}.${extension}`)
  await writeFile(file, bytes)
  return file
}

const two = tensorPickle({ key: '0', elements: 2, size: [2], stride: [1] })
const good = dictPickle([['x', two]])
const eight = Buffer.alloc(8)
type Files = Record<string, string | Buffer>
const parts = (pickle = good, more: Files = {}): Files => ({
  'x/data.pkl': pickle,
  'x/data/0': eight,
  'x/version': '3\n',
  ...more,
})
/** A zip whose directory has other numbers at an offset of the entry of `name`. */
function lying(name: string, changes: Record<number, number>): Buffer {
  const bytes = zip(parts())
  const entry = bytes.lastIndexOf(name) - 46
  for (const [at, value] of Object.entries(changes)) bytes.writeUInt32LE(value, entry + Number(at))
  return bytes
}
const bytesOf = (value: bigint) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value))
  return bytes
}
/** Keys of a dict whose hashes all fall on one place of the table that libtorch keeps dicts in, however large it grows. */
const colliding = Array.from({ length: 48 }, (_, j) => {
  const inverse = 0xf1de83e19937733dn // of the number that its hashes are multiplied by
  return pickled([0x8a, 8], bytesOf(BigInt(j + 1) * inverse), [0x88])
})
const legacy = (pickle: Buffer, keys = keysPickle(['0']), ...rest: Buffer[]) =>
  Buffer.concat([LEGACY, pickle, keys, ...rest])
const bool = (size: number, stride: number) =>
  dictPickle([['x', tensorPickle({ key: '0', elements: 8, type: 'Bool', size: [size], stride: [stride] })]])
const floats = (size: number, stride: number) =>
  dictPickle([['x', tensorPickle({ key: '0', elements: 2, size: [size, size], stride: [stride, stride] })]])
const marked = (mark: string) => {
  // the seventh argument of a tensor: marks such as {'conj': True}
  const bytes = Buffer.from(two)
  return dictPickle([['x', pickled(bytes.subarray(0, -2), '}(', text(mark), [0x88], 'utR')]])
}

const refused: [string, RegExp, () => Promise<string>][] = [
  [
    'a version of 4 GB',
    /is larger than the file|has two sizes|damaged/,
    () => put(lying('x/version', { 24: 2 ** 32 - 2 })),
  ],
  [
    'a version of 4 GB twice',
    /larger than the file/,
    () => put(lying('x/version', { 20: 2 ** 32 - 2, 24: 2 ** 32 - 2 })),
  ],
  [
    'a compressed version',
    /'x\/version' is compressed .* load it with PyTorch and save it again/,
    () => put(zip(parts(good, { 'x/version': '3'.repeat(1e8) }), ['x/version'])),
  ],
  ['a compressed pickle', /'x\/data.pkl' is compressed/, () => put(zip(parts(Buffer.alloc(1e8, ']')), ['x/data.pkl']))],
  ['records over each other', /lies over another/, () => put(lying('x/version', { 42: 0 }))],
  ['a record beyond the file', /cut off|not where/, () => put(lying('x/version', { 42: 2 ** 31 }))],
  ['a record that is elsewhere', /not where it should be|lies over/, () => put(lying('x/data/0', { 42: 1 }))],
  [
    'a pickle with keys of one hash',
    /holds other things|no state dict/,
    () => put(zip(parts(pickled([0x80, 2], '}(', ...colliding, 'u.')))),
  ],
  [
    'a version of keys of one hash, legacy',
    /holds other things/,
    () => put(legacy(pickled([0x80, 2], '}(', ...colliding, 'u.'), keysPickle([]))),
  ],
  [
    'millions of dicts',
    /too many values/,
    () => put(zip(parts(pickled([0x80, 2], '('), { 'x/data.pkl': pickled([0x80, 2], '(', '}'.repeat(1e7), 't.') }))),
  ],
  ['millions of marks', /too many values/, () => put(zip(parts(pickled([0x80, 2], '('.repeat(1e7)))))],
  [
    'millions of copies',
    /too many values|no dict/,
    () => put(zip(parts(pickled([0x80, 2], 'Nq\0', 'h\0'.repeat(7e6), '.')))),
  ],
  ['a truth value that is repeated', /larger than the file/, () => put(zip(parts(bool(2 ** 31 - 1, 0))))],
  [
    'truth values that are none',
    /truth values other than 0 and 1/,
    () => put(zip(parts(bool(8, 1), { 'x/data/0': Buffer.alloc(8, 2) }))),
  ],
  ['a number that is repeated', /larger than the file/, () => put(zip(parts(floats(2 ** 31 - 1, 0))))],
  [
    'a number that is repeated, legacy',
    /larger than the file/,
    () => put(legacy(floats(2 ** 31 - 1, 0), undefined, numbers(2, eight))),
  ],
  [
    'a name twice',
    /'x' twice/,
    () =>
      put(
        zip(
          parts(
            dictPickle([
              ['x', two],
              ['x', two],
            ]),
          ),
        ),
      ),
  ],
  ['numbers to be conjugated', /marks that are not known/, () => put(zip(parts(marked('conj'))))],
  [
    'a name with line breaks, of 100,000 characters',
    /^[^\n]{0,400}$/,
    () =>
      put(
        zip(
          parts(
            dictPickle([[`a\nb${'c'.repeat(1e5)}`, tensorPickle({ key: '0', elements: 2, size: [3], stride: [1] })]]),
          ),
        ),
      ),
  ],
  [
    'a storage in two sizes',
    /another size than told/,
    () => put(zip(parts(dictPickle([['x', tensorPickle({ key: '0', elements: 1, size: [1], stride: [1] })]])))),
  ],
  ['a header of lists in lists', /is not described/, () => header(`{"x":${'['.repeat(8e6)}${']'.repeat(8e6)}}`)],
  ['a header of objects in objects', /not known here/, () => header(`{"x":${'{"a":'.repeat(2e6)}1${'}'.repeat(2e6)}}`)],
  [
    'a header of a million names',
    /is not described/,
    () => header(`{${Array.from({ length: 1_300_000 }, (_, i) => `"${i.toString(36)}":0`).join(',')}}`),
  ],
  [
    'a header of one name',
    /a name of more than 65536 characters$/,
    () => header(`{"${'x'.repeat(16e6)}":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`),
  ],
  [
    'a header of a million sizes',
    /no proper shape/,
    () => header(`{"x":{"dtype":"F32","shape":[${'1,'.repeat(7e6)}1],"data_offsets":[0,4]}}`),
  ],
]

function header(json: string): Promise<string> {
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(BigInt(json.length))
  return put(Buffer.concat([size, Buffer.from(json)]), 'safetensors')
}

test.serial('files that lie are refused, quickly and in little memory', async t => {
  const made = await Promise.all(refused.map(([, , make]) => make()))
  const readings = await readWeights('--plain', made)
  for (const [i, [name, message]] of refused.entries()) {
    const { code, message: told, ms, mb } = readings[i]
    t.is(code, 'ERR_FILE_FORMAT', `${name}: ${told}`)
    t.regex(told.replace(made[i], 'F'), message, name)
    // a header of 16 MB is a string of 16 MB and its bytes; before, these took minutes and gigabytes
    t.true(ms < 5000, `${name}: ${ms} ms`)
    t.true(mb < 400, `${name}: ${mb} MB`)
  }
})

test('a forged file that tells the truth is read, also with a comment and with numbers that nobody asks for', async t => {
  const state = await loadPth(await put(zip(parts(good, { 'x/data/99': Buffer.alloc(100) }))))
  t.deepEqual(await state.get('x')?.toArray(), [0, 0])
  const commented = Buffer.concat([zip(parts()), Buffer.from('PK\x05\x06 and more')])
  commented.writeUInt16LE(13, commented.length - 13 - 2)
  t.deepEqual(await (await loadPth(await put(commented))).get('x')?.toArray(), [0, 0])
  const expanded = dictPickle([['x', tensorPickle({ key: '0', elements: 2, offset: 1, size: [3, 1], stride: [0, 1] })]])
  const x = (await loadPth(await put(zip(parts(expanded))))).get('x')
  t.deepEqual(await x?.toArray(), [[0], [0], [0]], 'a number repeated a few times')
})

const inner = pickled('}(', text('x'), two, 'u')
const optimizer = pickled('}(', text('m'), tensorPickle({ key: '7', elements: 2, size: [2], stride: [1] }), 'u')

test('a checkpoint of a training script: key says where, and an error names what there is', async t => {
  const entries: [string, Buffer][] = [
    ['epoch', int(3)],
    ['model_state_dict', inner],
    ['optimizer_state_dict', pickled('}(', text('param_groups'), pickled(']'), 'u')],
    ['ema', inner],
  ]
  const file = await put(zip(parts(dictPickle(entries))))
  t.deepEqual([...(await loadPth(file, { key: 'model_state_dict' })).keys()], ['x'])
  const keys =
    /\(its keys: epoch, model_state_dict, optimizer_state_dict, ema\); state dicts are under 'model_state_dict', 'ema': say which, as in \{ key: 'model_state_dict' \}$/
  await t.throwsAsync(loadPth(file), { code: 'ERR_FILE_FORMAT', message: keys })
  await t.throwsAsync(loadPth(file, { key: 'model' }), { code: 'ERR_FILE_FORMAT', message: keys })
  await t.throwsAsync(loadPth(await put(zip(parts())), { key: 'model' }), {
    message: /a state dict itself: leave out key/,
  })
  const lacking = await put(
    zip(
      parts(
        dictPickle([
          ['model', inner],
          ['opt', optimizer],
        ]),
      ),
    ),
  )
  t.is((await loadPth(lacking)).size, 1, 'numbers of other parts are not read')
  await t.throwsAsync(loadPth(lacking, { key: 'opt' }), { message: /the numbers of storage '7' are missing/ })
})

test('a pipe, a folder and odd names are refused instead of waited for', async t => {
  const pipe = join(folder, 'pipe.pth')
  await promisify(execFile)('mkfifo', [pipe])
  await t.throwsAsync(loadPth(pipe), { code: 'ERR_FILE_FORMAT', message: /it is not a file/ })
  await t.throwsAsync(loadPth(folder), { code: 'ERR_FILE_FORMAT', message: /it is not a file/ })
  await t.throwsAsync(loadPth('a\0b'), { code: 'ERR_INVALID_ARG' })
  await t.throwsAsync(loadPth(join(fixture('model'), 'x.pth')), { code: 'ERR_NOT_FOUND' })
})

/** More of them with `TORCH_LEARNER_FUZZ=20`, and others with `TORCH_LEARNER_FUZZ_SEED`. */
const rounds = Number(process.env.TORCH_LEARNER_FUZZ ?? 1)
const seed = Number(process.env.TORCH_LEARNER_FUZZ_SEED ?? 1)

test.serial('damaged files of every format: refused, or read without harm', async t => {
  t.timeout(120_000 * (rounds + 1))
  const plain = join(folder, 'plain.safetensors')
  const sealed = join(folder, 'sealed.safetensors')
  const state = new Map([
    ['a.weight', tensor([[1, 2, 3]])],
    ['a.bias', tensor([1, 0], { dtype: 'int64' })],
    ['b', tensor([1, 0, 1], { dtype: 'bool' })],
    ['c', ops.aten.zeros([0, 3])],
  ])
  await saveSafetensors(plain, state, { metadata: { format: 'pt' } })
  const { saveSealed } = await import('../dist/files/safetensors.js')
  await saveSealed(sealed, state, { checkpoint: '{}' })
  const names = ['model', 'model_legacy', 'dtypes', 'dtypes_legacy', 'checkpoint', 'checkpoint_legacy', 'evil']
  const originals = [plain, sealed, ...names.map(fixture)]
  for (let round = 0; round < rounds; round++) {
    for (const { name, code, message, ms, mb } of await readWeights(`150:${seed + round}`, originals)) {
      t.true(code === 'ERR_FILE_FORMAT' || code === 'read', `${name}: ${code} ${message}`)
      t.true(ms < 5000 && mb < 400, `${name}: ${ms} ms, ${mb} MB`)
    }
  }
})
