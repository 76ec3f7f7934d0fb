// DataLoaders: what a Learner gets.
import test from 'ava'
import { arange, CrossEntropyLossFlat, DataLoader, DataLoaders, TensorDataset, tensor } from 'torch-learner'
import { coded } from './helpers/pictures.js'

test('two loaders and what is known of them', async t => {
  const loader = new DataLoader(new TensorDataset(arange(4), arange(4)), { bs: 2 })
  const lossFunc = new CrossEntropyLossFlat()
  const dls = new DataLoaders(loader, loader, { vocab: ['a', 'b', 'c'], path: 'here', lossFunc })
  t.is(dls.train, loader)
  t.is(dls.valid, loader)
  t.is(dls.c, 3)
  t.is(dls.path, 'here')
  t.is(dls.lossFunc, lossFunc)
  t.is(dls.device, 'cpu')
  const [x] = await dls.oneBatch()
  t.deepEqual(Array.from(await x.data(), Number), [0, 1])
})

test('anything that yields batches will do', async t => {
  const batches = [[tensor([1]), tensor([2])]]
  t.is(new DataLoaders(batches).valid, undefined)
  t.deepEqual(await new DataLoaders(batches).oneBatch(), batches[0])
  const generated = {
    length: 1,
    async *[Symbol.asyncIterator]() {
      yield* batches
    },
  }
  t.deepEqual(await new DataLoaders(generated, batches).oneBatch(), batches[0])
})

test('bad input', async t => {
  await coded(t, () => Reflect.construct(DataLoaders, [5]), 'ERR_INVALID_ARG', /a loader: .* for train but received 5/)
  await coded(
    t,
    () => Reflect.construct(DataLoaders, [[], {}]),
    'ERR_INVALID_ARG',
    /a loader: .* for valid but received \{\}/,
  )
  await coded(t, () => new DataLoaders([]).oneBatch(), 'ERR_NO_DATA', /^The training loader has no batch$/)
  const wrong = { vocab: 'cats' }
  await coded(
    t,
    () => Reflect.construct(DataLoaders, [[], [], wrong]),
    'ERR_INVALID_ARG',
    /an array of class names for DataLoaders's vocab/,
  )
})

test('from data in any form', async t => {
  const rows = Array.from({ length: 10 }, (_, i) => ({ x: [i, i + 1], y: i % 2 }))
  const dls = await DataLoaders.from(rows, rows.slice(0, 3), { bs: 4, valBs: 2, seed: 1, c: 2, path: 'here' })
  t.deepEqual([dls.c, dls.path, dls.loaders.map(({ length }) => length)], [2, 'here', [2, 2]])
  const train = dls.train as DataLoader
  t.deepEqual([train.shuffle, train.dropLast, train.training], [true, true, true])
  const dataset = { length: 4, get: (i: number) => [i, i] }
  t.is((await DataLoaders.from(dataset, undefined, { bs: 4, shuffle: false })).valid, undefined)
  const refused = (data: unknown, options: object, message: RegExp) =>
    coded(t, () => Reflect.apply(DataLoaders.from, DataLoaders, [data, undefined, options]), 'ERR_INVALID_ARG', message)
  await refused(train, {}, /samples for the data but received .* Loaders go into new DataLoaders/)
  await refused(rows, { n: 3 }, /nothing for samples that can be had by index for n/)
  await refused(() => rows, { n: 3, window: 5 }, /nothing without shuffle: true for window/)
  await refused(rows, { window: 5, shuffle: true }, /nothing for samples that can be had by index for window/)
  const balanced = await DataLoaders.from(rows, rows, { bs: 2, weights: 'balanced', numSamples: 6 })
  t.deepEqual(
    balanced.loaders.map(({ n }) => n),
    [6, 10],
  )
})

test('the same data with other options', async t => {
  const set = new TensorDataset(arange(10), arange(10))
  const dls = new DataLoaders(
    new DataLoader(set, { bs: 4, shuffle: true, dropLast: true }),
    new DataLoader(set, { bs: 4 }),
    {
      vocab: ['a', 'b'],
      path: 'here',
    },
  )
  const small = dls.new({ bs: 3, shuffle: false })
  t.deepEqual([small.vocab, small.path, small.loaders.map(({ length }) => length)], [['a', 'b'], 'here', [3, 4]])
  t.deepEqual(Array.from(await (await small.oneBatch())[0].data(), Number), [0, 1, 2])
  t.deepEqual(
    dls.new().loaders.map(({ length }) => length),
    [2, 3],
  )
  await coded(t, () => new DataLoaders([[tensor([1])]]).new(), 'ERR_STATE', /make them with DataLoader/)
})

test('testDl: inputs, or with labels', async t => {
  const set = new TensorDataset(arange(4), arange(4))
  const dls = new DataLoaders(new DataLoader(set, { bs: 4, shuffle: true }))
  const read = async (items: unknown[], options = {}) => {
    for await (const batch of dls.testDl(items, options)) return await Promise.all(batch.map(part => part.toArray()))
    return []
  }
  t.deepEqual(await read([7, 8]), [[7, 8]])
  t.deepEqual(await read([7, 8], { bs: 1 }), [[7]])
  const labelled = [
    [7, 8],
    [1, 0],
  ]
  t.deepEqual(await read([[7, 1], { x: 8, y: 0 }], { withLabels: true }), labelled)
  t.deepEqual(await read([7, 8], { withLabels: [1, 0] }), labelled)
  const rows = await DataLoaders.from([{ x: [1], y: 0 }], undefined, { bs: 1 })
  for await (const [x, y] of rows.testDl([[5]], { withLabels: [1] })) t.deepEqual([x.shape, y.dtype], [[1, 1], 'int64'])
  await coded(
    t,
    () => dls.testDl([7], { withLabels: [1, 2] }),
    'ERR_INVALID_ARG',
    /1 labels, one an item, for withLabels/,
  )
  await coded(t, () => dls.testDl([]), 'ERR_INVALID_ARG', /an array of items/)
  await coded(t, () => Reflect.apply(dls.testDl, dls, [[1], { labels: 1 }]), 'ERR_INVALID_ARG', /only withLabels, bs/)
})
