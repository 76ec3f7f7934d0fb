// State dicts of PyTorch, written by test/fixtures/make_pth.py with PyTorch 2.13; hostile ones are refused.
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { loadPth, nn } from 'torch-learner'
import { dictPickle, keysPickle, LEGACY, numbers, pickled, tensorPickle } from './helpers/pth.js'
import { zip } from './helpers/zip.js'

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/pytorch_${name}.pth`, import.meta.url))
const folder = await mkdtemp(join(tmpdir(), 'torch-learner-pth-'))
const refused = { code: 'ERR_FILE_FORMAT' }

for (const format of ['', '_legacy']) {
  test(`a model's state dict${format}`, async t => {
    const state = await loadPth(fixture(`model${format}`))
    t.deepEqual(await state.get('3.bias')?.toArray(), [-1, -0.875, -0.75])
    t.deepEqual(await state.get('1.running_var')?.toArray(), [1, 1])
    t.is(state.get('1.num_batches_tracked')?.dtype, 'int64')
    const model = new nn.Sequential(
      new nn.Conv2d(1, 2, 3),
      new nn.BatchNorm2d(2),
      new nn.Flatten(),
      new nn.Linear(2, 3),
    )
    t.deepEqual(model.loadStateDict(state), { missingKeys: [], unexpectedKeys: [] })
  })

  test(`dtypes, views and parameters${format}`, async t => {
    const state = await loadPth(fixture(`dtypes${format}`))
    const read = Object.fromEntries(
      await Promise.all([...state].map(async ([name, x]) => [name, [x.dtype, await x.toArray()]])),
    )
    t.deepEqual(read, {
      transposed: ['float32', [0, 1, 2, 3].map(i => [i, i + 4, i + 8])],
      row: ['float32', [4, 5, 6, 7]],
      int64: ['int64', 7],
      int32: ['int32', [-3]],
      int16: ['int16', [-3]],
      int8: ['int8', [-3]],
      uint8: ['uint8', [1, 255]],
      bool: ['bool', [true, false]],
      float16: ['float16', [1.5, -2]],
      bfloat16: ['bfloat16', [1.5, -2]],
      float64: ['float64', [1e-300]],
      empty: ['float32', []],
      parameter: ['float32', [1, 2]],
    })
    t.deepEqual(state.get('empty')?.shape, [0, 3])
    t.false(state.get('parameter')?.requiresGrad)
  })

  test(`the model's part of a checkpoint${format}`, async t => {
    const file = fixture(`checkpoint${format}`)
    const state = await loadPth(file)
    t.deepEqual([...state.keys()], [...(await loadPth(fixture('model'))).keys()])
    t.deepEqual([...(await loadPth(file, { key: 'model' })).keys()], [...state.keys()])
    await t.throwsAsync(loadPth(file, { key: 'opt' }), { ...refused, message: /under 'opt' \(its keys: epoch, model/ })
    await t.throwsAsync(loadPth(file, { key: 'nothing' }), refused)
  })

  test(`code is not run but refused${format}`, async t => {
    await t.throwsAsync(loadPth(fixture(`evil${format}`)), { ...refused, message: /posix\.system/ })
  })

  test(`a file cut off is refused${format}`, async t => {
    const bytes = await readFile(fixture(`model${format}`))
    const file = join(folder, `cut${format}.pth`)
    for (let length = 0; length < bytes.length; length += 41) {
      await writeFile(file, bytes.subarray(0, length))
      await t.throwsAsync(loadPth(file), refused)
    }
  })
}

test('files that are something else', async t => {
  await t.throwsAsync(loadPth(join(folder, 'nowhere.pth')), { code: 'ERR_NOT_FOUND' })
  await t.throwsAsync(loadPth(folder), refused)
  await t.throwsAsync(loadPth(fileURLToPath(import.meta.url)), refused)
  await t.throwsAsync(loadPth(''), { code: 'ERR_INVALID_ARG' })
  await t.throwsAsync(loadPth(fixture('model'), Object({ mapLocation: 'cpu' })), { code: 'ERR_INVALID_ARG' })
})

/** {'x': a tensor} with any storage, offset, size and stride. */
const tensorDict = (elements: number, offset: number, size: number, stride: number) =>
  dictPickle([['x', tensorPickle({ key: '0', elements, offset, size: [size], stride: [stride] })]])
const keys = keysPickle(['0'])
const zeros = (count: number, bytes: number) => numbers(count, new Uint8Array(bytes))
async function forge(...parts: Buffer[]): Promise<string> {
  const file = join(folder, `${Math.random()}.pth`)
  await writeFile(file, Buffer.concat([LEGACY, ...parts]))
  return file
}

test('a forged file that tells the truth is read', async t => {
  const state = await loadPth(await forge(tensorDict(2, 0, 2, 1), keys, zeros(2, 8)))
  t.deepEqual(await state.get('x')?.toArray(), [0, 0])
})

/** The zip format's files: a pickle of `{x: tensor}`, its storage's bytes, and what else is needed. */
async function forgeZip(pickle: Buffer, storage: Buffer, more: Record<string, string> = {}): Promise<string> {
  const file = join(folder, `${Math.random()}.pth`)
  await writeFile(file, zip({ 'x/data.pkl': pickle, 'x/data/0': storage, 'x/version': '3\n', ...more }))
  return file
}

