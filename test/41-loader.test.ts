// DataLoader: order, lengths, prefetching, early ends.
import { setTimeout as pause } from 'node:timers/promises'
import test from 'ava'
import {
  arange,
  type BatchSource,
  BatchTransform,
  DataLoader,
  hostRandom,
  manualSeed,
  memoryStats,
  scope,
  type Tensor,
  TensorDataset,
  tensor,
} from 'torch-learner'
import { golden } from './helpers/golden.js'
import { noneLeft } from './helpers/memory.js'
import { coded } from './helpers/pictures.js'

const range = (n: number) => new TensorDataset(arange(n))
const values = async (x: Tensor) => Array.from(await x.data(), Number)

async function pass(loader: AsyncIterable<Tensor[]>): Promise<number[][]> {
  const seen: number[][] = []
  for await (const [x] of loader) seen.push(await values(x))
  return seen
}

/** Indices as batches; notes what was asked of it, and when. */
class Slow implements BatchSource {
  readonly length = 20
  readonly usesRandom = true
  readonly started: number[] = []
  active = 0
  most = 0
  signal?: AbortSignal
  readonly fails?: number

  constructor(fails?: number) {
    this.fails = fails
  }

  async load(indices: Int32Array, { random, signal }: { random: () => number; signal: AbortSignal }) {
    this.signal = signal
    this.started.push(indices[0])
    this.most = Math.max(this.most, ++this.active)
    const draws = [random(), random()]
    await pause(20 - indices[0]) // later batches are ready first
    this.active--
    if (indices[0] === this.fails) throw new RangeError(`batch at ${indices[0]}`)
    return () => [tensor([...indices]), tensor(draws)]
  }
}

class Double extends BatchTransform {
  override readonly order: number
  override readonly splitIdx?: 0 | 1
  constructor(order: number, splitIdx?: 0 | 1) {
    super()
    this.order = order
    this.splitIdx = splitIdx
  }
  override encodes(x: Tensor) {
    return x.mul(2).add(this.order)
  }
  override decodes(x: Tensor) {
    return x.sub(this.order).div(2)
  }
}

test('lengths of the reference', t => {
  const { dl_len } = golden<{ dl_len: { n: number; bs: number; drop_last: boolean; len: number }[] }>('splitters_vocab')
  for (const { n, bs, drop_last: dropLast, len } of dl_len) {
    if (len === 0) t.throws(() => new DataLoader(range(n), { bs, dropLast }), { code: 'ERR_NO_DATA' })
    else t.is(new DataLoader(range(n), { bs, dropLast }).length, len)
  }
})

test('in order, with and without the last batch', async t => {
  t.deepEqual(await pass(new DataLoader(range(5), { bs: 2 })), [[0, 1], [2, 3], [4]])
  t.deepEqual(await pass(new DataLoader(range(5), { bs: 2, dropLast: true })), [
    [0, 1],
    [2, 3],
  ])
})

test.serial('shuffled by libtorch, anew in each pass', async t => {
  manualSeed(11)
  const expected = [...hostRandom.permutation(7), ...hostRandom.permutation(7)]
  manualSeed(11)
  const loader = new DataLoader(range(7), { bs: 3, shuffle: true })
  t.deepEqual([...(await pass(loader)), ...(await pass(loader))].flat(), expected)
})

test('shuffled by a seed: the same each time it is made, other in each pass', async t => {
  const loader = () => new DataLoader(range(50), { bs: 50, shuffle: true, seed: 3 })
  const [first, second] = [loader(), loader()]
  const passes = [await pass(first), await pass(first)]
  t.deepEqual([await pass(second), await pass(second)], passes)
  t.notDeepEqual(passes[0], passes[1])
  t.deepEqual(
    [...passes[0][0]].sort((a, b) => a - b),
    Array.from({ length: 50 }, (_, i) => i),
  )
})

test('prefetches as far as told, and keeps the order', async t => {
  for (const prefetch of [0, 1, 3]) {
    const source = new Slow()
    const loader = new DataLoader(source, { bs: 2, prefetch })
    const firsts: number[] = []
    for await (const [x] of loader) {
      firsts.push((await values(x))[0])
      t.true(source.started.length <= firsts.length + prefetch)
    }
    t.deepEqual(firsts, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18])
    t.is(source.most, prefetch + 1)
  }
})

test('random numbers belong to the batch, however batches overlap', async t => {
  const draws = async (prefetch: number) => {
    const seen: number[] = []
    const loader = new DataLoader(new Slow(), { bs: 4, shuffle: true, seed: 9, prefetch })
    for await (const [, random] of loader) seen.push(...(await values(random)))
    return seen
  }
  const one = await draws(0)
  t.deepEqual(await draws(4), one)
  t.is(new Set(one).size, one.length)
})

test('an early end drops what was prepared', async t => {
  const source = new Slow()
  for await (const [x] of new DataLoader(source, { bs: 2, prefetch: 4 })) {
    t.deepEqual(await values(x), [0, 1])
    break
  }
  t.true(source.signal?.aborted)
  await pause(60)
  t.is(source.started.length, 5, 'nothing was begun afterwards')
})

test.serial('an early end leaves no tensors', async t => {
  const loader = new DataLoader(range(1000), { bs: 10 })
  const before = memoryStats().tensors
  for (let i = 0; i < 20; i++) {
    await scope(async () => {
      for await (const [x] of loader) if ((await values(x))[0] === 20) break
    })
  }
  noneLeft(t, before)
})

