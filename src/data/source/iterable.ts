import { checkOptions, count, flag, invalidArgument, strictObject, TorchLearnerError } from '../../check/index.js'
import { Collator } from '../loader/collate.js'
import { IterablePass } from './iterable-pass.js'
import type { BatchPass, BatchSource } from './source.js'
import { type SampleStream, StreamOpener } from './stream.js'

const Options = strictObject({
  n: count.optional(),
  batched: flag.default(false),
  window: count.optional(),
})

/** What is known of the samples of an {@link IterableDataset}. */
export interface IterableDatasetOptions {
  /** How many samples (with `batched`: batches) a pass has. Default: the `length` or `size` of what is given, if it has one. */
  n?: number
  /** What comes are whole batches, along the first dimension of each column. Default false: single samples. */
  batched?: boolean
  /** With the loader's `shuffle`: each next sample is drawn from so many that are held in memory. Default 1000. */
  window?: number
}

/**
 * Samples from anything that can be iterated over, synchronously or not: a generator function, a Node stream in object mode, a web
 * `ReadableStream`, the rows of a database. They are read in their order, no further ahead than the loader prefetches; when a pass
 * ends early the iterator's `return()` is called.
 *
 * Each pass starts from the beginning: give a function, or an object that can be iterated over again. A generator or stream that exists already can
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
  readonly #window: number
  #collator?: Collator
  #warned = false

  /**
   * @param source what gives samples, or a function that returns it
   * @throws TorchLearnerError `ERR_INVALID_ARG` for something else, and when nobody knows how many samples there are: say `n`, or let
   * {@link IterableDataset.from} count
   */
  constructor(source: SampleStream, options: IterableDatasetOptions = {}) {
    const { n, batched, window } = checkOptions(Options, options, 'IterableDataset')
    if (batched && window !== undefined) throw invalidArgument('window', 'nothing for whole batches', window)
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
    this.#window = window ?? 1000
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

  /** Single samples are copied into their batch; of whole batches the memory may be someone's. */
  get writable(): boolean {
    return !this.batched
  }

  load(): never {
    throw new TorchLearnerError('ERR_STATE', 'An IterableDataset has no samples by index: give it to a DataLoader')
  }

  open(shuffle: boolean, nInp?: number): BatchPass {
    this.#collator ??= new Collator(nInp)
    const collator = this.#collator
    return new IterablePass({
      n: this.length,
      open: () => this.#opener.open(),
      window: shuffle && !this.batched ? this.#window : 1,
      stack: samples => (this.batched ? collator.whole(samples[0]) : collator.stack(samples)),
      ended: taken => this.#checkCount(taken),
    })
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
