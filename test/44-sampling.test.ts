// Weighted and balanced draws.
import test from 'ava'
import {
  arange,
  DataLoader,
  type DataLoaderOptions,
  ImageDataLoaders,
  manualSeed,
  type Tensor,
  TensorDataset,
  tensor,
} from 'torch-learner'
import { classFolders, coded, temporaryFolder } from './helpers/pictures.js'

const WEIGHTS = [1, 0, 3, 2.5, 0.1]

async function drawn(loader: AsyncIterable<Tensor[]>, column = 0): Promise<number[]> {
  const seen: number[] = []
  for await (const batch of loader) seen.push(...Array.from(await batch[column].data(), Number))
  return seen
}

const range = (n: number, options: DataLoaderOptions) =>
  new DataLoader(new TensorDataset(arange(n)), { bs: 5, ...options })

/** Pearson's statistic of counts against shares. */
function chiSquare(values: readonly number[], shares: readonly number[]): number {
  const counts = shares.map((_, i) => values.filter(value => value === i).length)
  return shares.reduce((sum, share, i) => {
    const expected = share * values.length
    return sum + (expected === 0 ? counts[i] * 1e9 : (counts[i] - expected) ** 2 / expected)
  }, 0)
}

test.serial("PyTorch's WeightedRandomSampler for a seed, of libtorch's generator or the loader's own", async t => {
  // recorded with torch 2.13: list(WeightedRandomSampler(weights, n)) after manual_seed
  const recordings: [number, number[], number[]][] = [
    [7, WEIGHTS, [2, 2, 3, 3, 3, 3, 2, 2, 3, 3, 0, 0]],
    [123, [5, 1, 1], [0, 0, 0, 0, 0, 0, 0, 0]],
  ]
  for (const [seed, weights, expected] of recordings) {
    const options = { weights, numSamples: expected.length }
    manualSeed(seed)
    t.deepEqual(await drawn(range(weights.length, options)), expected)
    t.deepEqual(await drawn(range(weights.length, { ...options, seed })), expected)
  }
  manualSeed(4)
  t.deepEqual(await drawn(range(5, { weights: WEIGHTS, numSamples: 3, replacement: false })), [2, 0, 3])
  const weights = Float64Array.from({ length: 2000 }, (_, i) => (i * 37) % 11)
  manualSeed(99)
  t.deepEqual(await drawn(range(2000, { weights, bs: 500 })), await drawn(range(2000, { weights, bs: 500, seed: 99 })))
})

test.serial('shares follow the weights', async t => {
  const total = WEIGHTS.reduce((a, b) => a + b)
  const shares = WEIGHTS.map(weight => weight / total)
  const options = { weights: WEIGHTS, numSamples: 20_000, bs: 1000 }
  manualSeed(5)
  for (const seed of [undefined, 5, 6]) {
    // 3 degrees of freedom, since one share is 0: above 16.3 once in a thousand
    t.true(chiSquare(await drawn(range(5, { ...options, seed })), shares) < 16.3)
  }
})

test('without replacement: nobody twice, never a weight of 0, heavy ones first', async t => {
  const first = [0, 0, 0, 0, 0]
  for (let seed = 0; seed < 2000; seed++) {
    const order = await drawn(range(5, { weights: WEIGHTS, numSamples: 4, replacement: false, seed }))
    if (new Set(order).size !== 4 || order.includes(1)) t.fail(`${order}`)
    first[order[0]]++
  }
  const shares = WEIGHTS.map(weight => weight / 6.6)
  const firsts = first.flatMap((count, i) => Array.from({ length: count }, () => i))
  t.true(chiSquare(firsts, shares) < 16.3, `${first}`)
})

