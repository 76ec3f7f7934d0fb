import { mark, type Tensor } from '../../tensor/index.js'

/** Batches that may be queued before the loop waits: one computes while JavaScript records the next. */
const DEPTH = 2

/**
 * What the loop has queued on the native stream and not yet heard back from: batches under way, and numbers on their way
 * to JavaScript. A failure is remembered and thrown at the next batch, so no rejection ever goes unhandled or unseen.
 */
export class Pipeline {
  #batches: Promise<void>[] = []
  #reads = new Set<Promise<void>>()
  #failure: { error: unknown } | null = null

  /** Waits until there is room for another batch; throws what has failed since. */
  async admit(): Promise<void> {
    while (this.#batches.length >= DEPTH) await this.#batches.shift()
    this.#throwFailure()
  }

  /** Everything of a batch has been queued. */
  launched(): void {
    this.#batches.push(this.#guard(mark()))
  }

  /** Hands the number in a one-element tensor to `sink` once it has been computed. The tensor may be freed at once. */
  observe(scalar: Tensor, sink: (value: number) => void): void {
    const read = this.#guard(scalar.item().then(sink))
    this.#reads.add(read)
    void read.then(() => this.#reads.delete(read))
  }

  /** Waits for all numbers asked for so far. */
  async observed(): Promise<void> {
    await Promise.all(this.#reads)
    this.#throwFailure()
  }

  /** Waits for everything; throws what nobody has read of it and nobody can read any more. */
  async drain(): Promise<void> {
    this.launched()
    await Promise.all(this.#batches.splice(0))
    await this.observed()
  }

  /** Waits for everything after the run has failed; the error that ended it came first, later ones follow from it. */
  async abandon(): Promise<void> {
    await Promise.all([...this.#batches.splice(0), ...this.#reads])
    this.#failure = null
  }

  #guard(promise: Promise<void>): Promise<void> {
    return promise.catch((error: unknown) => {
      this.#failure ??= { error }
    })
  }

  #throwFailure(): void {
    if (!this.#failure) return
    const { error } = this.#failure
    this.#failure = null
    throw error
  }
}

/** Runs `body` with a pipeline of its own: whatever is left in it then is given up, and the former one goes on. */
export async function withOwnPipeline<T>(learn: { pipeline: Pipeline }, body: () => Promise<T>): Promise<T> {
  const { pipeline } = learn
  learn.pipeline = new Pipeline()
  try {
    return await body()
  } finally {
    await learn.pipeline.abandon()
    learn.pipeline = pipeline
  }
}
