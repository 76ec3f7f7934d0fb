import { checkOptions, field, positive, strictObject } from '../check/index.js'
import { Callback } from '../learner/index.js'
import { own } from '../tensor/index.js'

/** Options of {@link GradientClip}. */
export interface GradientClipOptions {
  /** The largest norm that all gradients together may have; above 0. Default 1. */
  maxNorm?: number
  /** Which norm: 2, 1, ... or Infinity (the largest element). Default 2. */
  normType?: number
}

const schema = strictObject({
  maxNorm: positive.optional(),
  normType: field<number>(positive.what, value => value === Infinity || positive.takes(value)).optional(),
})
const clip = own.clipGradNorm_

/**
 * Scales all gradients down together when their norm exceeds a limit, before each step: PyTorch's `clip_grad_norm_`, as
 * one native call. Keeps a single bad batch from throwing the weights far away.
 *
 * @example await learn.fitOneCycle(5, { cbs: new GradientClip({ maxNorm: 0.1 }) })
 */
export class GradientClip extends Callback {
  override order = 11 // after MixedPrecision has divided by its scale
  readonly maxNorm: number
  readonly normType: number

  /** @param options the largest norm, or {@link GradientClipOptions} */
  constructor(options: number | GradientClipOptions = {}) {
    super()
    const given = typeof options === 'number' ? { maxNorm: options } : options
    const { maxNorm = 1, normType = 2 } = checkOptions(schema, given, 'GradientClip')
    this.maxNorm = maxNorm
    this.normType = normType
  }

  override beforeStep(): void {
    clip(this.learn.model.parameters(), this.maxNorm, this.normType)
  }
}
