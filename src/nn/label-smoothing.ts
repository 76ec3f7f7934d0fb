import { checkArguments, integer, probability, strictObject } from '../check/index.js'
import type { Tensor } from '../tensor/index.js'
import { nllLoss } from './functional.js'
import { reduction, setWeights, type Weights, weights } from './losses.js'
import { BaseLoss, type FlatOptions } from './losses-flat.js'
import { isTensor } from './validate.js'

const fields = { eps: probability.default(0.1), weight: weights, reduction }
const flatSchema = strictObject({ axis: integer.default(-1), ...fields })
const schema = strictObject(fields)

/** Options of {@link LabelSmoothingCrossEntropyFlat}. */
export interface LabelSmoothingOptions extends FlatOptions {
  /** Share of the target that is spread evenly over all classes, 0 to 1, default 0.1. */
  eps?: number
  /** Weight of each class, `(C)`; in the part of the own class only, unlike PyTorch's `labelSmoothing`. */
  weight?: Weights | null
}

/**
 * Cross entropy whose target is 1 - ε for the own class, plus ε / C for each class (Szegedy et al. 2016, "Rethinking the
 * Inception architecture"), as fastai computes it.
 */
export class LabelSmoothingCrossEntropyFlat extends BaseLoss {
  readonly yInt = true
  readonly eps: number
  declare readonly weight: Tensor | null
  protected override readonly byClass = true

  constructor(options: LabelSmoothingOptions = {}) {
    const checked = checkArguments(flatSchema, options, new.target.name)
    super(checked)
    this.eps = checked.eps
    setWeights(this, 'weight', checked.weight)
  }

  protected measure(pred: Tensor, target: Tensor): Tensor {
    const { eps, weight, reduction } = this
    const logProbabilities = pred.logSoftmax(1)
    const own = nllLoss(logProbabilities, target, { weight, reduction })
    const even = logProbabilities.mean([1]).neg()
    const reduced = reduction === 'none' ? even : reduction === 'sum' ? even.sum() : even.mean()
    return reduced.mul(eps).add(own, { alpha: 1 - eps })
  }

  /** Softmax over the last dimension. */
  override activation(pred: Tensor): Tensor {
    return isTensor('pred', pred).softmax(-1)
  }

  /** The likeliest class, over the last dimension whatever `axis` is, as in fastai. */
  override decodes(pred: Tensor): Tensor {
    return isTensor('pred', pred).argmax(-1)
  }
}

/** {@link LabelSmoothingCrossEntropyFlat} of logits `(N, C, ...)` against indices `(N, ...)` as they are. */
export class LabelSmoothingCrossEntropy extends LabelSmoothingCrossEntropyFlat {
  protected override readonly flatten = false

  constructor(options: Omit<LabelSmoothingOptions, 'axis'> = {}) {
    super(checkArguments(schema, options, 'LabelSmoothingCrossEntropy'))
  }
}
