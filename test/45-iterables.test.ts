// Batches from anything that can be iterated over.
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import test from 'ava'
import {
  CrossEntropyLossFlat,
  DataLoader,
  DataLoaders,
  IterableDataset,
  Learner,
  manualSeed,
  mark,
  memoryStats,
  nn,
  ProgressCallback,
  type Sample,
  type SampleStream,
  type Tensor,
} from 'torch-learner'
import { noneLeft } from './helpers/memory.js'
import { coded } from './helpers/pictures.js'

const sample = (i: number) => ({ x: new Float32Array([i, i + 0.5]), y: i % 3 })
function* numbers(n: number) {
  for (let i = 0; i < n; i++) yield sample(i)
}
async function* slowNumbers(n: number) {
  for (let i = 0; i < n; i++) {
    await pause(1)
    yield sample(i)
  }
}

async function firsts(loader: AsyncIterable<readonly Tensor[]> | Iterable<readonly Tensor[]>): Promise<number[][]> {
  const seen: number[][] = []
  for await (const [x] of loader) seen.push(((await x.toArray()) as number[][]).map(row => [row].flat()[0]))
  return seen
}

const FIVE = [[0, 1], [2, 3], [4]]
const again = (source: SampleStream, n?: number) => new DataLoader(new IterableDataset(source, { n }), { bs: 2 })

test('functions, sets, objects and datasets: as many passes as wanted', async t => {
  const sources: SampleStream[] = [
    () => numbers(5),
    () => slowNumbers(5),
    async () => numbers(5),
    () => Readable.from(numbers(5)),
    () => Readable.toWeb(Readable.from(numbers(5))) as ReadableStream<Sample>,
    new Set(numbers(5)),
    { [Symbol.iterator]: () => numbers(5) },
    { [Symbol.asyncIterator]: () => slowNumbers(5) },
  ]
  for (const source of sources) {
    const loader = again(source, 5)
    t.deepEqual([loader.n, loader.length], [5, 3])
    t.deepEqual([await firsts(loader), await firsts(loader)], [FIVE, FIVE])
  }
  t.deepEqual(await firsts(new DataLoader(new Set(numbers(5)), { bs: 2 })), FIVE)
})

test('what can be gone through once says so, and is never silently empty', async t => {
  const sources: SampleStream[] = [
    numbers(4),
    slowNumbers(4),
    Readable.from(numbers(4)),
    Readable.toWeb(Readable.from(numbers(4))) as ReadableStream<Sample>,
  ]
  for (const source of sources) {
    const loader = again(source, 4)
    t.deepEqual(await firsts(loader), [
      [0, 1],
      [2, 3],
    ])
    await t.throwsAsync(firsts(loader), { message: /gave none.*a function that makes a new one|used up/ })
    await coded(t, () => firsts(loader), 'ERR_STATE', /used up by an earlier pass: give a function/)
  }
  const once = numbers(3)
  await coded(
    t,
    () => firsts(again(() => once, 3)).then(() => firsts(again(() => once, 3))),
    'ERR_NO_DATA',
    /gave none/,
  )
  await coded(
    t,
    () => IterableDataset.from(numbers(3)),
    'ERR_INVALID_ARG',
    /a function that returns the samples.*Or say n/,
  )
})

test('with n, each pass takes the next samples of an endless generator', async t => {
  const loader = again(numbers(Number.POSITIVE_INFINITY), 3)
  t.deepEqual(
    [await firsts(loader), await firsts(loader)],
    [
      [[0, 1], [2]],
      [[3, 4], [5]],
    ],
  )
})

test('counted where nobody says how many; fewer than said is a warning', async t => {
  let passes = 0
  const source = () => {
    passes++
    return numbers(5)
  }
  const counted = await IterableDataset.from(source)
  t.deepEqual([counted.length, passes], [5, 1])
  t.is((await IterableDataset.from(source, { n: 3 })).length, 3)
  t.is(passes, 1)
  t.is((await IterableDataset.from([...numbers(4)])).length, 4)
  const warnings: string[] = []
  const listen = ({ message }: Error) => warnings.push(message)
  process.on('warning', listen)
  const short = again(() => numbers(3), 100)
  t.deepEqual(
    [await firsts(short), await firsts(short)],
    [
      [[0, 1], [2]],
      [[0, 1], [2]],
    ],
  )
  await new Promise(resolve => setImmediate(resolve))
  process.off('warning', listen)
  t.deepEqual(
    warnings.filter(text => text.includes('100')),
    ['The source gave 3 samples where 100 were expected'],
  )
  t.deepEqual(await firsts(again(() => numbers(9), 3)), [[0, 1], [2]], 'no more than said')
  await coded(t, () => IterableDataset.from(() => []), 'ERR_NO_DATA', /gave no samples/)
})