test.serial('tensors that a dataset makes are freed, prefetched or not', async t => {
  const dataset = { length: 40, get: async (i: number) => [tensor([i, i]), tensor(i)] as const }
  const loader = new DataLoader(dataset, { bs: 4, batchTfms: [new Double(0)] })
  const before = memoryStats().tensors
  for await (const batch of loader) for (const tensor of batch) tensor.dispose()
  for await (const batch of loader) {
    for (const tensor of batch) tensor.dispose()
    break
  }
  await pause(20)
  noneLeft(t, before)
})

test('a failing batch ends the pass, in its turn', async t => {
  const seen: number[][] = []
  const source = new Slow(6)
  const error = await t.throwsAsync(async () => {
    for await (const [x] of new DataLoader(source, { bs: 2, prefetch: 3 })) seen.push(await values(x))
  })
  t.is(error?.message, 'batch at 6')
  t.deepEqual(seen, [
    [0, 1],
    [2, 3],
    [4, 5],
  ])
  t.true(source.signal?.aborted)
})

test('a failing batch that nobody waits for harms nobody', async t => {
  for await (const _ of new DataLoader(new Slow(2), { bs: 2, prefetch: 3 })) break
  await pause(60)
  t.pass()
})

test('two passes at once, and several calls of next at once', async t => {
  const loader = new DataLoader(range(6), { bs: 2 })
  t.deepEqual(await Promise.all([pass(loader), pass(loader)]), [
    [
      [0, 1],
      [2, 3],
      [4, 5],
    ],
    [
      [0, 1],
      [2, 3],
      [4, 5],
    ],
  ])
  const iterator = loader[Symbol.asyncIterator]()
  const results = await Promise.all(Array.from({ length: 5 }, () => iterator.next()))
  t.deepEqual(
    results.map(({ done }) => done),
    [false, false, false, true, true],
  )
})

test('samples from arrays and datasets', async t => {
  const rows: [number[], number][] = Array.from({ length: 5 }, (_, i) => [[i, i + 0.5], i % 2])
  const [x, y] = await new DataLoader(rows, { bs: 4 }).oneBatch()
  t.deepEqual([x.shape, x.dtype, y.shape, y.dtype], [[4, 2], 'float32', [4], 'int64'])
  t.deepEqual(await values(x), [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5])
  const dataset = { length: 3, get: async (i: number) => [new Float32Array([i, i]), tensor([i, i, i])] as const }
  const [a, b] = await new DataLoader(dataset, { bs: 3 }).oneBatch()
  t.deepEqual([a.shape, a.dtype, b.shape], [[3, 2], 'float32', [3, 3]])
})

test('transforms: by order, for their split, on inputs only, and back', async t => {
  const data = new TensorDataset(tensor([1, 2]), tensor([5, 6]))
  const batchTfms = [new Double(7), new Double(3), new Double(1, 1)]
  const train = new DataLoader(data, { bs: 2, batchTfms, training: true })
  const batch = await train.oneBatch()
  t.deepEqual(await values(batch[0]), [(1 * 2 + 3) * 2 + 7, (2 * 2 + 3) * 2 + 7])
  t.deepEqual(await values(batch[1]), [5, 6])
  t.deepEqual(await values(train.decode(batch)[0]), [1, 2])
  const [x] = await train.new({ training: false }).oneBatch()
  t.deepEqual(await values(x), [((1 * 2 + 1) * 2 + 3) * 2 + 7, ((2 * 2 + 1) * 2 + 3) * 2 + 7])
})

test('new: the same data, other options', async t => {
  const loader = new DataLoader(range(5), { bs: 2, shuffle: true, dropLast: true })
  t.deepEqual(await pass(loader.new({ shuffle: false, dropLast: false })), [[0, 1], [2, 3], [4]])
})

test('bad input', async t => {
  const make = (options: object) => () => new DataLoader(range(5), options)
  const expect = (options: object, message: RegExp) => coded(t, make(options), 'ERR_INVALID_ARG', message)
  await expect({ bs: 0 }, /^Expected a whole number from 1 for DataLoader's bs but received 0 of type number$/)
  await expect({ bs: 2.5 }, /bs but received 2.5/)
  await expect({ bs: '64' }, /bs but received "64" of type string/)
  await expect({ shufle: true }, /^Expected only bs, shuffle, .* for DataLoader's options but received "shufle"/)
  await expect({ shuffle: 1 }, /true or false for DataLoader's shuffle/)
  await expect({ prefetch: -1 }, /prefetch but received -1/)
  await expect({ batchTfms: [{}] }, /a BatchTransform for DataLoader's batchTfms.0/)
  await coded(
    t,
    make({ bs: 6, dropLast: true }),
    'ERR_NO_DATA',
    /^A batch of 6 is larger than the whole set of 5 samples: choose bs of at most 5$/,
  )
  await coded(t, () => new DataLoader([], {}), 'ERR_NO_DATA', /^The dataset has no samples$/)
  await coded(t, () => Reflect.construct(DataLoader, [5]), 'ERR_INVALID_ARG', /a dataset/)
  await coded(t, () => new TensorDataset(), 'ERR_INVALID_ARG', /one or more tensors/)
  await coded(
    t,
    () => new TensorDataset(tensor([1]), tensor([1, 2])),
    'ERR_INVALID_ARG',
    /the same first dimension for tensors but received \[1, 2\]/,
  )
  await coded(
    t,
    () => new DataLoader([[1], [1, 2]], {}).oneBatch(),
    'ERR_INVALID_ARG',
    /1 values, as the first sample has/,
  )
  await coded(
    t,
    () => Reflect.construct(DataLoader, [[3]]).oneBatch(),
    'ERR_INVALID_ARG',
    /an array \[input, target\] or an object { x, y } for sample 0 but received 3/,
  )
})
