import { z } from 'zod'
import { invalidArgument, TorchLearnerError } from '../native/index.js'
import { hostRandom, rng, scope, type Tensor } from '../tensor/index.js'
import type { Sample } from './collate.js'
import { checkOptions } from './options.js'
import { PrefetchIterator } from './prefetch.js'
import { Mt19937 } from './random.js'
import { type BatchSource, type Dataset, toSource } from './source.js'
import { BatchTransform, pipeline } from './transform.js'

const whole = (from: number) => {
  const error = `a whole number from ${from}`
  return z.number({ error }).int({ error }).min(from, { error })
}
const flag = z.boolean({ error: 'true or false' })
const transforms = z.array(z.instanceof(BatchTransform, { error: 'a BatchTransform' }), {
  error: 'an array of transforms',
})

const Options = z.strictObject({
  bs: whole(1).default(64),
  shuffle: flag.default(false),
  dropLast: flag.default(false),
  training: flag.optional(),
  seed: z.int({ error: 'a whole number' }).optional(),
  prefetch: whole(0).default(2),
  batchTfms: transforms.default([]),
  nInp: whole(1).optional(),
  device: z.string({ error: 'a device such as cpu or cuda:0' }).default('cpu'),
})

/** How a {@link DataLoader} makes batches. */
export interface DataLoaderOptions {
  /** Samples a batch. Default 64. */
  bs?: number
  /** A new random order for every pass, from libtorch's CPU generator (see `manualSeed`) or `seed`. Default false. */
  shuffle?: boolean
  /** Leave out a last batch with fewer than `bs` samples. Default false. */
  dropLast?: boolean
  /** Training batches: random transforms are random, and those for training only take part. Default: as `shuffle`. */
  training?: boolean
  /** Own random numbers instead of libtorch's: the same orders every time the loader is made. */
  seed?: number
  /** How many batches are prepared ahead of the one in use. 0 prepares each when it is asked for. Default 2. */
  prefetch?: number
  /** Done to the inputs of each batch, by their `order`. */
  batchTfms?: readonly BatchTransform[]
  /** How many tensors of a batch are inputs. Default: all but the last, or the only one. */
  nInp?: number
  /** Where batches end up. Default `cpu`. */
  device?: string
}

/**
 * Batches of a dataset, as often as wanted: each `for await` over it is a new pass, and several may run at once.
 *
 * @example
 * const dl = new DataLoader(new TensorDataset(x, y), { bs: 32, shuffle: true })
 * for await (const [xb, yb] of dl) console.log(xb.shape)
 */
export class DataLoader implements AsyncIterable<Tensor[]> {
  /** Every batch is made anew: whoever gets it may dispose it. */
  readonly fresh = true
  readonly dataset: BatchSource
  readonly bs: number
  readonly shuffle: boolean
  readonly dropLast: boolean
  readonly training: boolean
  readonly device: string
  #batchTfms: readonly BatchTransform[]
  #options: z.output<typeof Options>
  readonly #generator?: Mt19937

  /**
   * @param dataset an array of samples `[input, target]`, a {@link Dataset}, a {@link TensorDataset} or another {@link BatchSource}
   * @param options see {@link DataLoaderOptions}
   * @throws TorchLearnerError `ERR_INVALID_ARG` for a wrong option; `ERR_NO_DATA` for a dataset without samples, and for one with
   * fewer samples than a batch when the last batch is dropped
   */
  constructor(dataset: BatchSource | Dataset | readonly Sample[], options: DataLoaderOptions = {}) {
    const checked = checkOptions(Options, options, 'DataLoader')
    this.#options = checked
    this.dataset = toSource(dataset)
    this.bs = checked.bs
    this.shuffle = checked.shuffle
    this.dropLast = checked.dropLast
    this.training = checked.training ?? checked.shuffle
    this.device = checked.device
    this.#batchTfms = pipeline(checked.batchTfms, this.training ? 0 : 1)
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
  }

  /** How many samples there are. */
  get n(): number {
    return this.dataset.length
  }

  /** Whoever gets a batch may change it in place. */
  get writable(): boolean {
    return this.dataset.writable === true
  }

  /** How many batches a pass has. */
  get length(): number {
    return this.dropLast ? Math.floor(this.n / this.bs) : Math.ceil(this.n / this.bs)
  }

  /** The same data with other options: `dl.new({ shuffle: false, dropLast: false })`. */
  new(options: DataLoaderOptions): DataLoader {
    return new DataLoader(this.dataset, { ...this.#options, ...options })
  }

  /**
   * Batches of other items, without targets, that are prepared like this loader's in validation: for predictions.
   *
   * @param items what the dataset is made of: pictures' paths for `ImageDataLoaders`, else inputs (arrays of numbers, tensors)
   */
  forItems(items: readonly unknown[]): DataLoader {
    if (!Array.isArray(items) || items.length === 0) throw invalidArgument('items', 'an array of items', items)
    const source = this.dataset.forItems?.(items) ?? items.map((item): Sample => [item])
    return new DataLoader(source, { ...this.#options, shuffle: false, dropLast: false, training: false })
  }

  [Symbol.asyncIterator](): PrefetchIterator {
    let seed = 0
    return new PrefetchIterator(
      {
        plan: async () => {
          const order = await this.#order()
          seed = await this.#passSeed()
          return Array.from({ length: this.length }, (_, i) => order.subarray(i * this.bs, (i + 1) * this.bs))
        },
        load: async (indices, position, signal) => {
          const generator = new Mt19937(seed + position)
          const random = () => generator.uniform()
          return await this.dataset.load(indices, { random, signal, training: this.training })
        },
        finish: make => scope(() => this.#finish(make())),
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
    return batch.map((x, i) => {
      if (i >= this.#inputs(batch.length)) return x
      return this.batchTfms.reduceRight((value, transform) => transform.decodes(value, this.device), x)
    })
  }

  #finish(batch: Tensor[]): Tensor[] {
    const finished = batch.map((x, i) => {
      const here = this.device === 'cpu' ? x : x.to({ device: this.device })
      if (i >= this.#inputs(batch.length)) return here
      return this.batchTfms.reduce((value, transform) => transform.encodes(value, this.device, this.training), here)
    })
    for (const x of batch) if (!finished.includes(x)) x.dispose()
    return finished
  }

  #inputs(batchLength: number): number {
    return this.#options.nInp ?? (batchLength === 1 ? 1 : batchLength - 1)
  }

  async #order(): Promise<Int32Array> {
    if (!this.shuffle) return Int32Array.from({ length: this.n }, (_, i) => i)
    if (this.#generator) return this.#generator.permutation(this.n)
    await rng.ready()
    return hostRandom.permutation(this.n)
  }

  // Drawn only where it is used, so that loaders without random transforms take nothing but their order from the generator.
  async #passSeed(): Promise<number> {
    if (!(this.training && this.dataset.usesRandom)) return 0
    if (this.#generator) return this.#generator.integer()
    await rng.ready()
    return hostRandom.integer(2 ** 31)
  }

  #checkLength(): void {
    if (this.n === 0) throw new TorchLearnerError('ERR_NO_DATA', 'The dataset has no samples')
    if (this.length > 0) return
    throw new TorchLearnerError(
      'ERR_NO_DATA',
      `A batch of ${this.bs} is larger than the whole set of ${this.n} samples: choose bs of at most ${this.n}`,
    )
  }
}
