import { checkOptions, flag, share, strictObject } from '../check/index.js'
import { Callback, CancelTrain, CancelValid } from '../learner/index.js'

/** Options of {@link ShortEpoch}. */
export interface ShortEpochOptions {
  /** The share of each epoch's batches to run, above 0. Default 0.01. */
  pct?: number
  /** Whether validation is shortened too. Default true. */
  shortValid?: boolean
}

const schema = strictObject({ pct: share.optional(), shortValid: flag.optional() })

/**
 * Runs a small part of each epoch: to see that a script works from end to end. A part that was cut short records no
 * values, as in fastai.
 *
 * @example await learn.fit(1, { cbs: new ShortEpoch({ pct: 0.05 }) })
 */
export class ShortEpoch extends Callback {
  readonly pct: number
  readonly shortValid: boolean

  constructor(options: ShortEpochOptions = {}) {
    super()
    const { pct = 0.01, shortValid = true } = checkOptions(schema, options, 'ShortEpoch')
    this.pct = pct
    this.shortValid = shortValid
  }

  override afterBatch(): void {
    const { iter, nIter, training } = this.learn
    if ((iter ?? 0) / nIter < this.pct) return
    if (training) throw new CancelTrain()
    if (this.shortValid) throw new CancelValid()
  }
}
