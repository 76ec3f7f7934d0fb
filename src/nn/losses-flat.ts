import { between, checkArguments, flag, integer, object, probability, strictObject } from '../check/index.js'
import type { Tensor } from '../tensor/index.js'
import { bceWithLogits, crossEntropy, l1Loss, lossPair, mseLoss } from './functional.js'
import {
  BaseReducedLoss,
  type BCEWithLogitsOptions,
  bceFields,
  type CrossEntropyOptions,
  crossEntropyFields,
  type LossOptions,
  reduction,
  setWeights,
  type Weights,
  weights,
} from './losses.js'
import { isTensor } from './validate.js'

const axis = integer.default(-1)
const floatify = flag.default(true)
const base = object({ axis, reduction })
const crossEntropySchema = strictObject({ axis, ...crossEntropyFields })
const focal = { gamma: between(0, Infinity).default(2), weight: weights, reduction }
const focalFlatSchema = strictObject({ axis, ...focal })
const focalSchema = strictObject(focal)
const bceSchema = strictObject({ axis, floatify, thresh: probability.default(0.5), ...bceFields })
const regressionSchema = strictObject({ axis, floatify, reduction })

/** Options of every flattening loss. */
export interface FlatOptions extends LossOptions {
  /** The dimension of classes; it is swapped with the last, in predictions and targets. Default -1. */
  axis?: number
}

/**
 * Base of fastai's losses: predictions of any number of dimensions become rows of classes `(N, C)` or one long row, and
 * targets one row, before the loss proper. With `reduction: 'none'` the result is that row of losses.
 */
export abstract class BaseLoss extends BaseReducedLoss {
  readonly axis: number
  /** Whether predictions become `(N, C)`, for targets that are class indices. */
  protected readonly byClass: boolean = false
  /** Whether targets become float32 (float16 stays). */
  protected readonly floatify: boolean = false
  protected readonly flatten: boolean = true

  constructor(options: FlatOptions = {}) {
    const { axis, reduction } = checkArguments(base, options, new.target.name)
    super(reduction)
    this.axis = axis
  }

  /** The loss of flattened predictions and targets. */
  protected abstract measure(pred: Tensor, target: Tensor): Tensor

  forward(pred: Tensor, target: Tensor): Tensor {
    const { axis, byClass, floatify, flatten } = this
    return this.measure(...lossPair(pred, target, { axis, byClass, floatify, flatten }))
  }

  /** Predictions as people read them: probabilities, or the predictions themselves. */
  activation(pred: Tensor): Tensor {
    return isTensor('pred', pred)
  }

  /** The answer in activated predictions: a class index, a yes or no, or the predictions themselves. */
  decodes(pred: Tensor): Tensor {
    return isTensor('pred', pred)
  }
}

/** Options of {@link CrossEntropyLossFlat}. */
export interface CrossEntropyFlatOptions extends CrossEntropyOptions, FlatOptions {}

/**
 * Cross entropy of logits against class indices, for `(N, C)` and, with `axis: 1`, `(N, C, H, W)`.
 *
 * @example new CrossEntropyLossFlat({ labelSmoothing: 0.1 })(pred, y)
 */
export class CrossEntropyLossFlat extends BaseLoss {
  readonly yInt = true
  declare readonly weight: Tensor | null
  readonly ignoreIndex: number
  readonly labelSmoothing: number
  protected override readonly byClass = true

  constructor(options: CrossEntropyFlatOptions = {}) {
    const checked = checkArguments(crossEntropySchema, options, 'CrossEntropyLossFlat')
    super(checked)
    this.ignoreIndex = checked.ignoreIndex
    this.labelSmoothing = checked.labelSmoothing
    setWeights(this, 'weight', checked.weight)
  }

  protected measure(pred: Tensor, target: Tensor): Tensor {
    return crossEntropy(pred, target, this)
  }

  /** Softmax over the classes. */
  override activation(pred: Tensor): Tensor {
    return isTensor('pred', pred).softmax(this.axis)
  }

  /** The likeliest class. */
  override decodes(pred: Tensor): Tensor {
    return isTensor('pred', pred).argmax(this.axis)
  }
}

/** Options of {@link FocalLossFlat}. */
export interface FocalFlatOptions extends FlatOptions {
  /** How much well-classified samples are held back, default 2. */
  gamma?: number
  /** Weight of each class, `(C)`. */
  weight?: Weights | null
}

