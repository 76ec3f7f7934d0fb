import type { Loss } from '../nn/losses.js'
import type { Tensor } from '../tensor/index.js'

/** Inputs, then targets: `(N, ...)` each. */
export type Batch = readonly Tensor[]

/** Anything that yields batches and knows how many: a DataLoader, an array of batches, a generator's object. */
export type BatchLoader = (AsyncIterable<Batch> | Iterable<Batch>) & {
  /** Batches in one pass. */
  readonly length: number
  /**
   * The same data with other options, if the loader can: predictions are made in order, and for every row; `training`
   * asks for the transforms of training.
   */
  new?(options: { shuffle?: boolean; dropLast?: boolean; training?: boolean }): BatchLoader
  /** Batches are made anew for the consumer: the Learner frees them after use. Default: they belong to the loader. */
  readonly fresh?: boolean
  /** Fresh batches lie in memory of their own too, which nobody else looks at: callbacks may change them in place. */
  readonly writable?: boolean
  /** Undoes what was done to the inputs, for showing them. */
  decode?(batch: Batch): Tensor[]
}

/** What a Learner needs of its data; `DataLoaders` is the usual one. */
export interface LearnerData {
  readonly train: BatchLoader
  /** Without it (or empty) there is no validation loss. */
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

/** A loader of the same data, unshuffled and complete; the loader itself if it can't make one. */
export function inOrder(loader: BatchLoader): BatchLoader {
  return loader.new?.({ shuffle: false, dropLast: false }) ?? loader
}

/** How many of a batch's tensors are inputs. */
export function inputCount(nInp: number | undefined, batchLength: number): number {
  return nInp ?? (batchLength === 1 ? 1 : batchLength - 1)
}

/** The batches of a loader, until `signal` aborts: then even the wait for the next one ends at once. */
export async function* batches(loader: BatchLoader, signal?: AbortSignal): AsyncGenerator<Batch, void, undefined> {
  if (!signal) {
    yield* loader
    return
  }
  const listening = new AbortController()
  const aborted = new Promise<typeof ABORTED>(resolve => {
    signal.addEventListener('abort', () => resolve(ABORTED), { once: true, signal: listening.signal })
  })
  const source = Symbol.asyncIterator in loader ? loader[Symbol.asyncIterator]() : loader[Symbol.iterator]()
  let exhausted = false
  try {
    while (!signal.aborted) {
      const next = await Promise.race([source.next(), aborted])
      if (next === ABORTED) return
      exhausted = next.done === true
      if (next.done) return
      yield next.value
    }
  } finally {
    listening.abort()
    const closing = exhausted ? undefined : source.return?.()
    if (!signal.aborted) await closing // after an abort a loader that hangs must not hold us up
  }
}

const ABORTED = Symbol('aborted')
