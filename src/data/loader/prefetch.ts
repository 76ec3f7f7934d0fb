import { AsyncResource } from 'node:async_hooks'
import { aheadOfTurn, type Tensor } from '../../tensor/index.js'
import type { PreparedBatch } from '../source/source.js'

/** One batch on its way; it never rejects, since it may be dropped before anyone looks. */
type Pending = Promise<{ make?: PreparedBatch } | { error: unknown }>

/** The batches of a pass, as indices into the dataset. */
export interface PassPlan {
  readonly length: number
  /** @param position the batch's number in the pass */
  indices(position: number): Int32Array
}

/** What the iterator needs of its loader. */
export interface Feed {
  /** The batches of this pass; asked once, when the first batch is. */
  plan(): Promise<PassPlan>
  /** Nothing: the pass is over, earlier than planned. */
  load(indices: Int32Array, position: number, signal: AbortSignal): Promise<PreparedBatch | undefined>
  /** The last steps, on the tensors: device, transforms. `position` is the batch's number in the pass. */
  finish(make: PreparedBatch, position: number): Tensor[]
  /** The pass is over, or nobody wants more of it. */
  close?(): Promise<void>
}

/**
 * Batches in order, the next `ahead` of them being prepared while the current one is in use. Leaving a `for await` early drops
 * what was prepared.
 */
export class PrefetchIterator implements AsyncIterableIterator<Tensor[], undefined> {
  readonly #feed: Feed
  readonly #ahead: number
  readonly #abort = new AbortController()
  // Datasets may make tensors ahead of their turn: they belong to the scope around the loop, not to that of one step.
  readonly #context = new AsyncResource('torch-learner:prefetch')
  readonly #pending: Pending[] = []
  #plan?: PassPlan
  #started = 0
  /** The number of the next batch in the pass. */
  #next = 0
  #turn: Promise<unknown> = Promise.resolve()
  #closing?: Promise<void>

  constructor(feed: Feed, ahead: number) {
    this.#feed = feed
    this.#ahead = ahead
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Tensor[], undefined>> {
    // one after the other, also when the caller asks twice without waiting
    const result = this.#turn.then(
      () => this.#take(),
      () => this.#take(),
    )
    this.#turn = result
    return result
  }

  /**
   * Passes over the next `count` batches, without preparing them; the order of the pass is drawn all the same.
   * @param count 0 or more
   */
  skip(count: number): Promise<void> {
    const result = this.#turn.then(
      () => this.#skip(count),
      () => this.#skip(count),
    )
    this.#turn = result
    return result
  }

  async #skip(count: number): Promise<void> {
    this.#plan ??= await this.#feed.plan()
    this.#next += count
    const prepared = this.#pending.splice(0, count)
    for (const batch of prepared) void drop(batch)
    this.#started = Math.min(this.#started + count - prepared.length, this.#plan.length)
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#abort.abort()
    for (const batch of this.#pending.splice(0)) void drop(batch)
    const closing = this.#closing ?? this.#feed.close?.()
    this.#closing = closing
    await closing
    return { done: true, value: undefined }
  }

  async #take(): Promise<IteratorResult<Tensor[], undefined>> {
    this.#plan ??= await this.#feed.plan()
    if (this.#abort.signal.aborted) return { done: true, value: undefined }
    this.#fill(1 + this.#ahead)
    const head = this.#pending.shift()
    if (head === undefined) return this.return()
    const outcome = await head
    if (this.#abort.signal.aborted) {
      await drop(head)
      return { done: true, value: undefined }
    }
    try {
      if ('error' in outcome) throw outcome.error
      if (outcome.make) return { done: false, value: this.#feed.finish(outcome.make, this.#next++) }
    } catch (error) {
      await this.return()
      throw error
    }
    return await this.return()
  }

  #fill(wanted: number): void {
    const plan = this.#plan
    while (plan && this.#pending.length < wanted && this.#started < plan.length) {
      const position = this.#started++
      const load = () => this.#load(plan.indices(position), position)
      const place = { part: 'the data loader', batch: position }
      this.#pending.push(this.#context.runInAsyncScope(() => aheadOfTurn(place, load)))
    }
  }

  async #load(indices: Int32Array, position: number): Pending {
    try {
      return { make: await this.#feed.load(indices, position, this.#abort.signal) }
    } catch (error) {
      return { error }
    }
  }
}

/** Frees what a batch that nobody wants holds, once it is there. */
async function drop(pending: Pending): Promise<void> {
  const outcome = await pending
  if ('make' in outcome) outcome.make?.drop?.()
}
