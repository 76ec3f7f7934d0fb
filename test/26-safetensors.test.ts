// The safetensors format: what is written is read again, and nothing hostile gets through.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { type DType, loadSafetensors, nn, readSafetensors, saveSafetensors, tensor, zeros } from 'torch-learner'
import { stretches } from './helpers/turns.js'

const folder = await mkdtemp(join(tmpdir(), 'torch-learner-safetensors-'))
let files = 0
const newFile = () => join(folder, `${files++}.safetensors`)

/** A file with any header, honest about its length unless told otherwise. */
async function forge(header: unknown, data = Buffer.alloc(0), length?: bigint): Promise<string> {
  const plain = typeof header === 'string' || Buffer.isBuffer(header) ? header : JSON.stringify(header)
  const text = Buffer.from(plain)
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(length ?? BigInt(text.byteLength))
  const file = newFile()
  await writeFile(file, Buffer.concat([size, text, data]))
  return file
}

test('every dtype, shape and memory format comes back as it was', async t => {
  const dtypes: DType[] = [
    'float32',
    'float64',
    'float16',
    'bfloat16',
    'int64',
    'int32',
    'int16',
    'int8',
    'uint8',
    'bool',
  ]
  const grid = tensor(
    Float32Array.from({ length: 24 }, (_, i) => i),
    { shape: [1, 2, 3, 4] },
  )
  const state = new Map([
    ...dtypes.map(dtype => [dtype, tensor([1, 0, 1], { dtype })] as const),
    ['scalar', tensor(7, { dtype: 'int64' })],
    ['empty', zeros([0, 3])],
    ['transposed', grid.transpose(1, 3)],
    ['channels_last', grid.to({ memoryFormat: 'channels_last' })],
    ['with gradient', tensor([1, 2], { requiresGrad: true })],
    ['__proto__', tensor([5])],
  ])
  const file = newFile()
  await saveSafetensors(file, state, { metadata: { format: 'pt', ключ: 'значение' } })
  const { tensors, metadata } = await readSafetensors(file)
  t.deepEqual(metadata, { format: 'pt', ключ: 'значение' })
  t.deepEqual([...tensors.keys()], [...state.keys()])
  for (const [name, expected] of state) {
    const loaded = tensors.get(name)
    t.is(loaded?.dtype, expected.dtype)
    t.deepEqual(loaded?.shape, expected.shape)
    t.deepEqual(await loaded?.toArray(), await expected.toArray(), name)
    t.false(loaded?.requiresGrad)
  }
})

test('the layout is the one of the format', async t => {
  const file = newFile()
  await saveSafetensors(file, { a: tensor([1], { dtype: 'uint8' }), b: tensor([2], { dtype: 'float32' }) })
  const bytes = await readFile(file)
  const length = Number(bytes.readBigUInt64LE())
  t.is(length % 8, 0)
  t.deepEqual(JSON.parse(bytes.subarray(8, 8 + length).toString()), {
    a: { dtype: 'U8', shape: [1], data_offsets: [4, 5] },
    b: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
  })
  t.deepEqual([...bytes.subarray(8 + length)], [0, 0, 0, 64, 1])
})

test('a module saved and loaded', async t => {
  const make = () => new nn.Sequential(new nn.Conv2d(1, 2, 3), new nn.BatchNorm2d(2), new nn.Linear(2, 3))
  const [one, two] = [make(), make()]
  const file = newFile()
  await saveSafetensors(file, one.stateDict())
  two.loadStateDict(await loadSafetensors(file))
  for (const [name, x] of one.stateDict()) t.deepEqual(await two.stateDict().get(name)?.toArray(), await x.toArray())
})

test('what is written is the state at the moment of the call', async t => {
  const x = tensor([1, 2])
  const file = newFile()
  const saving = saveSafetensors(file, { x })
  x.add_(10)
  await saving
  t.deepEqual(await (await loadSafetensors(file)).get('x')?.toArray(), [1, 2])
})

test('folders are made, and no other file is left behind', async t => {
  const file = join(folder, 'deep', 'er', 'x.safetensors')
  await Promise.all([1, 2, 3].map(i => saveSafetensors(file, { x: tensor([i]) })))
  t.deepEqual(await readdir(join(folder, 'deep', 'er')), ['x.safetensors'])
  t.is((await loadSafetensors(file)).size, 1)
})