test('a forged zip file that tells the truth is read', async t => {
  const state = await loadPth(await forgeZip(tensorDict(2, 1, 1, 1), Buffer.from([0, 0, 0, 0, 0, 0, 128, 63])))
  t.deepEqual(await state.get('x')?.toArray(), [1])
})

test('zip files that lie', async t => {
  const files = [
    await forgeZip(tensorDict(4, 0, 4, 1), Buffer.alloc(8)),
    await forgeZip(tensorDict(2, 0, 2, 1), Buffer.alloc(8), { 'x/byteorder': 'big' }),
    await forgeZip(Buffer.from('no pickle'), Buffer.alloc(8)),
    await forgeZip(
      dictPickle([['x', tensorPickle({ key: '1', elements: 2, size: [2], stride: [1] })]]),
      Buffer.alloc(8),
    ),
  ]
  const bomb = await forgeZip(tensorDict(2, 0, 2, 1), Buffer.alloc(8))
  const bytes = await readFile(bomb)
  const entry = bytes.lastIndexOf('x/data/0') - 46
  for (const size of [20, 24]) bytes.writeUInt32LE(0x7fffffff, entry + size)
  await writeFile(bomb, bytes)
  for (const file of [...files, bomb]) await t.throwsAsync(loadPth(file), refused)
  const empty = join(folder, 'empty.pth')
  await writeFile(empty, zip({ 'x/version': '3\n' }))
  await t.throwsAsync(loadPth(empty), refused)
})

const repeat = (what: string, times: number) => pickled([0x80, 2], what.repeat(times))
const hostile: [string, () => Promise<string>][] = [
  ['a tensor beyond its storage', () => forge(tensorDict(2, 0, 3, 1), keys, zeros(2, 8))],
  ['an offset beyond the storage', () => forge(tensorDict(2, 2, 1, 1), keys, zeros(2, 8))],
  ['a negative offset', () => forge(tensorDict(2, -1, 2, 1), keys, zeros(2, 8))],
  ['a negative size', () => forge(tensorDict(2, 0, -2, 1), keys, zeros(2, 8))],
  ['a negative stride', () => forge(tensorDict(2, 1, 2, -1), keys, zeros(2, 8))],
  ['a giant stride', () => forge(tensorDict(2, 0, 2 ** 31 - 1, 2 ** 31 - 1), keys, zeros(2, 8))],
  ['a storage said to be larger', () => forge(tensorDict(2 ** 30, 0, 2 ** 30, 1), keys, zeros(2, 8))],
  ['numbers said to be more', () => forge(tensorDict(2 ** 30, 0, 2, 1), keys, zeros(2 ** 30, 8))],
  ['numbers said to be fewer', () => forge(tensorDict(4, 0, 2, 1), keys, zeros(1, 16))],
  ['a negative storage', () => forge(tensorDict(-2, 0, 2, 1), keys, zeros(-2, 8))],
  ['no numbers', () => forge(tensorDict(2, 0, 2, 1), keys)],
  ['no keys', () => forge(tensorDict(2, 0, 2, 1), pickled([0x80, 2], '].'), zeros(2, 8))],
  ['a tuple nested a million times', () => forge(pickled([...repeat(')', 1)], '\x85'.repeat(1e6), '.'))],
  ['a list nested a million times', () => forge(pickled([...repeat(']', 1e6)], 'a'.repeat(1e6 - 1), '.'))],
  ['values from an empty stack', () => forge(pickled([0x80, 2], 's.'))],
  ['an end without a value', () => forge(pickled([0x80, 2], '.'))],
  ['a mark that is not there', () => forge(pickled([0x80, 2], 't.'))],
  ['a giant memo', () => forge(pickled([0x80, 2], 'Nr', [255, 255, 255, 127], '.'))],
  ['a memo entry that is not there', () => forge(pickled([0x80, 2], 'h\x05.'))],
  ['a giant string', () => forge(pickled([0x80, 2], 'X', [255, 255, 255, 255], 'x.'))],
  ['a list in itself', () => forge(pickled([0x80, 2], ']q\0h\0a.'), keys)],
  [
    'a list that grows after it became part of another',
    () => forge(pickled([0x80, 2], ']q\0]q\x01h\0ah\0h\x01a.'), keys),
  ],
]

for (const [name, make] of hostile) {
  test(`refuses ${name}`, async t =>
    void (await t.throwsAsync(
      make().then(file => loadPth(file)),
      refused,
    )))
}

test('thousands of damaged files: refused, or read without harm', async t => {
  let seed = 7
  const random = (below: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return Math.floor((seed / 2 ** 32) * below)
  }
  const names = ['model', 'model_legacy', 'dtypes', 'dtypes_legacy', 'checkpoint', 'checkpoint_legacy']
  const originals = await Promise.all(names.map(name => readFile(fixture(name))))
  const file = join(folder, 'damaged.pth')
  for (let i = 0; i < 2000; i++) {
    const bytes = Buffer.from(originals[random(originals.length)])
    for (let k = 0; k <= random(4); k++) bytes[random(Math.min(bytes.length, 1500))] = random(256)
    await writeFile(file, bytes)
    const outcome = await loadPth(file).catch((error: unknown) => error)
    if (outcome instanceof Map) for (const x of outcome.values()) await x.to({ dtype: 'float64' }).sum().item()
    else t.is(Reflect.get(Object(outcome), 'code'), 'ERR_FILE_FORMAT')
  }
})
