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