test('balanced: every class equally often, from any kind of dataset', async t => {
  const classes = Array.from({ length: 100 }, (_, i) => (i < 90 ? 0 : i < 98 ? 1 : 2))
  const options = { weights: 'balanced', numSamples: 9000, bs: 900, seed: 3 } as const
  const datasets = [
    new TensorDataset(arange(100), tensor(classes, { dtype: 'int64' })),
    new TensorDataset(arange(100), tensor(classes, { dtype: 'uint8' })),
    classes.map((one, i): [number, number] => [i, one]),
    { length: 100, get: (i: number) => [i, classes[i]], classes: () => classes },
  ]
  for (const dataset of datasets) {
    const seen = await drawn(new DataLoader(dataset, options), 1)
    t.true(chiSquare(seen, [1 / 3, 1 / 3, 1 / 3]) < 13.8) // 2 degrees of freedom
  }
})

test('a pass has the samples that are drawn; in order, weights do not count', async t => {
  const loader = range(5, { weights: WEIGHTS, numSamples: 12, dropLast: true })
  t.deepEqual([loader.n, loader.length, loader.shuffle, loader.training], [12, 2, true, true])
  t.is((await drawn(loader)).length, 10)
  t.deepEqual(await drawn(loader.new({ shuffle: false, dropLast: false })), [0, 1, 2, 3, 4])
  t.deepEqual(await drawn(loader.forItems([7, 8])), [7, 8])
  t.is((await drawn(range(5, { shuffle: false }).new({ weights: WEIGHTS, numSamples: 3 }))).length, 3)
})

test('pictures: by a function, and balanced', async t => {
  const folder = await temporaryFolder(t)
  await classFolders(folder, { 'train/a': 30, 'train/b': 2, 'valid/a': 1, 'valid/b': 1 }, 4)
  const labels = async (options: object) => {
    const dls = await ImageDataLoaders.fromFolder(folder, { bs: 100, seed: 1, numSamples: 400, ...options })
    t.is(dls.valid?.n, 2)
    return await drawn(dls.train as AsyncIterable<Tensor[]>, 1)
  }
  t.true(chiSquare(await labels({ weights: 'balanced' }), [0.5, 0.5]) < 10.8)
  const byLabel = (file: string, label: unknown) => (file.includes('train') && label === 'b' ? 45 : 1)
  t.true(chiSquare(await labels({ weights: byLabel }), [0.25, 0.75]) < 10.8)
  await coded(
    t,
    () => labels({ weights: () => -1 }),
    'ERR_INVALID_ARG',
    /a finite number from 0 for the weight of .*000.png/,
  )
  await coded(
    t,
    () => labels({ weights: [1, 2] }),
    'ERR_INVALID_ARG',
    /'balanced' or a function .* ImageDataLoaders.fromFolder's weights/,
  )
  await coded(
    t,
    () => labels({ weights: 'balanced', shuffle: false }),
    'ERR_INVALID_ARG',
    /nothing or true together with weights/,
  )
})

test('wrong weights', async t => {
  const refused = (options: object, message: RegExp) => coded(t, () => range(3, options), 'ERR_INVALID_ARG', message)
  await refused({ weights: [1, 2] }, /3 numbers, one a sample, for weights but received \[1, 2\]/)
  await refused({ weights: [1, -2, 3] }, /a finite number from 0 for weights\[1\] but received -2/)
  await refused({ weights: [1, Number.NaN, 3] }, /weights\[1\] but received NaN/)
  await refused({ weights: [0, 0, 0] }, /at least one number above 0 for weights/)
  await refused({ weights: 'even' }, /'balanced' or an array of numbers, one a sample, for DataLoader's weights/)
  await refused({ weights: [1, 1, 1], shuffle: false }, /nothing or true together with weights, .* for shuffle/)
  await refused({ replacement: false }, /nothing without weights for replacement but received false/)
  await refused({ numSamples: 3 }, /nothing without weights for numSamples but received 3/)
  const few = range(3, { weights: [1, 0, 0], numSamples: 2, replacement: false })
  await coded(t, () => few.oneBatch(), 'ERR_NO_DATA', /2 samples can't be drawn from 1 whose weight is above 0/)
  await coded(
    t,
    () => range(3, { weights: 'balanced' }).oneBatch(),
    'ERR_INVALID_ARG',
    /needs one class number a sample/,
  )
})
