import { Callback, CancelFit } from '../learner/index.js'
import { own } from '../tensor/index.js'

const dropUnlessFinite = own.dropUnlessFinite_

/**
 * Ends the fit when a loss is infinite or not a number. Such a batch takes no step, so the weights stay those from before
 * it. The loop doesn't wait for losses: the fit ends a batch or two later, which take no step either if their losses are
 * bad, or at the end of the epoch's training at the latest.
 *
 * @example await learn.fit(10, { cbs: new TerminateOnNaN() })
 */
export class TerminateOnNaN extends Callback {
  override order = -9
  /** Whether it ended the last fit. */
  terminated = false

  override beforeFit(): void {
    this.terminated = false
  }

  override beforeStep(): void {
    const { loss, opt } = this.learn
    if (!loss || !opt) return
    const params = opt.paramGroups.flatMap(group => group.params)
    dropUnlessFinite(params, loss)
  }

  override beforeBatch(): void {
    this.#check()
  }

  override afterBatch(): void {
    const { learn } = this
    if (!learn.loss) return
    learn.observe(learn.loss.detach().sum(), value => {
      if (!Number.isFinite(value)) this.terminated = true
    })
    this.#check()
  }

  override async afterTrain(): Promise<void> {
    await this.learn.observed()
    this.#check()
  }

  override async afterValidate(): Promise<void> {
    await this.learn.observed()
    this.#check()
  }

  #check(): void {
    if (this.terminated) throw new CancelFit()
  }
}
