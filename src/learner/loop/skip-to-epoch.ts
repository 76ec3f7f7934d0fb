import { Callback } from './callback.js'
import { CancelEpoch } from './signals.js'

/** Skips the epochs before `startEpoch`: how a fit resumes. */
export class SkipToEpoch extends Callback {
  override order = 70
  readonly #startEpoch: number

  constructor(startEpoch: number) {
    super()
    this.#startEpoch = startEpoch
  }

  override beforeEpoch(): void {
    if ((this.learn.epoch ?? 0) < this.#startEpoch) throw new CancelEpoch()
  }
}
