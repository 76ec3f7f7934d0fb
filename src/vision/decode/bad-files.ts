import { TorchLearnerError } from '../../check/index.js'
import type { DecodeOptions } from './decode.js'

/** A sample and its place in the batch. */
export interface Row {
  readonly index: number
  readonly slot: number
}

/** Decodes samples into their places; false when nobody wants them any more. */
export type Decode = (rows: readonly Row[], onBad?: DecodeOptions['onBad']) => Promise<boolean>

/** So many files are named in a warning; the others are counted. */
const NAMED = 5

/** The files that can't be used, and why: found while batches are read. */
export class BadFiles {
  readonly reasons = new Map<string, string>()
  #untold: string[] = []

  note(file: string, { message }: TorchLearnerError): void {
    if (!this.reasons.has(file)) this.#untold.push(message)
    this.reasons.set(file, message)
  }

  /** One warning for all that were found since the last. */
  warn(): void {
    const found = this.#untold.splice(0)
    if (found.length === 0) return
    const named = found.slice(0, NAMED).map(message => message.replace(/^Cannot read the picture /, ''))
    if (found.length > NAMED) named.push(`and ${found.length - NAMED} more`)
    const count = found.length === 1 ? '1 picture' : `${found.length} pictures`
    process.emitWarning(
      `Left out ${count} that can't be read: ${named.join('; ')}. The loaders' badFiles lists all`,
      'TorchLearnerWarning',
    )
  }
}

/**
 * Reads the files of one pass in their order and leaves out bad ones: the next takes its place, so that batches keep their size. One
 * batch after the other, since where a batch begins depends on how many files the one before has used up; the decoder's threads share
 * each batch.
 */
export class PassReader {
  readonly #files: readonly string[]
  readonly #order: Int32Array
  readonly #full: boolean
  readonly #bad: BadFiles
  // Of this pass only: what was bad before is tried again, so that a pass is the same whatever came before it.
  readonly #found = new Set<number>()
  #next = 0
  #any = false
  #turn: Promise<unknown> = Promise.resolve()

  /**
   * @param order the samples of the pass
   * @param full when the samples run out the pass begins again, so that its last batch is full too
   */
  constructor(files: readonly string[], order: Int32Array, full: boolean, bad: BadFiles) {
    this.#files = files
    this.#order = order
    this.#full = full
    this.#bad = bad
  }

  /**
   * The next `wanted` samples of the pass, decoded; fewer at its end.
   *
   * @throws TorchLearnerError `ERR_NO_DATA` when no file of the pass can be read
   */
  fill(wanted: number, decode: Decode): Promise<readonly Row[]> {
    const next = () => this.#fill(wanted, decode)
    const rows = this.#turn.then(next, next)
    this.#turn = rows
    return rows
  }

  async #fill(wanted: number, decode: Decode): Promise<readonly Row[]> {
    const rows: Row[] = []
    let free = Array.from({ length: wanted }, (_, slot) => slot)
    while (free.length > 0) {
      const tried = this.#take(free.length).map((index, i) => ({ index, slot: free[i] }))
      if (tried.length === 0) break
      const bad = new Set<number>()
      const wantedStill = await decode(tried, (i, error) => {
        bad.add(i)
        this.#found.add(tried[i].index)
        this.#bad.note(this.#files[tried[i].index], error)
      })
      if (!wantedStill) return []
      rows.push(...tried.filter((_, i) => !bad.has(i)))
      free = free.filter((_, i) => i >= tried.length || bad.has(i))
    }
    this.#any ||= rows.length > 0
    if (this.#any) return rows
    const first = this.#bad.reasons.get(this.#files[this.#order[0]])
    throw new TorchLearnerError(
      'ERR_NO_DATA',
      `None of the ${this.#order.length} pictures of a pass can be read, the first: ${first}`,
    )
  }

  /** The next samples; those found to be bad are left out when a pass begins again. */
  #take(count: number): number[] {
    const order = this.#order
    const taken: number[] = []
    for (let seen = 0; taken.length < count && seen < order.length; seen++) {
      if (this.#next === order.length) {
        if (!this.#full) break
        this.#next = 0
      }
      const index = order[this.#next++]
      if (!this.#found.has(index)) taken.push(index)
    }
    return taken
  }
}
