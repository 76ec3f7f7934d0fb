import { field, TorchLearnerError } from '../../check/index.js'
import type { BatchTransform } from '../../data/index.js'
import type { Loss } from '../../nn/index.js'
import type { Tensor } from '../../tensor/index.js'
import { warnLoaderClose } from '../report/warnings.js'
import type { Awaitable } from './events.js'

/** Inputs, then targets: `(N, ...)` each. */
export type Batch = readonly Tensor[]

/** What a loader may be asked to change: see {@link BatchLoader.new}. */
export interface LoaderChanges {
  shuffle?: boolean
  dropLast?: boolean
  training?: boolean
  /** What is done to batches, instead of all that was. */
  batchTfms?: readonly BatchTransform[]
}

/** Anything that yields batches and knows how many: a DataLoader, an array of batches, a generator's object. */
export type BatchLoader = (AsyncIterable<Batch> | Iterable<Batch>) & {
  /** Batches in one pass. */
  readonly length: number
  /**
   * The same data with other options, if the loader can: predictions are made in order, and for every row; `training`
   * asks for the transforms of training.
   */
  new?(options: LoaderChanges): BatchLoader
  /** The same items prepared by other transforms, if the loader can: for `tta`. */
  withItemTfms?(itemTfms: readonly unknown[]): BatchLoader
  /** How many tensors a batch has, where that is known beforehand. */
  readonly width?: number
  /** Every batch is made for its consumer alone: the Learner frees them after use. Default: they belong to the loader. */
  readonly fresh?: boolean
  /** Fresh batches lie in memory of their own too, which nobody else looks at: callbacks may change them in place. */
  readonly writable?: boolean
  /**
   * What it takes to give the pass that begins next again in another process, beside libtorch's CPU generator: whatever
   * JSON can say. A loader that draws random numbers of its own needs it, and {@link setState}, for a fit to resume in
   * the middle (see {@link Checkpoint}); one that gives the same batches in every pass doesn't.
   *
   * An iterator may also have `skip(count)`, which passes over batches without making them.
   */
  getState?(): unknown
  /** Takes back what {@link getState} gave. */
  setState?(state: unknown): void
  /** Batches can only be had one after the other: `skip` isn't asked for. Default false. */
  readonly sequential?: boolean
  /** Undoes what was done to the inputs, for showing them. */
  decode?(batch: Batch): Tensor[]
}

/** What a Learner needs of its data; `DataLoaders` is the usual one. */
export interface LearnerData {
  readonly train: BatchLoader
  /**
   * Without it (or empty) there is no validation loss. Its batches need targets: without them metrics and trackers are refused, and a
   * fit that has neither warns once.
   */
  readonly valid?: BatchLoader
  /** How many tensors of a batch are inputs; default: all but the last, or the only one. */
  readonly nInp?: number
  /** The loss that suits the targets, unless the Learner is given one. */
  readonly lossFunc?: Loss
  /** Where models are saved. */
  readonly path?: string
  /** The classes by number. */
  readonly vocab?: readonly string[]
  /** Batches of new items, prepared like those of validation: what `predict` needs. */
  testDl?(items: readonly unknown[]): BatchLoader
  /** Where to compute: `cpu`, `cuda:0`. Default `cpu`. */
  readonly device?: string
}

/** Whether `value` can be iterated over and knows its length. */
export function isLoader(value: unknown): value is BatchLoader {
  if (typeof value !== 'object' || value === null) return false
  return (
    (Symbol.asyncIterator in value || Symbol.iterator in value) && 'length' in value && typeof value.length === 'number'
  )
}

/** What a Learner takes as its data. */
export const learnerData = field<LearnerData>(
  'DataLoaders, or an object with iterable train (and valid) of known length',
  value => typeof value === 'object' && value !== null && 'train' in value && isLoader(value.train),
)

/** A loader of the same data, unshuffled and complete; the loader itself if it can't make one. */
export function inOrder(loader: BatchLoader): BatchLoader {
  return loader.new?.({ shuffle: false, dropLast: false }) ?? loader
}

/** Where a pass begins that goes on in the middle: see {@link batches}. */
export interface PassStart {
  /** How many batches are passed over. */
  batch: number
  /** Called with the last batch that is passed over, if the loader had to make it. */
  passed(batch: Batch): Awaitable<void>
  /** Called before the first batch that isn't passed over is made. */
  reached(): Awaitable<void>
}

/**
 * The batches of a loader, until `signal` aborts: then even the wait for the next one ends at once.
 *
 * @param start where to begin, if not at the first batch; iterators that have `skip(count)` needn't make what is skipped
 * @param inPlace what the loader's work is done in
 */
export async function* batches(
  loader: BatchLoader,
  signal?: AbortSignal,
  start?: PassStart | null,
  inPlace: <T>(take: () => T) => T = take => take(),
): AsyncGenerator<Batch, void, undefined> {
  const source: Source = Symbol.asyncIterator in loader ? loader[Symbol.asyncIterator]() : loader[Symbol.iterator]()
  const aborted = signal ? new AbortRace(signal) : null
  let exhausted = false
  try {
    if (start) await passOver(source, loader, start)
    while (!signal?.aborted) {
      const next = await (aborted ? aborted.orElse(inPlace(() => source.next())) : inPlace(() => source.next()))
      if (next === ABORTED) return
      exhausted = next.done === true
      if (next.done) return
      yield next.value
    }
  } finally {
    aborted?.stop()
    const closing = exhausted ? undefined : closed(source)
    if (!signal?.aborted) await closing // after an abort a loader that hangs must not hold us up
  }
}

/** Ends a pass before its end. Something else has ended it, which is what the caller is told: a failure here is a warning. */
async function closed(source: Source): Promise<void> {
  try {
    await source.return?.()
  } catch (error) {
    warnLoaderClose(error)
  }
}

type Source = (AsyncIterator<Batch> | Iterator<Batch>) & { skip?(count: number): Awaitable<void> }

async function passOver(source: Source, loader: BatchLoader, { batch, passed, reached }: PassStart): Promise<void> {
  if (source.skip && !loader.sequential) await source.skip(batch)
  else {
    for (let i = 0; i < batch; i++) {
      const next = await source.next()
      if (next.done) {
        const message = `Expected ${batch} batches that a fit has done already but the loader has only ${i}`
        throw new TorchLearnerError('ERR_STATE', `${message}: continue with the same data, or start from the beginning`)
      }
      if (i === batch - 1) await passed(next.value)
      if (loader.fresh) for (const tensor of next.value) tensor.dispose()
    }
  }
  await reached()
}

const ABORTED = Symbol('aborted')

/** Waits for something, or for an abort. Unlike `Promise.race` with one promise, nothing piles up over a long pass. */
class AbortRace {
  readonly #signal: AbortSignal
  #wake: () => void = () => undefined
  readonly #listener = () => this.#wake()

  constructor(signal: AbortSignal) {
    this.#signal = signal
    signal.addEventListener('abort', this.#listener, { once: true })
  }

  orElse<T>(pending: Awaitable<T>): Promise<T | typeof ABORTED> {
    return new Promise((resolve, reject) => {
      this.#wake = () => resolve(ABORTED)
      Promise.resolve(pending).then(resolve, reject)
    })
  }

  stop(): void {
    this.#signal.removeEventListener('abort', this.#listener)
  }
}
