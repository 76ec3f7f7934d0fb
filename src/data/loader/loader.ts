import { checkOptions, invalidArgument, type Output, TorchLearnerError } from '../../check/index.js'
import { Generator, hostRandom, rng, scope, Tensor } from '../../tensor/index.js'
import { type BatchPass, type BatchSource, type Dataset, samplesOf } from '../source/source.js'
import type { SampleStream } from '../source/stream.js'
import { toSource } from '../source/to-source.js'
import { deferred, fuse } from './channelwise.js'
import { inputCount, type Sample } from './collate.js'
import { type DataLoaderOptions, IN_ORDER, Options, type TestDlOptions, TestOptions } from './loader-options.js'
import { SampleOrder } from './order.js'
import { PrefetchIterator } from './prefetch.js'
import { Mt19937 } from './random.js'
import { BatchTransform, pipeline } from './transform.js'

/** What {@link DataLoader.getState} gives; JSON can say it. */
export interface LoaderState {
  /** The state of the loader's own generator, `null` without a `seed`. */
  generator: string | null
}

/**
 * Batches of a dataset, as often as wanted: each `for await` over it is a new pass, and several may run at once.
 *
 * @example
 * const dl = new DataLoader(new TensorDataset(x, y), { bs: 32, shuffle: true })
 * for await (const [xb, yb] of dl) console.log(xb.shape)
 */
export class DataLoader implements AsyncIterable<Tensor[]> {
  /** Every batch has tensors of its own: whoever gets it may dispose it. */
  readonly fresh = true
  readonly dataset: BatchSource
  readonly bs: number
  readonly shuffle: boolean
  readonly dropLast: boolean
  readonly training: boolean
  readonly device: string
  #batchTfms: readonly BatchTransform[]
  #steps: readonly BatchTransform[]
  #options: Output<typeof Options>
  readonly #generator?: Mt19937
  readonly #order: SampleOrder

  /**
   * @param dataset an array of samples `[input, target]` or `{ x, y }`, a {@link Dataset}, a {@link TensorDataset}, something to iterate
   * over ({@link IterableDataset}) or another {@link BatchSource}
   * @param options see {@link DataLoaderOptions}
   * @throws TorchLearnerError `ERR_INVALID_ARG` for a wrong option; `ERR_NO_DATA` for a dataset without samples, and for one with
   * fewer samples than a batch when the last batch is dropped
   */
  constructor(dataset: BatchSource | Dataset | readonly Sample[] | SampleStream, options: DataLoaderOptions = {}) {
    const checked = checkOptions(Options, options, 'DataLoader')
    this.#options = checked
    this.dataset = toSource(dataset, checked.nInp)
    const { batched = false } = this.dataset
    if (batched && checked.bs !== undefined && checked.bs !== 1) {
      throw invalidArgument('bs', 'nothing where batches come ready', checked.bs)
    }
    this.bs = checked.bs ?? (batched ? 1 : 64)
    this.#order = new SampleOrder(this.dataset, checked)
    this.shuffle = this.#order.shuffle
    this.dropLast = checked.dropLast
    this.training = checked.training ?? this.shuffle
    this.device = checked.device
    this.#batchTfms = pipeline(checked.batchTfms, this.training ? 0 : 1)
    this.#steps = fuse(this.#batchTfms)
    if (checked.seed !== undefined) this.#generator = new Mt19937(checked.seed)
    this.#checkLength()
  }

  /** The transforms that take part, in order. */
  get batchTfms(): readonly BatchTransform[] {
    return this.#batchTfms
  }

  /** Adds a transform, in its place by `order`, from the next batch on. */
  addBatchTfm(transform: BatchTransform): void {
    if (!(transform instanceof BatchTransform)) throw invalidArgument('transform', 'a BatchTransform', transform)
    this.#options = { ...this.#options, batchTfms: [...this.#options.batchTfms, transform] }
    this.#batchTfms = pipeline(this.#options.batchTfms, this.training ? 0 : 1)
    this.#steps = fuse(this.#batchTfms)
  }

  /** How many samples a pass has, a last batch that is dropped included. */
  get n(): number {
    return this.#order.n
  }

  /** How many tensors a batch has, where that is known beforehand. */
  get width(): number | undefined {
    return this.dataset.width
  }

  /** Whoever gets a batch may change it in place. */
  get writable(): boolean {
    return this.dataset.writable === true
  }

  /** Batches can only be had one after the other: a resumed fit makes those again that it passes over. */
  get sequential(): boolean {
    return this.dataset.sequential === true || this.dataset.inTurn === true
  }

  /** How many batches a pass has. */
  get length(): number {
    return this.dropLast ? Math.floor(this.n / this.bs) : Math.ceil(this.n / this.bs)
  }