test('a file that cannot take its name leaves nothing behind', async t => {
  const inTheWay = join(folder, 'taken.safetensors')
  await saveSafetensors(join(inTheWay, 'x'), { x: tensor([1]) })
  await t.throwsAsync(saveSafetensors(inTheWay, { x: tensor([1]) }))
  t.deepEqual(
    (await readdir(folder)).filter(name => name.startsWith('taken') && name.endsWith('.tmp')),
    [],
  )
})

test('a failed operator is reported instead of being written', async t => {
  const bad = zeros([2]).index([tensor([5], { dtype: 'int64' })])
  const file = newFile()
  await t.throwsAsync(saveSafetensors(file, { bad }), { code: 'ERR_OP_FAILED' })
  await t.throwsAsync(loadSafetensors(file), { code: 'ERR_NOT_FOUND' })
})

test('wrong arguments', async t => {
  const invalid = { code: 'ERR_INVALID_ARG' }
  await t.throwsAsync(saveSafetensors('', {}), invalid)
  await t.throwsAsync(saveSafetensors(newFile(), Object({ x: 1 })), invalid)
  await t.throwsAsync(saveSafetensors(newFile(), { __metadata__: tensor([1]) }), invalid)
  await t.throwsAsync(saveSafetensors(newFile(), {}, Object({ metadata: { n: 1 } })), invalid)
  await t.throwsAsync(saveSafetensors(newFile(), {}, Object({ compress: true })), invalid)
  await t.throwsAsync(loadSafetensors(Object(1)), invalid)
})

const floats = (begin: number, end: number, shape = [(end - begin) / 4]) => ({
  dtype: 'F32',
  shape,
  data_offsets: [begin, end],
})
const eight = Buffer.alloc(8)
const hostile: [string, () => Promise<string>][] = [
  ['an empty file', async () => writeFile(join(folder, 'none'), '').then(() => join(folder, 'none'))],
  ['a header longer than the file', () => forge({}, eight, 100n)],
  ['a header of 2^63 bytes', () => forge({}, eight, 1n << 63n)],
  ['a header above the cap', () => forge({}, eight, 17n << 20n)],
  ['no JSON', () => forge('{"x":', eight)],
  ['a list', () => forge([])],
  ['null', () => forge('null')],
  ['metadata that are no strings', () => forge({ __metadata__: { a: 1 } })],
  ['an unknown dtype', () => forge({ x: { ...floats(0, 8), dtype: 'F7' } }, eight)],
  ['a dtype of the prototype', () => forge({ x: { ...floats(0, 8), dtype: 'constructor' } }, eight)],
  ['a null entry', () => forge({ x: null })],
  ['a negative size', () => forge({ x: floats(0, 8, [-1, -2]) }, eight)],
  ['a fractional size', () => forge({ x: floats(0, 8, [0.5, 4]) }, eight)],
  ['sizes that overflow', () => forge({ x: floats(0, 8, [2 ** 32, 2 ** 32, 2]) }, eight)],
  ['a thousand dimensions', () => forge({ x: floats(0, 4, new Array(1000).fill(1)) }, Buffer.alloc(4))],
  ['offsets in reverse', () => forge({ x: floats(8, 0, [2]) }, eight)],
  ['offsets beyond the end', () => forge({ x: floats(0, 16) }, eight)],
  ['negative offsets', () => forge({ x: floats(-8, 0) }, eight)],
  ['three offsets', () => forge({ x: { ...floats(0, 8), data_offsets: [0, 8, 8] } }, eight)],
  ['overlapping tensors', () => forge({ x: floats(0, 8), y: floats(4, 8) }, eight)],
  ['the same bytes twice', () => forge({ x: floats(0, 8), y: floats(0, 8) }, eight)],
  ['a hole', () => forge({ x: floats(4, 8) }, eight)],
  ['bytes nobody owns', () => forge({ x: floats(0, 4) }, eight)],
  [
    'truth values other than 0 and 1',
    () => forge({ x: { dtype: 'BOOL', shape: [8], data_offsets: [0, 8] } }, Buffer.alloc(8, 2)),
  ],
  ['a folder', async () => folder],
  [
    'a header that is not UTF-8',
    () => forge(Buffer.concat([Buffer.from('{"x'), Buffer.of(0xff), Buffer.from('":1}')])),
  ],
  ['a header with a byte order mark', () => forge(`\ufeff${JSON.stringify({ x: floats(0, 8) })}`, eight)],
  ['a name twice', () => forge(`{"x":${JSON.stringify(floats(0, 8))},"x":${JSON.stringify(floats(0, 8))}}`, eight)],
  [
    'a name twice, spelt in two ways',
    () => forge(`{"x":${JSON.stringify(floats(0, 8))},"\\u0078":${JSON.stringify(floats(0, 8))}}`, eight),
  ],
  ['a dtype twice', () => forge('{"x":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', eight)],
  ['a key of the metadata twice', () => forge('{"__metadata__":{"a":"1","a":"2"}}')],
  ['a dtype that is not that of the bytes', () => forge({ x: { ...floats(0, 8), dtype: 'F64' } }, eight)],
  ['a header of blanks', () => forge(' '.repeat(64))],
]

