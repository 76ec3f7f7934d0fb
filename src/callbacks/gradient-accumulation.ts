import { checkOptions, finite, object, strictObject, whole } from '../check/index.js'
import { Callback, type CallbackState, CancelBatch, readState, type SavedCallbackState } from '../learner/index.js'

/** Options of {@link GradientAccumulation}. */
export interface GradientAccumulationOptions {
  /** Samples between two steps of the optimizer, a whole number of at least 1. Default 32. */
  nAcc?: number
}

const schema = strictObject({ nAcc: whole(1, Infinity, 'a whole number of at least 1').optional() })

/**
 * Steps only once `nAcc` samples have been seen: the gradients of large batches in the memory of small ones. Losses are
 * weighed by their batch's share of `nAcc`, so that gradients are means over samples when `nAcc` is a multiple of the
 * batch size; the recorded loss is the plain one.
 *
 * Counting goes on from one epoch to the next. Gradients left over when the fit ends are dropped. Batch normalisation
 * still sees the small batches.
 *
 * @example await learn.fit(1, { cbs: new GradientAccumulation({ nAcc: 256 }) })
 */
export class GradientAccumulation extends Callback {
  override order = 6
  override runValid = false
  readonly nAcc: number
  #seen = 0

  /** @param options samples between two steps, or {@link GradientAccumulationOptions} */
  constructor(options: number | GradientAccumulationOptions = {}) {
    super()
    const given = typeof options === 'number' ? { nAcc: options } : options
    this.nAcc = checkOptions(schema, given, 'GradientAccumulation').nAcc ?? 32
  }

  override beforeFit(): void {
    this.#seen = 0
  }

  override afterLoss(): void {
    const { learn } = this
    if (learn.lossGrad) learn.lossGrad = learn.lossGrad.div(this.nAcc / learn.bs)
  }

  override beforeStep(): void {
    this.#seen += this.learn.bs
    if (this.#seen < this.nAcc) throw new CancelBatch()
    this.#seen = 0
  }

  override saveState(): CallbackState {
    return { values: { seen: this.#seen } }
  }

  override loadState(state: SavedCallbackState): void {
    this.#seen = readState(this.label, state, object({ seen: finite })).values.seen
  }

  override cleanup(): void {
    if (this.#seen > 0) this.learn.opt?.zeroGrad()
    this.#seen = 0
  }
}
