import { nonNegative, positive } from '../check/index.js'
import { type PatientOptions, PatientTracker } from './tracker.js'

/** Options of {@link ReduceLROnPlateau}. */
export interface ReduceLROnPlateauOptions extends PatientOptions {
  /** What the learning rates are divided by, above 0. Default 10. */
  factor?: number
  /** They don't fall below this. Default 0. */
  minLr?: number
}

const fields = {
  factor: positive.optional(),
  minLr: nonNegative.optional(),
}

/**
 * Divides the learning rates of all groups when a value of the table hasn't improved for `patience` epochs. For fits at a
 * constant rate: a schedule sets it again for each batch.
 *
 * @example await learn.fit(20, { lr: 1e-2, cbs: new ReduceLROnPlateau({ patience: 2 }) })
 */
export class ReduceLROnPlateau extends PatientTracker {
  override order = 62
  readonly factor: number
  readonly minLr: number

  constructor(options: ReduceLROnPlateauOptions = {}) {
    super(options, fields)
    this.factor = options.factor ?? 10
    this.minLr = options.minLr ?? 0
  }

  override afterEpoch(): void {
    if (!this.isOver()) return
    this.wait = 0
    const { opt } = this.learn
    opt?.setHyper(
      'lr',
      opt.paramGroups.map(({ lr }) => Math.max(lr / this.factor, this.minLr)),
    )
  }
}
