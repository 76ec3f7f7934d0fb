import { CancelFit } from '../learner/index.js'
import { type PatientOptions, PatientTracker } from './tracker.js'

/** Options of {@link EarlyStopping}. */
export type EarlyStoppingOptions = PatientOptions

/**
 * Ends the fit when a value of the table hasn't improved for `patience` epochs.
 *
 * @example await learn.fit(100, { cbs: new EarlyStopping({ monitor: 'accuracy', minDelta: 0.01, patience: 3 }) })
 */
export class EarlyStopping extends PatientTracker {
  override order = 63
  /** The epoch after which it ended the last fit, `null` if it didn't. */
  stoppedEpoch: number | null = null

  constructor(options: EarlyStoppingOptions = {}) {
    super(options)
  }

  override beforeFit(): void {
    super.beforeFit()
    if (this.run) this.stoppedEpoch = null
  }

  override afterEpoch(): void {
    if (!this.isOver()) return
    this.stoppedEpoch = this.learn.epoch
    throw new CancelFit()
  }
}
