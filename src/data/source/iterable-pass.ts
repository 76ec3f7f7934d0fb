import type { Tensor } from '../../tensor/index.js'
import type { BatchPass, LoadContext, PreparedBatch } from './source.js'
import type { SampleReader } from './stream.js'

/** What a pass needs of its dataset. */
export interface PassPlan {
  /** Samples to read at most. */
  readonly n: number
  /** How many samples are held, of which the next is drawn; 1: in order. */
  readonly window: number
  open(): Promise<SampleReader>
  stack(samples: readonly unknown[]): Tensor[]
  /** The source has ended before `n` samples. */
  ended(taken: number): void
}

/** One pass over samples that come one after the other. */
export class IterablePass implements BatchPass {
  readonly #plan: PassPlan
  readonly #held: unknown[] = []
  #reader?: Promise<SampleReader>
  #turn: Promise<unknown> = Promise.resolve()
  #taken = 0
  /** The source has no more, or has failed. */
  #ended = false
  #exhausted = false

  constructor(plan: PassPlan) {
    this.#plan = plan
  }

  /** One batch after the other: their samples come in order. */
  load(indices: Int32Array, context: LoadContext): Promise<PreparedBatch | undefined> {
    const batch = this.#turn.then(() => this.#load(indices.length, context))
    this.#turn = batch.catch(() => undefined) // whoever waits for that batch is told
    return batch
  }

  async close(): Promise<void> {
    if (!this.#reader || this.#exhausted) return
    const reader = await this.#reader.catch(() => undefined) // what can't be opened has told its batch
    await reader?.close(this.#taken >= this.#plan.n)
  }

  async #load(wanted: number, context: LoadContext): Promise<PreparedBatch | undefined> {
    const samples = await this.#read(wanted, context)
    if (samples.length === 0 || (context.full && samples.length < wanted)) return undefined
    return () => this.#plan.stack(samples)
  }

  async #read(wanted: number, { random, signal }: LoadContext): Promise<unknown[]> {
    this.#reader ??= this.#plan.open()
    const reader = await this.#reader
    const samples: unknown[] = []
    while (samples.length < wanted && !signal.aborted) {
      while (this.#held.length < this.#plan.window && this.#wantsMore && !signal.aborted) await this.#pull(reader)
      if (this.#held.length === 0) break
      samples.push(this.#draw(random))
    }
    return samples
  }

  get #wantsMore(): boolean {
    return !this.#ended && this.#taken < this.#plan.n
  }

  async #pull(reader: SampleReader): Promise<void> {
    try {
      const next = await reader.next()
      if (!next.done) {
        this.#taken++
        this.#held.push(next.value)
        return
      }
      this.#exhausted = true
    } catch (error) {
      this.#ended = true
      throw error
    }
    this.#ended = true
    this.#plan.ended(this.#taken)
  }

  #draw(random: () => number): unknown {
    const held = this.#held
    const at = this.#plan.window > 1 ? Math.floor(random() * held.length) : 0
    const drawn = held[at]
    held[at] = held[held.length - 1]
    held.pop()
    return drawn
  }
}
