// What of the data block compiles, and what doesn't: checked by tsc with the rest of the tests.
import { Readable } from 'node:stream'
import test from 'ava'
import {
  type BatchSource,
  CategoryBlock,
  DataLoader,
  DataLoaders,
  GrandparentSplitter,
  ImageDataLoaders,
  type ImageDataLoadersOptions,
  IterableDataset,
  type Label,
  MultiCategoryBlock,
  RegressionBlock,
  type Sample,
  type SampleStream,
  TargetBlock,
  type TargetEncoder,
  type Tensor,
  tensor,
} from 'torch-learner'

class OwnBlock extends TargetBlock {
  override setup(labels: readonly Label[], where: (index: number) => string): TargetEncoder {
    return new CategoryBlock().setup(labels.map(String), where)
  }
}

test('forms that fit', t => {
  const samples: Sample[] = [
    [1, 2],
    [[1, 2], 3],
    [Buffer.from('ab'), 1],
    { x: new Float32Array(3), y: 1 },
    { x: { data: new Uint8Array(12), shape: [3, 2, 2] }, y: [1, 0] },
    { x: tensor([1]) },
    [tensor([1]), tensor([2]), tensor([3])],
    { x: [new Float32Array(2), new Float32Array(2)], y: true },
  ]
  const streams: SampleStream[] = [
    samples,
    new Set(samples),
    Readable.from(samples),
    () => samples,
    async () => samples,
    function* () {
      yield* samples
    },
    async function* () {
      yield { x: [1], y: 2 }
    },
  ]
  const options: ImageDataLoadersOptions[] = [
    { yBlock: CategoryBlock },
    { yBlock: new CategoryBlock({ vocab: ['a', 'b'] }) },
    { yBlock: MultiCategoryBlock, weights: (file, label) => file.length + String(label).length },
    { yBlock: new RegressionBlock({ nOut: 2 }), splitter: GrandparentSplitter() },
    { yBlock: OwnBlock, splitter: paths => [[0], [paths.length - 1]] },
    { weights: 'balanced', numSamples: 5, replacement: false },
  ]
  const loader: AsyncIterable<Tensor[]> = new DataLoader(new Set(samples), { weights: undefined })
  const source: BatchSource = new IterableDataset(() => samples, { n: 1, window: 5 })
  const made: () => Promise<DataLoaders> = () => DataLoaders.from(samples, () => samples, { bs: 2, validN: 3, c: 2 })
  const listed: () => Promise<ImageDataLoaders> = () => ImageDataLoaders.fromLists('.', ['a'], [['x', 'y']])
  t.deepEqual([samples.length, streams.length, options.length, source.length], [8, 7, 6, 1])
  t.deepEqual([typeof loader, typeof made, typeof listed], ['object', 'function', 'function'])
})

test('what the compiler refuses', async t => {
  // @ts-expect-error strings are no numbers
  const sample: Sample = { x: 'cat', y: 1 }
  const refused: (() => unknown)[] = [
    // @ts-expect-error there is no such option
    () => new DataLoader([sample], { batchSize: 3 }),
    // @ts-expect-error weights are numbers, or balanced
    () => new DataLoader([sample], { weights: 'even' }),
    // @ts-expect-error a source is iterated over
    () => new IterableDataset(5),
    // @ts-expect-error a kind of target is a class or an object
    () => ImageDataLoaders.fromLists('.', ['a'], ['x'], { yBlock: 'category' }),
    // @ts-expect-error labels of one picture are of one kind
    () => ImageDataLoaders.fromLists('.', ['a'], [['x', 1]], { bs: '2' }),
    // @ts-expect-error there is no such option
    () => DataLoaders.from([[1, 2]], undefined, { batch: 3 }),
    // @ts-expect-error vocab is a list
    () => new CategoryBlock({ vocab: 'cats' }),
  ]
  for (const make of refused) await t.throwsAsync(async () => await make(), { code: 'ERR_INVALID_ARG' })
})