test('reads no further than it prefetches, and closes what is left early', async t => {
  let given = 0
  let closed = 0
  async function* watched() {
    try {
      for (let i = 0; i < 100; i++) {
        given++
        yield sample(i)
      }
    } finally {
      closed++
    }
  }
  const loader = new DataLoader(new IterableDataset(watched, { n: 100 }), { bs: 4, prefetch: 1 })
  let seen = 0
  for await (const _ of loader) {
    await pause(5)
    t.true(given <= 4 * (++seen + 1), `${given} after ${seen}`)
    if (seen === 3) break
  }
  t.is(closed, 1)
  const stream = Readable.from(watched())
  for await (const _ of again(stream, 100)) break
  t.true(stream.destroyed)
  const web = Readable.toWeb(Readable.from(numbers(100))) as ReadableStream<Sample>
  for await (const _ of again(web, 100)) break
  t.false(web.locked)
  await firsts(again(watched, 100))
  t.is(closed, 3, 'one that ended is not closed twice')
})

test('errors of the source end the pass in their turn', async t => {
  let closed = false
  const source = () => ({
    [Symbol.asyncIterator]: () => ({
      i: 0,
      async next() {
        if (this.i === 5) throw new RangeError('row 5 is broken')
        return { done: false, value: sample(this.i++) }
      },
      async return() {
        closed = true
        return { done: true, value: undefined }
      },
    }),
  })
  const seen: number[][] = []
  const error = await t.throwsAsync(async () => {
    for await (const [x] of again(source as SampleStream, 10))
      seen.push(((await x.toArray()) as number[][]).map(row => row[0]))
  })
  t.is(error?.message, 'row 5 is broken')
  t.deepEqual(seen, [
    [0, 1],
    [2, 3],
  ])
  t.true(closed)
  const failing = again(() => Promise.reject(new Error('no connection')), 10)
  await t.throwsAsync(firsts(failing), { message: 'no connection' })
})

test('a window shuffles, the same for a seed', async t => {
  const order = async (options: object) =>
    (
      await firsts(new DataLoader(new IterableDataset(() => numbers(60), { n: 60, window: 20 }), { bs: 7, ...options }))
    ).flat()
  const shuffled = await order({ shuffle: true, seed: 4 })
  t.deepEqual(await order({ shuffle: true, seed: 4, prefetch: 0 }), shuffled)
  t.notDeepEqual(await order({ shuffle: true, seed: 5 }), shuffled)
  const inOrder = Array.from({ length: 60 }, (_, i) => i)
  t.deepEqual(
    shuffled.toSorted((a, b) => a - b),
    inOrder,
  )
  t.true(shuffled.every((value, at) => value <= at + 20))
  t.deepEqual(await order({}), inOrder)
  const loader = new DataLoader(new IterableDataset(() => numbers(60), { n: 60 }), { bs: 60, shuffle: true, seed: 4 })
  t.notDeepEqual(await firsts(loader), await firsts(loader), 'anew in each pass')
})

test.serial('a Learner trains on a pipeline that knows nothing of tensors', async t => {
  manualSeed(2)
  async function* rows(n: number) {
    for (let i = 0; i < n; i++) yield { x: Float32Array.of(i % 2, 1 - (i % 2)), y: i % 2 }
  }
  const before = memoryStats().tensors
  const dls = await DataLoaders.from(
    () => rows(64),
    () => rows(10),
    { bs: 8, c: 2, lossFunc: new CrossEntropyLossFlat() },
  )
  t.deepEqual(
    dls.loaders.map(({ n, length }) => [n, length]),
    [
      [64, 8],
      [10, 2],
    ],
  )
  const model = new nn.Linear(2, 2)
  const learn = new Learner(dls, model).removeCb(ProgressCallback)
  learn.logger = () => undefined
  await learn.fitOneCycle(3, { lrMax: 0.1 })
  const losses = learn.recorder?.values.map(row => Number(row[0])) ?? []
  t.true(losses.length === 3 && losses[2] < losses[0])
  const { preds } = await learn.getPreds()
  t.deepEqual(preds.shape, [10, 2])
  const { label } = await learn.predict([1, 0])
  t.is(label, 1)
  t.true(memoryStats().tensors - before < 60)
})

