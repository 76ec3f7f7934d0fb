import { invalidArgument } from '../check/index.js'
import type { Tensor } from '../tensor/index.js'
import { bceWithLogits, crossEntropy, l1Loss, lossPair, mseLoss } from './functional.js'
import {
  BaseReducedLoss,
  type BCEWithLogitsOptions,
  type CrossEntropyOptions,
  crossEntropySettings,
  type LossOptions,
  setWeights,
  type Weights,
} from './losses.js'
import { flag, isTensor, knownOptions, numberBetween } from './validate.js'

/** Options of every flattening loss. */
export interface FlatOptions extends LossOptions {
  /** The dimension of classes; it is swapped with the last, in predictions and targets alike. Default -1. */
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
    if (typeof options !== 'object' || options === null) throw invalidArgument('options', 'an object', options)
    super(options.reduction)
    const { axis = -1 } = options
    if (!Number.isSafeInteger(axis)) throw invalidArgument('axis', 'a whole number', axis)
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
    knownOptions('CrossEntropyLossFlat', options, ['axis', 'weight', 'ignoreIndex', 'reduction', 'labelSmoothing'])
    super(options)
    const settings = crossEntropySettings(options)
    this.ignoreIndex = settings.ignoreIndex
    this.labelSmoothing = settings.labelSmoothing
    setWeights(this, 'weight', options.weight)
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
    knownOptions(new.target.name, options, ['axis', 'gamma', 'weight', 'reduction'])
    super(options)
    this.gamma = numberBetween('gamma', options.gamma ?? 2, 0, Number.POSITIVE_INFINITY)
    setWeights(this, 'weight', options.weight)
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
    knownOptions('FocalLoss', options, ['gamma', 'weight', 'reduction'])
    super(options)
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
    knownOptions('BCEWithLogitsLossFlat', options, ['axis', 'floatify', 'thresh', 'weight', 'posWeight', 'reduction'])
    super(options)
    this.thresh = numberBetween('thresh', options.thresh ?? 0.5, 0, 1)
    this.floatify = flag('floatify', options.floatify ?? true)
    setWeights(this, 'weight', options.weight)
    setWeights(this, 'posWeight', options.posWeight)
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
    knownOptions('MSELossFlat', options, ['axis', 'floatify', 'reduction'])
    super(options)
    this.floatify = flag('floatify', options.floatify ?? true)
  }

  protected measure(pred: Tensor, target: Tensor): Tensor {
    return mseLoss(pred, target, this.reduction)
  }
}

/** Absolute error. */
export class L1LossFlat extends BaseLoss {
  protected override readonly floatify: boolean

  constructor(options: RegressionFlatOptions = {}) {
    knownOptions('L1LossFlat', options, ['axis', 'floatify', 'reduction'])
    super(options)
    this.floatify = flag('floatify', options.floatify ?? true)
  }

  protected measure(pred: Tensor, target: Tensor): Tensor {
    return l1Loss(pred, target, this.reduction)
  }
}
