import { z } from 'zod'
import { invalidArgument, TorchLearnerError } from '../native/index.js'
import { Collator } from './collate.js'
import { checkOptions } from './options.js'
import type { BatchPass, BatchSource, LoadContext, PreparedBatch } from './source.js'
import { type SampleReader, type SampleStream, StreamOpener } from './stream.js'

const count = z.int({ error: 'a whole number from 1' }).min(1, { error: 'a whole number from 1' })
const Options = z.strictObject({
  n: count.optional(),
  batched: z.boolean({ error: 'true or false' }).default(false),
  window: count.default(1000),
  nInp: count.optional(),
})

/** What is known of the samples of an {@link IterableDataset}. */
export interface IterableDatasetOptions {
  /** How many samples (with `batched`: batches) a pass has. Default: the `length` or `size` of what is given, if it has one. */
  n?: number
  /** What comes are whole batches, along the first dimension of each column. Default false: single samples. */
  batched?: boolean
  /** With the loader's `shuffle`: each next sample is drawn from so many that are held in memory. Default 1000. */
  window?: number
  /** How many columns of a sample are inputs. Default: all but the last, or the only one. */
  nInp?: number
}

/**
 * Samples from anything that can be iterated over, synchronously or not: a generator function, a Node stream in object mode, a web
 * `ReadableStream`, the rows of a database. They are read in their order, no further ahead than the loader prefetches; when a pass
 * ends early the iterator's `return()` is called.
 *
 * Each pass begins anew: give a function, or an object that can be iterated over again. A generator or stream that exists already can
 * be gone through once; with `n` each pass takes the next `n` samples of it.
 *
 * @example
 * async function* rows() { for await (const { pixels, label } of table.scan()) yield { x: pixels, y: label } }
 * const dl = new DataLoader(new IterableDataset(rows, { n: 50_000 }), { bs: 64, shuffle: true })
 */
export class IterableDataset implements BatchSource {
  readonly length: number
  readonly batched: boolean
  /** In order only: samples have no index. */
  readonly sequential = true
  readonly #opener: StreamOpener
  readonly #collator: Collator
  readonly #window: number
  #warned = false

  /**
   * @param source what gives samples, or a function that returns it
   * @throws TorchLearnerError `ERR_INVALID_ARG` for something else, and when nobody knows how many samples there are: say `n`, or let
   * {@link IterableDataset.from} count
   */
  constructor(source: SampleStream, options: IterableDatasetOptions = {}) {
    const { n, batched, window, nInp } = checkOptions(Options, options, 'IterableDataset')
    this.#opener = new StreamOpener(source)
    const known = n ?? this.#opener.size
    if (known === undefined) {
      throw invalidArgument(
        'n',
        'the number of samples, which a Learner must know,',
        n,
        'await IterableDataset.from(source) counts them',
      )
    }
    this.length = known
    this.batched = batched
    this.#window = window
    this.#collator = new Collator(nInp)
  }

  /**
   * As the constructor; where nobody says how many samples there are, they are counted by going through them once.
   *
   * @example const set = await IterableDataset.from(() => readRows('train.jsonl'))
   */
  static async from(source: SampleStream, options: IterableDatasetOptions = {}): Promise<IterableDataset> {
    const { n } = checkOptions(Options, options, 'IterableDataset')
    const opener = new StreamOpener(source)
    if ((n ?? opener.size) !== undefined) return new IterableDataset(source, options)
    return new IterableDataset(source, { ...options, n: await opener.count() })
  }

  /** Single samples are copied into their batch; of whole batches the memory may be somebody's. */
  get writable(): boolean {
    return !this.batched
  }

  load(): never {
    throw new TorchLearnerError('ERR_STATE', 'An IterableDataset has no samples by index: give it to a DataLoader')
  }

  open(shuffle: boolean): BatchPass {
    const window = shuffle && !this.batched ? this.#window : 1
    const held: unknown[] = []
    let reader: Promise<SampleReader> | undefined
    let turn: Promise<unknown> = Promise.resolve()
    let taken = 0
    let ended = false
    const pull = async (opened: SampleReader) => {
      if (ended || taken >= this.length) return
      const next = await opened.next()
      if (next.done) {
        ended = true
        this.#checkCount(taken)
      } else {
        taken++
        held.push(next.value)
      }
    }
    const read = async (wanted: number, { random, signal }: LoadContext): Promise<unknown[]> => {
      reader ??= this.#opener.open()
      const opened = await reader
      const samples: unknown[] = []
      while (samples.length < wanted && !signal.aborted) {
        while (held.length < window && !ended && taken < this.length && !signal.aborted) await pull(opened)
        if (held.length === 0) break
        const at = window > 1 ? Math.floor(random() * held.length) : 0
        samples.push(held[at])
        held[at] = held[held.length - 1]
        held.pop()
      }
      return samples
    }
    const load = async (indices: Int32Array, context: LoadContext): Promise<PreparedBatch | undefined> => {
      const samples = await read(indices.length, context)
      if (samples.length === 0) return undefined
      return () => (this.batched ? this.#collator.whole(samples[0]) : this.#collator.stack(samples))
    }
    return {
      // one batch after the other: their samples come in order
      load: (indices, context) => {
        const batch = turn.then(() => load(indices, context))
        turn = batch.catch(() => undefined)
        return batch
      },
      close: async () => {
        if (reader && !ended) await (await reader.catch(() => undefined))?.close(taken >= this.length)
      },
    }
  }

  #checkCount(taken: number): void {
    const what = this.batched ? 'batches' : 'samples'
    if (taken === 0) {
      throw new TorchLearnerError(
        'ERR_NO_DATA',
        `The source of ${what} gave none. What can be gone through once only serves one pass: give a function that makes a new one`,
      )
    }
    if (this.#warned) return
    this.#warned = true
    process.emitWarning(`The source gave ${taken} ${what} where ${this.length} were expected`, 'TorchLearnerWarning')
  }
}

/** Whether something can be read as samples. */
export function isStream(value: unknown): value is SampleStream {
  if (typeof value === 'function') return true
  return typeof value === 'object' && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value)
}
