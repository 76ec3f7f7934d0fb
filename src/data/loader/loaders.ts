import { checkOptions, invalidArgument, TorchLearnerError } from '../../check/index.js'
import type { Loss } from '../../nn/index.js'
import type { Tensor } from '../../tensor/index.js'
import { type ShowBatchOptions, showBatch } from '../show.js'
import type { DataLoaderOptions, TestDlOptions } from './loader-options.js'
import { type DataLoadersFromOptions, type DataSource, loadersFrom } from './loaders-from.js'
import { type DataLoadersOptions, Options } from './loaders-options.js'

/** What {@link DataLoaders} take: a DataLoader, an array of batches, anything that yields batches and knows how many. */
export type Loader = (AsyncIterable<readonly Tensor[]> | Iterable<readonly Tensor[]>) & {
  /** Batches in a pass. */
  readonly length: number
  /** Samples in a pass, where known. */
  readonly n?: number
  readonly bs?: number
  /** How many tensors a batch has, where that is known beforehand. */
  readonly width?: number
  /** Each batch has tensors of its own: whoever gets it may dispose it. */
  readonly fresh?: boolean
  /** See {@link BatchLoader.getState}: what a loader with random numbers of its own needs so that a fit can resume. */
  getState?(): unknown
  /** Takes back what `getState` gave. */
  setState?(state: unknown): void
  /** Undoes the batch transforms, for showing. */
  decode?(batch: readonly Tensor[]): Tensor[]
  /** Batches of other items, prepared in the same way: see {@link DataLoaders.testDl}. */
  forItems?(items: readonly unknown[], options?: TestDlOptions): Loader
  /** The same data with other options. */
  new?(options: DataLoaderOptions): Loader
}

/**
 * A training and a validation loader, and what a Learner wants to know of them.
 *
 * @example const dls = new DataLoaders(new DataLoader(train, { bs: 32, shuffle: true }), new DataLoader(valid, { bs: 32 }))
 */
export class DataLoaders {
  /** Training, validation. */
  readonly loaders: readonly Loader[]
  readonly path: string
  readonly device: string
  readonly vocab?: readonly string[]
  readonly c?: number
  readonly nInp?: number
  readonly lossFunc?: Loss

  /**
   * @param train yields batches: inputs, then targets
   * @param valid may be left out: then there is no validation
   * @throws TorchLearnerError `ERR_INVALID_ARG` for something that can't be iterated over or doesn't know its length
   */
  constructor(train: Loader, valid?: Loader, options: DataLoadersOptions = {}) {
    const { path, device, vocab, c, nInp, lossFunc } = checkOptions(Options, options, 'DataLoaders')
    checkLoader(train, 'train')
    if (valid !== undefined) checkLoader(valid, 'valid')
    this.loaders = valid === undefined ? [train] : [train, valid]
    this.path = path
    this.device = device
    this.vocab = vocab
    this.c = c ?? vocab?.length
    this.nInp = nInp
    this.lossFunc = lossFunc
  }

  /** The loader of training batches. */
  get train(): Loader {
    return this.loaders[0]
  }

  /** The loader of validation batches, if there is one. */
  get valid(): Loader | undefined {
    return this.loaders[1]
  }

  /**
   * From data in any form: arrays of samples, datasets, anything to iterate over (generator functions, streams; see
   * {@link IterableDataset}). Samples are `{ x, y }` or `[x, y]`. Arrays and datasets are shuffled for training.
   *
   * @throws TorchLearnerError `ERR_INVALID_ARG` for what can't be read, and for a generator or stream without `n`
   * @example const dls = await DataLoaders.from(() => readRows('train'), () => readRows('valid'), { bs: 64, n: 50_000 })
   */
  static async from(train: DataSource, valid?: DataSource, options: DataLoadersFromOptions = {}): Promise<DataLoaders> {
    const { loaders, about } = await loadersFrom(train, valid, options)
    return new DataLoaders(loaders[0], loaders[1], about)
  }

  /**
   * The same data with other options: `dls.new({ bs: 16 })`. `shuffle`, `dropLast`, `weights` and `numSamples` concern training only.
   *
   * @throws TorchLearnerError `ERR_STATE` when the loaders are not DataLoaders
   */
  new(options: DataLoaderOptions = {}): DataLoaders {
    const [train, valid] = this.renewed(options)
    return new DataLoaders(train, valid, this.about)
  }

  /** What is known of the data besides the batches. */
  protected get about(): DataLoadersOptions {
    const { path, device, vocab, c, nInp, lossFunc } = this
    return { path, device, vocab, c, nInp, lossFunc }
  }

  /** The loaders with other options. */
  protected renewed(options: DataLoaderOptions): [train: Loader, valid?: Loader] {
    const { shuffle, dropLast, weights, numSamples, ...both } = options
    const made = this.loaders.map((loader, i) => {
      if (loader.new) return loader.new(i === 0 ? options : both)
      throw new TorchLearnerError('ERR_STATE', 'Loaders of ready batches take no options: make them with DataLoader')
    })
    return [made[0], made[1]]
  }

  /** The first training batch. */
  async oneBatch(): Promise<Tensor[]> {
    for await (const batch of this.train) return [...batch]
    throw new TorchLearnerError('ERR_NO_DATA', 'The training loader has no batch')
  }

  /**
   * Batches of new items, prepared like those of validation: fastai's `test_dl`.
   *
   * @param items what the dataset is made of: pictures' paths for `ImageDataLoaders`, else inputs (arrays of numbers, tensors)
   * @param options `withLabels`: with targets too. See {@link TestDlOptions}
   * @throws TorchLearnerError `ERR_INVALID_ARG` for something else; `ERR_STATE` when the loaders are not DataLoaders
   * @example const { preds } = await learn.getPreds({ dl: dls.testDl(['a.jpg', 'b.jpg']) })
   */
  testDl(items: readonly unknown[], options: TestDlOptions = {}): Loader {
    const made = (this.valid ?? this.train).forItems?.(items, options)
    if (made) return made
    throw new TorchLearnerError(
      'ERR_STATE',
      'Loaders of ready batches can take no other items: make them with DataLoader or ImageDataLoaders',
    )
  }

  /**
   * Draws a batch's pictures with their labels to a PNG or SVG file.
   *
   * @param options `b`: the batch to show, inputs then targets, as the loader gives it (normalised) or as a callback made it; default:
   * the first training batch. See {@link ShowBatchOptions}
   * @returns the file's path
   * @throws TorchLearnerError `ERR_INVALID_ARG` when the inputs aren't pictures `(N, 1, H, W)` or `(N, 3, H, W)`
   * @example await dls.showBatch({ rows: 3, cols: 3, file: 'batch.png' })
   */
  async showBatch(options: ShowBatchOptions = {}): Promise<string> {
    if (options.b !== undefined) return await showBatch(options.b, this, options)
    const batch = await this.oneBatch()
    try {
      return await showBatch(batch, this, options)
    } finally {
      if (this.train.fresh) for (const tensor of batch) tensor.dispose()
    }
  }
}

function checkLoader(loader: unknown, name: string): void {
  const fits =
    typeof loader === 'object' &&
    loader !== null &&
    (Symbol.asyncIterator in loader || Symbol.iterator in loader) &&
    'length' in loader &&
    typeof loader.length === 'number'
  if (fits) return
  const hint = 'DataLoaders.from makes loaders of arrays, generator functions, streams and datasets'
  throw invalidArgument(name, 'a loader: something to iterate over batches, with a length,', loader, hint)
}