  /**
   * The same items prepared by other transforms: of pictures, `dl.withItemTfms([new Resize(320)])`.
   * @throws TorchLearnerError `ERR_INVALID_ARG` for data that know no such transforms, and for wrong ones
   */
  withItemTfms(itemTfms: readonly unknown[]): DataLoader {
    const source = this.dataset.withItemTfms?.(itemTfms)
    if (source) return new DataLoader(source, this.#options)
    throw invalidArgument('itemTfms', 'nothing, as these data have no transforms of single items,', itemTfms)
  }

  /** The same data with other options: `dl.new({ shuffle: false, dropLast: false })`. Without shuffling weights don't count. */
  new(options: DataLoaderOptions = {}): DataLoader {
    const inOrder = options.shuffle === false && options.weights === undefined
    const weighted = options.weights !== undefined && options.shuffle === undefined
    return new DataLoader(this.dataset, {
      ...this.#options,
      ...(inOrder && IN_ORDER),
      ...(weighted && { shuffle: undefined }),
      ...options,
      ...(this.dataset.batched && { shuffle: false }), // those come as they come
    })
  }

  /**
   * What it takes, beside libtorch's generator, to give the next pass again: the state of its own random numbers, if it
   * has a `seed`. For checkpoints.
   */
  getState(): LoaderState {
    return { generator: this.#generator?.getState() ?? null }
  }

  /**
   * Goes on from what {@link getState} gave, also that of another process's loader made in the same way.
   * @throws TorchLearnerError `ERR_INVALID_ARG` unless both have a `seed`, or neither
   */
  setState(state: unknown): void {
    const generator = typeof state === 'object' && state !== null ? Reflect.get(state, 'generator') : undefined
    if (this.#generator && typeof generator === 'string') this.#generator.setState(generator)
    else if (this.#generator || generator !== null) {
      const expected = this.#generator ? 'the state of a loader with a seed' : 'the state of a loader without a seed'
      throw invalidArgument('state', expected, state)
    }
  }

  /**
   * Batches of other items that are prepared like this loader's in validation: for predictions.
   *
   * @param items what the dataset is made of: pictures' paths for `ImageDataLoaders`, else inputs (arrays of numbers, tensors)
   * @param options see {@link TestDlOptions}
   */
  forItems(items: readonly unknown[], options: TestDlOptions = {}): DataLoader {
    if (!Array.isArray(items) || items.length === 0) throw invalidArgument('items', 'an array of items', items)
    const { withLabels, bs } = checkOptions(TestOptions, options, 'testDl')
    if (typeof withLabels !== 'boolean' && withLabels.length !== items.length) {
      throw invalidArgument('withLabels', `${items.length} labels, one an item,`, withLabels)
    }
    const source = this.dataset.forItems?.(items, withLabels) ?? samplesOf(items, withLabels)
    const size = bs ?? (this.dataset.batched ? undefined : this.bs)
    return new DataLoader(source, { ...this.#options, ...IN_ORDER, bs: size, dropLast: false, training: false })
  }

  [Symbol.asyncIterator](): PrefetchIterator {
    let seed = 0
    let order: Int32Array = new Int32Array()
    const full = this.dropLast
    const pass: BatchPass = this.dataset.open?.(this.shuffle, this.#options.nInp) ?? {
      load: async (...args) => await this.dataset.load(...args),
    }
    return new PrefetchIterator(
      {
        plan: async () => {
          order = await this.#order.indices(this.#generator)
          seed = await this.#passSeed()
          return { length: this.length, indices: i => order.subarray(i * this.bs, (i + 1) * this.bs) }
        },
        load: async (indices, position, signal) => {
          const generator = new Mt19937(seed + position)
          const random = () => generator.uniform()
          return await pass.load(indices, { random, signal, training: this.training, order, full })
        },
        finish: (make, position) => scope(() => this.#finish(make(), this.#ofBatch(seed, position))),
        close: async () => await pass.close?.(),
      },
      this.#options.prefetch,
    )
  }

  /** The first batch of a pass. */
  async oneBatch(): Promise<Tensor[]> {
    for await (const batch of this) return batch
    throw new TorchLearnerError('ERR_NO_DATA', 'The loader has no batch')
  }

  /** A batch as it was before the transforms: pictures in 0 to 1. The given tensors stay as they are. */
  decode(batch: readonly Tensor[]): Tensor[] {
    if (!Array.isArray(batch) || !batch.every(x => x instanceof Tensor))
      throw invalidArgument('batch', 'an array of tensors', batch)
    return batch.map((x, i) => {
      if (i >= inputCount(this.#options.nInp, batch.length)) return x
      return this.batchTfms.reduceRight((value, transform) => transform.decodes(value, this.device), x)
    })
  }

  #finish(batch: Tensor[], generator?: Generator): Tensor[] {
    const finished = batch.map((x, i) => {
      const here = this.device === 'cpu' ? x : x.to({ device: this.device })
      if (i >= inputCount(this.#options.nInp, batch.length)) return here
      const isOurs = this.writable && batch.indexOf(x) === batch.lastIndexOf(x)
      const later = isOurs ? deferred(here, this.#steps, this.device) : null
      const encode = (value: Tensor, step: BatchTransform) => step.encodes(value, this.device, this.training, generator)
      return later ?? this.#steps.reduce(encode, here)
    })
    for (const x of batch) if (!finished.includes(x)) x.dispose()
    return finished
  }

  // Without a seed drawn only where it is used, so that loaders without random items take nothing but their order from libtorch.
  async #passSeed(): Promise<number> {
    const used = (this.training && this.dataset.usesRandom) || (this.shuffle && this.dataset.sequential)
    if (this.#generator) return this.training || used ? this.#generator.integer() : 0
    if (!used) return 0
    await rng.ready()
    return hostRandom.integer(2 ** 31)
  }

  /** What transforms draw from; not the numbers that the items of this batch were prepared with. */
  #ofBatch(passSeed: number, position: number): Generator | undefined {
    return this.#generator && this.training ? new Generator(((passSeed + position) ^ 0x9e3779b9) >>> 0) : undefined
  }

  #checkLength(): void {
    if (this.dataset.length === 0) throw new TorchLearnerError('ERR_NO_DATA', 'The dataset has no samples')
    if (this.length > 0) return
    throw new TorchLearnerError(
      'ERR_NO_DATA',
      `A batch of ${this.bs} is larger than the whole set of ${this.n} samples: choose bs of at most ${this.n}`,
    )
  }
}
