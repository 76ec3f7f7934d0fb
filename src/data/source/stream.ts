import { invalidArgument, isReadableStream, TorchLearnerError } from '../../check/index.js'
import type { Sample } from '../loader/collate.js'

/** Samples one after the other. */
export type SampleIterable = Iterable<Sample> | AsyncIterable<Sample>
/** Samples one after the other, or a function that begins with the first one again. */
export type SampleStream = SampleIterable | (() => SampleIterable | Promise<SampleIterable>)

/** One pass over the samples. */
export interface SampleReader {
  next(): Promise<IteratorResult<unknown, unknown>>
  /** @param completed the pass has all that it wanted */
  close(completed: boolean): Promise<void>
}

/** Begins passes over a source, and knows which sources can be gone through once only. */
export class StreamOpener {
  readonly #source: SampleStream
  readonly #once: boolean
  #reader?: SampleReader
  #closed = false

  /** @throws TorchLearnerError `ERR_INVALID_ARG` for what can't be iterated over */
  constructor(source: SampleStream) {
    if (typeof source !== 'function' && !isIterable(source)) {
      throw invalidArgument('source', 'something to iterate over, or a function that returns it', source)
    }
    this.#source = source
    this.#once = typeof source !== 'function' && isOnce(source)
  }

  /** How many samples there are, if the source says so. */
  get size(): number | undefined {
    const source: unknown = this.#source
    if (typeof source !== 'object' || source === null || this.#once) return undefined
    const said = 'length' in source ? source.length : 'size' in source ? source.size : undefined
    return typeof said === 'number' && Number.isSafeInteger(said) && said >= 0 ? said : undefined
  }

  async open(): Promise<SampleReader> {
    if (!this.#once) return readerOf(await this.#made())
    if (this.#closed) throw usedUp()
    this.#reader ??= readerOf(this.#source as SampleIterable)
    const { next, close } = this.#reader
    return {
      next: async () => {
        const result = await next()
        this.#closed ||= result.done === true
        return result
      },
      // with `n` the next pass goes on from here
      close: async completed => {
        if (completed) return
        this.#closed = true
        await close(completed)
      },
    }
  }

  /** Goes through the samples once. */
  async count(): Promise<number> {
    if (this.#once) {
      throw invalidArgument('source', ONCE_EXPECTED, this.#source, 'Or say n, the number of samples of a pass')
    }
    const reader = await this.open()
    let n = 0
    while (!(await reader.next()).done) n++
    if (n > 0) return n
    throw new TorchLearnerError('ERR_NO_DATA', 'The source gave no samples')
  }

  async #made(): Promise<SampleIterable> {
    if (typeof this.#source !== 'function') return this.#source
    const made: unknown = await this.#source()
    if (isIterable(made)) return made
    throw invalidArgument("the source function's result", 'something to iterate over', made)
  }
}

const ONCE_EXPECTED = 'a function that returns the samples, since a generator or stream can be gone through once only,'

function usedUp(): TorchLearnerError {
  return new TorchLearnerError(
    'ERR_STATE',
    'The generator or stream of samples was used up by an earlier pass: give a function that makes a new one for each pass, ' +
      'or read it into an array first',
  )
}

function readerOf(source: SampleIterable): SampleReader {
  const iterator: Iterator<unknown> | AsyncIterator<unknown> = iteratorOf(source)
  return {
    next: async () => await iterator.next(),
    close: async () => {
      // a Node stream that waits for data learns of return() only when they have come
      if (isNodeStream(source)) source.destroy()
      await iterator.return?.()
    },
  }
}

function isIterable(value: unknown): value is SampleIterable {
  return typeof value === 'object' && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value)
}

function iteratorOf(source: SampleIterable): Iterator<unknown> | AsyncIterator<unknown> {
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
}

/** Generators are their own iterators; streams are read to their end. */
function isOnce(source: SampleIterable): boolean {
  if (isReadableStream(source) || isNodeStream(source)) return true
  return 'next' in source && typeof source.next === 'function' && Object.is(iteratorOf(source), source)
}

function isNodeStream(source: object): source is { destroy(): unknown } {
  return 'readable' in source && 'read' in source && 'destroy' in source && typeof source.destroy === 'function'
}
