import { checkOptions, object, oneOf, positive, strictObject, whole } from '../check/index.js'
import { Callback, type CallbackState, readState, type SavedCallbackState } from '../learner/index.js'
import { full, own, type Tensor, zeros } from '../tensor/index.js'

/** Options of {@link MixedPrecision}. */
export interface MixedPrecisionOptions {
  /** Default: `bfloat16` on the CPU, `float16` elsewhere. */
  dtype?: 'bfloat16' | 'float16'
  /** With float16: what the loss is multiplied with at first, above 0. Default 65536. */
  initScale?: number
  /** With float16: what the scale grows by. Default 2. */
  growthFactor?: number
  /** With float16: what the scale is multiplied with after an overflow. Default 0.5. */
  backoffFactor?: number
  /** With float16: steps without overflow before it grows. Default 2000. */
  growthInterval?: number
}

const schema = strictObject({
  dtype: oneOf('bfloat16', 'float16').optional(),
  initScale: positive.optional(),
  growthFactor: positive.optional(),
  backoffFactor: positive.optional(),
  growthInterval: whole(1, Infinity, 'a whole number of at least 1').optional(),
})

const unscale = own.unscale_
const { widen } = own

/**
 * Computes matrix products and convolutions in half the bits, all else in float32 (PyTorch's autocast); weights and
 * optimizer stay in float32. bfloat16 needs nothing more. float16 has so small a range that the loss is scaled up before
 * the backward pass and gradients are scaled down again before the step (Micikevicius et al. 2018,
 * https://arxiv.org/abs/1710.03740); a step whose gradients overflow is skipped, natively, and the scale lowered.
 *
 * On CPUs without native bfloat16 instructions (AVX-512 BF16, AMX) it can be slower than float32: measure.
 *
 * @example await learn.fitOneCycle(5, { cbs: new MixedPrecision() })
 */
export class MixedPrecision extends Callback {
  override order = 10
  readonly options: Readonly<MixedPrecisionOptions>
  #scale: Tensor | null = null
  #steps: Tensor | null = null

  constructor(options: MixedPrecisionOptions = {}) {
    super()
    this.options = checkOptions(schema, options, 'MixedPrecision')
  }

  override beforeFit(): void {
    const { learn } = this
    const { dtype = learn.device === 'cpu' ? 'bfloat16' : 'float16', initScale = 65536 } = this.options
    learn.autocast = dtype
    this.#release()
    if (dtype === 'bfloat16') return
    // read by the host in each step: there is nothing to gain from keeping them elsewhere
    this.#scale = full([], initScale, { dtype: 'float32' }).keep()
    this.#steps = zeros([], { dtype: 'int64' }).keep()
  }

  /** Losses and metrics of one's own needn't know of half precision. */
  override afterPred(): void {
    const { learn } = this
    learn.preds = learn.preds.map(pred => widen(pred))
  }

  override beforeBackward(): void {
    const { learn } = this
    if (this.#scale && learn.lossGrad) learn.lossGrad = learn.lossGrad.mul(this.#scale.to({ device: learn.device }))
  }

  override beforeStep(): void {
    const { opt } = this.learn
    if (!this.#scale || !this.#steps || !opt) return
    const { growthFactor = 2, backoffFactor = 0.5, growthInterval = 2000 } = this.options
    const params = opt.paramGroups.flatMap(group => group.params)
    unscale(params, this.#scale, this.#steps, growthFactor, backoffFactor, growthInterval)
  }

  /** What losses are multiplied with now: 1 with bfloat16, and outside of a fit. */
  async scale(): Promise<number> {
    return this.#scale ? await this.#scale.item() : 1
  }

  override saveState(): CallbackState {
    return this.#scale && this.#steps ? { tensors: { scale: this.#scale, steps: this.#steps } } : {}
  }

  override loadState(state: SavedCallbackState): void {
    const { scale, steps } = readState(this.label, state, object({})).tensors
    if (scale) this.#scale?.copy_(scale)
    if (steps) this.#steps?.copy_(steps)
  }

  override cleanup(): void {
    this.learn.autocast = null
    this.#release()
  }

  #release(): void {
    this.#scale?.dispose()
    this.#steps?.dispose()
    this.#scale = null
    this.#steps = null
  }
}