/** Focal loss, (1 - p)^γ · cross entropy (Lin et al. 2017, "Focal loss for dense object detection"). */
export class FocalLossFlat extends BaseLoss {
  readonly yInt = true
  declare readonly weight: Tensor | null
  readonly gamma: number
  protected override readonly byClass = true

  constructor(options: FocalFlatOptions = {}) {
    const checked = checkArguments(focalFlatSchema, options, new.target.name)
    super(checked)
    this.gamma = checked.gamma
    setWeights(this, 'weight', checked.weight)
  }

  protected measure(pred: Tensor, target: Tensor): Tensor {
    const losses = crossEntropy(pred, target, { weight: this.weight, reduction: 'none' })
    const focal = losses.neg().exp().rsub(1).pow(this.gamma).mul(losses)
    if (this.reduction === 'none') return focal
    return this.reduction === 'sum' ? focal.sum() : focal.mean()
  }

  /** Softmax over the classes. */
  override activation(pred: Tensor): Tensor {
    return isTensor('pred', pred).softmax(this.axis)
  }

  /** The likeliest class. */
  override decodes(pred: Tensor): Tensor {
    return isTensor('pred', pred).argmax(this.axis)
  }
}

/** {@link FocalLossFlat} of logits `(N, C, ...)` against indices `(N, ...)` as they are: no flattening. */
export class FocalLoss extends FocalLossFlat {
  protected override readonly flatten = false

  constructor(options: Omit<FocalFlatOptions, 'axis'> = {}) {
    super(checkArguments(focalSchema, options, 'FocalLoss'))
  }
}

/** Options of {@link BCEWithLogitsLossFlat}. */
export interface BCEWithLogitsFlatOptions extends BCEWithLogitsOptions, FlatOptions {
  /** Convert targets to float32, default true. */
  floatify?: boolean
  /** From which probability on {@link BCEWithLogitsLossFlat.decodes} says yes, default 0.5. */
  thresh?: number
}

/** Binary cross entropy of logits, for several labels a sample. With `posWeight` nothing is flattened. */
export class BCEWithLogitsLossFlat extends BaseLoss {
  declare readonly weight: Tensor | null
  declare readonly posWeight: Tensor | null
  readonly thresh: number
  protected override readonly floatify: boolean
  protected override readonly flatten: boolean

  constructor(options: BCEWithLogitsFlatOptions = {}) {
    const checked = checkArguments(bceSchema, options, 'BCEWithLogitsLossFlat')
    super(checked)
    this.thresh = checked.thresh
    this.floatify = checked.floatify
    setWeights(this, 'weight', checked.weight)
    setWeights(this, 'posWeight', checked.posWeight)
    this.flatten = this.posWeight === null
  }

  protected measure(pred: Tensor, target: Tensor): Tensor {
    return bceWithLogits(pred, target, this)
  }

  /** Sigmoid. */
  override activation(pred: Tensor): Tensor {
    return isTensor('pred', pred).sigmoid()
  }

  /** Whether each probability exceeds {@link thresh}. */
  override decodes(pred: Tensor): Tensor {
    return isTensor('pred', pred).gt(this.thresh)
  }
}

/** Options of {@link MSELossFlat} and {@link L1LossFlat}. */
export interface RegressionFlatOptions extends FlatOptions {
  /** Convert targets to float32, default true. */
  floatify?: boolean
}

/** Squared error. */
export class MSELossFlat extends BaseLoss {
  protected override readonly floatify: boolean

  constructor(options: RegressionFlatOptions = {}) {
    const checked = checkArguments(regressionSchema, options, 'MSELossFlat')
    super(checked)
    this.floatify = checked.floatify
  }

  protected measure(pred: Tensor, target: Tensor): Tensor {
    return mseLoss(pred, target, this.reduction)
  }
}

/** Absolute error. */
export class L1LossFlat extends BaseLoss {
  protected override readonly floatify: boolean

  constructor(options: RegressionFlatOptions = {}) {
    const checked = checkArguments(regressionSchema, options, 'L1LossFlat')
    super(checked)
    this.floatify = checked.floatify
  }

  protected measure(pred: Tensor, target: Tensor): Tensor {
    return l1Loss(pred, target, this.reduction)
  }
}