test('what looks like a key twice and is none', async t => {
  const file = await forge(
    `{"__metadata__":{"a":"{\\"x\\":1,\\"x\\":2}","dtype":"}"},"dtype":${JSON.stringify(floats(0, 8))}}`,
    eight,
  )
  const { tensors, metadata } = await readSafetensors(file)
  t.deepEqual(metadata, { a: '{"x":1,"x":2}', dtype: '}' })
  t.deepEqual([...tensors.keys()], ['dtype'])
})

test('a pipe is refused instead of waited for', async t => {
  const pipe = newFile()
  await promisify(execFile)('mkfifo', [pipe])
  await t.throwsAsync(loadSafetensors(pipe), { code: 'ERR_FILE_FORMAT', message: /it is not a file/ })
})

for (const [name, make] of hostile) {
  test(`refuses ${name}`, async t => {
    const error = await t.throwsAsync(
      make().then(file => loadSafetensors(file)),
      { any: true },
    )
    t.is(Reflect.get(Object(error), 'code'), 'ERR_FILE_FORMAT', String(error))
  })
}

test('a file cut anywhere is refused', async t => {
  const file = newFile()
  await saveSafetensors(file, { a: tensor([1, 2]), b: tensor([3], { dtype: 'int64' }) })
  const bytes = await readFile(file)
  const cut = newFile()
  for (let length = 0; length < bytes.length; length++) {
    await writeFile(cut, bytes.subarray(0, length))
    await t.throwsAsync(loadSafetensors(cut), { code: 'ERR_FILE_FORMAT' })
  }
})

test('a process killed while it writes leaves the old file or the new one', async t => {
  const file = newFile()
  const program = `
    import { full, saveSafetensors } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)}
    for (let k = 1; ; k++) {
      await saveSafetensors(${JSON.stringify(file)}, { a: full([300_000], k), b: full([300_000], k) })
      if (k === 1) console.log('first')
    }`
  for (let round = 0; round < 8; round++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    await once(child.stdout, 'data')
    await new Promise(resolve => setTimeout(resolve, round * 7))
    child.kill('SIGKILL')
    await once(child, 'exit')
    const state = await loadSafetensors(file)
    const numbers = new Set<unknown>()
    for (const x of state.values()) for (const value of await x.data()) numbers.add(value)
    t.is(numbers.size, 1)
  }
})

test('names and keys longer than any module’s are refused at once, in files and for files', async t => {
  const entry = { dtype: 'F32', shape: [], data_offsets: [0, 4] }
  const long = 'x'.repeat(65537)
  for (const header of [
    { [long]: entry },
    { __metadata__: { [long]: 'a' }, a: entry },
    { a: { ...entry, [long]: 1 } },
  ]) {
    const message = /: its header has a name of more than 65536 characters$/
    await t.throwsAsync(loadSafetensors(await forge(header, Buffer.alloc(4))), { code: 'ERR_FILE_FORMAT', message })
  }
  const file = newFile()
  const message = /^Expected names and keys of metadata of at most 65536 characters but received 'xxx/
  await t.throwsAsync(saveSafetensors(file, { [long]: zeros([1]) }), { code: 'ERR_INVALID_ARG', message })
  await t.throwsAsync(saveSafetensors(file, {}, { metadata: { [long]: '' } }), { code: 'ERR_INVALID_ARG', message })
  const longest = long.slice(1)
  await saveSafetensors(file, { [longest]: zeros([1]) }, { metadata: { [longest]: 'a' } })
  t.deepEqual([...(await loadSafetensors(file)).keys()], [longest])
})

test.serial('a long string of the metadata is taken in turns with other work, and comes back as it was', async t => {
  const file = newFile()
  const text = 'a"\\\n\u0001\u00e9\ud83d\ude00'.repeat(400_000)
  await saveSafetensors(file, { x: zeros([1]) }, { metadata: { text } })
  const { result, longest, total } = await stretches(() => readSafetensors(file))
  t.is(result.metadata.text, text)
  t.true(longest < 0.6 * total, `${longest} of ${total} ms at a stretch`)
})
