import { scope, type Tensor } from '../../tensor/index.js'

/**
 * An exponential moving average without the bias towards its start: `val <- beta * val + (1 - beta) * loss`, shown as
 * `val / (1 - beta^count)`. Kept as a tensor: smoothing a loss needs no round trip to JavaScript.
 */
export class SmoothLoss {
  readonly #beta: number
  #val: Tensor | null = null
  #count = 0

  constructor(beta: number) {
    this.#beta = beta
  }

  /** Batches taken in since the last reset. */
  get count(): number {
    return this.#count
  }

  reset(): void {
    this.release()
    this.#count = 0
  }

  /** Frees the tensor; the count stays. */
  release(): void {
    this.#val?.dispose()
    this.#val = null
  }

  /** What it has come to, for {@link load}: nothing before the first loss. */
  get sum(): Tensor | null {
    return this.#val
  }

  /** Goes on from there. */
  load(sum: Tensor | undefined, count: number): void {
    this.release()
    this.#val = sum ? sum.clone().keep() : null
    this.#count = count
  }

  /** Takes in a loss and returns the smoothed value so far, `()`. */
  next(loss: Tensor): Tensor {
    const mean = loss.detach().mean()
    const before = this.#val
    this.#val = mean.lerp(before ?? mean.newZeros([]), this.#beta).keep()
    before?.dispose()
    this.#count += 1
    return this.#value(this.#val)
  }

  /** The smoothed value so far, `null` before the first. */
  current(): Promise<number | null> {
    const val = this.#val
    return val ? scope(() => this.#value(val).item()) : Promise.resolve(null)
  }

  #value(val: Tensor): Tensor {
    return val.div(1 - this.#beta ** this.#count)
  }
}
