// What samples become: dtypes, shapes, whole batches.
import test from 'ava'
import { DataLoader, DataLoaders, IterableDataset, type Sample, tensor } from 'torch-learner'
import { coded } from './helpers/pictures.js'

test('dtypes: by the array, by what it is for, and the same in every batch', async t => {
  const types = async (samples: Sample[], options = {}) =>
    (await new DataLoader(samples, { bs: 2, ...options }).oneBatch()).map(x => `${x.dtype} ${x.shape}`)
  t.deepEqual(
    await types([
      [1, 2],
      [3, 4],
    ]),
    ['float32 2', 'int64 2'],
  )
  t.deepEqual(
    await types([
      { x: [1, 2], y: 1 },
      { x: [3, 4], y: 0 },
      { x: [3, 4], y: 0.5 },
    ]),
    ['float32 2,2', 'float32 2'],
  )
  t.deepEqual(
    await types([
      [Buffer.from([1, 2, 3]), true],
      [Buffer.from([4, 5, 6]), false],
    ]),
    ['uint8 2,3', 'int64 2'],
  )
  t.deepEqual(
    await types([
      [new Float64Array(2), new Int32Array(1)],
      [new Float64Array(2), new Int32Array(1)],
    ]),
    ['float32 2,2', 'int64 2,1'],
  )
  t.deepEqual(await types([[new BigInt64Array(2), new Uint16Array(1)]], { bs: 1 }), ['int64 1,2', 'int64 1,1'])
  const shaped = { data: new Uint8Array(12), shape: [3, 2, 2] }
  t.deepEqual(await types([{ x: shaped }, { x: shaped }]), ['uint8 2,3,2,2'])
  t.deepEqual(await types([[[new Float32Array(3), new Float32Array(3)], 1]]), ['float32 1,2,3', 'int64 1'])
  t.deepEqual(await types([[1, 2, 3]], { nInp: 1 }), ['float32 1', 'int64 1', 'int64 1'])
  const bytes = await new DataLoader([[Buffer.from([7, 250])]], {}).oneBatch()
  t.deepEqual(await bytes[0].toArray(), [[7, 250]])
})

test('ready batches', async t => {
  const source = () => [
    {
      x: tensor([
        [1, 2],
        [3, 4],
      ]),
      y: new Int32Array([0, 1]),
    },
    { x: [[5, 6]], y: [1] },
  ]
  const loader = new DataLoader(new IterableDataset(source, { n: 2, batched: true }))
  t.deepEqual([loader.length, loader.bs, loader.writable], [2, 1, false])
  const seen: string[] = []
  for await (const [x, y] of loader) seen.push(`${x.shape} ${x.dtype} ${y.shape} ${y.dtype}`)
  t.deepEqual(seen, ['2,2 float32 2 int64', '1,2 float32 1 int64'])
  await coded(
    t,
    () => new DataLoader(new IterableDataset(source, { n: 2, batched: true }), { bs: 8 }),
    'ERR_INVALID_ARG',
    /nothing where batches come ready for bs/,
  )
  t.is(loader.new({ shuffle: true, dropLast: false }).shuffle, false)
  await coded(
    t,
    () => DataLoaders.from(source, undefined, { batched: true, shuffle: true }),
    'ERR_INVALID_ARG',
    /nothing where batches come ready for shuffle/,
  )
  const kept = tensor([[1, 2]])
  const dls = await DataLoaders.from(() => [[kept, kept]], undefined, { batched: true })
  for await (const batch of dls.train) for (const part of batch) part.dispose()
  t.deepEqual(await kept.toArray(), [[1, 2]], "the pipeline's own tensors stay")
})
