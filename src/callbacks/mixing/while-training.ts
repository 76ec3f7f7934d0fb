import { Callback } from '../../learner/index.js'

/** Base of callbacks that change something of a Learner's while it trains only: {@link putBack} is called however that ends. */
export abstract class WhileTraining extends Callback {
  /** Puts back what the callback has changed, if it has: it may be called several times. */
  protected abstract putBack(): void

  override afterTrain(): void {
    this.putBack()
  }

  override afterCancelTrain(): void {
    this.putBack()
  }

  override afterCancelEpoch(): void {
    this.putBack()
  }

  override afterCancelFit(): void {
    this.putBack()
  }

  override afterFit(): void {
    this.putBack()
  }

  override cleanup(): void {
    this.putBack()
  }
}