test.serial('nothing stays behind, and a stream that never answers is let go', async t => {
  const source = function* () {
    for (let i = 0; i < 12; i++) yield { x: [i, i], y: 1 }
  }
  const loader = again(source, 12)
  const failing = again(function* () {
    yield* numbers(3)
    throw new Error('broken')
  }, 12)
  const round = async () => {
    for await (const batch of loader) for (const part of batch) part.dispose()
    for await (const batch of loader) {
      for (const part of batch) part.dispose()
      break
    }
    const free = async () => {
      for await (const batch of failing) for (const part of batch) part.dispose()
    }
    await t.throwsAsync(free, { message: 'broken' })
    await mark()
  }
  await round()
  const before = memoryStats().tensors
  for (let i = 0; i < 10; i++) await round()
  noneLeft(t, before)
  const silent = new Readable({ objectMode: true, read: () => undefined })
  const dls = await DataLoaders.from(silent, undefined, { n: 8, bs: 2 })
  const learn = new Learner(dls, new nn.Linear(2, 2), { lossFunc: new CrossEntropyLossFlat() }).removeCb(
    ProgressCallback,
  )
  const stop = new AbortController()
  setTimeout(() => stop.abort(), 50)
  t.is(await learn.fit(1, { signal: stop.signal }).catch(reason => reason), stop.signal.reason)
  t.true(silent.destroyed)
})

test('bad input', async t => {
  await coded(
    t,
    () => new IterableDataset(() => [], { n: 1, batched: true, window: 3 }),
    'ERR_INVALID_ARG',
    /nothing for whole batches for window/,
  )
  const refused = (make: () => unknown, message: RegExp) => coded(t, make, 'ERR_INVALID_ARG', message)
  await refused(
    () => new IterableDataset(() => numbers(3)),
    /the number of samples, which a Learner must know, for n .*IterableDataset.from/,
  )
  await refused(
    () => Reflect.construct(IterableDataset, [5]),
    /something to iterate over, or a function .* for source but received 5/,
  )
  await refused(() => Reflect.construct(IterableDataset, ['abc']), /for source but received "abc"/)
  await refused(() => firsts(again((() => 5) as never, 3)), /for the source function's result but received 5/)
  await refused(
    () => firsts(again((() => [5]) as never, 1)),
    /an array \[input, target\] or an object \{ x, y \} for sample 0 of a batch/,
  )
  await refused(
    () => firsts(again(() => Readable.from([Buffer.from('text')]) as never, 1)),
    /\{ x, y \} for sample 0 of a batch/,
  )
  await refused(
    () =>
      firsts(
        again(
          () => [
            [1, 2],
            [[1, 2], 3],
          ],
          2,
        ),
      ),
    /one shape, but the first has \[\] and another \[2\] in column 0/,
  )
  await refused(() => firsts(again(() => [[[[1, 2], [3]], 1]], 1)), /nested arrays of equal lengths/)
  await refused(
    () => firsts(again(() => [[{ data: new Float32Array(3), shape: [2] }, 1]], 1)),
    /2 numbers for the shape \[2\]/,
  )
  await refused(
    () => firsts(again((() => [['cat', 1]]) as never, 1)),
    /numbers, an array of numbers or a tensor for a value but received "cat"/,
  )
  await refused(
    () => new DataLoader(new IterableDataset(() => numbers(3), { n: 3 }), { weights: [1, 1, 1] }),
    /nothing for samples that come in their own order/,
  )
  await refused(() => new IterableDataset([], { n: 0 }), /a whole number from 1 for IterableDataset's n/)
  await refused(
    () => DataLoaders.from([[1, 2]], undefined, { batchSize: 3 } as never),
    /DataLoader's options but received "batchSize"/,
  )
  await refused(() => Reflect.apply(DataLoaders.from, DataLoaders, [5]), /samples: an array, a dataset, or something/)
  await coded(t, () => new IterableDataset(() => [], { n: 1 }).load(), 'ERR_STATE', /no samples by index/)
})
