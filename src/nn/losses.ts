import { checkArguments, checkValue, field, integer, oneOfQuoted, probability, strictObject } from '../check/index.js'
import { Tensor, tensor } from '../tensor/index.js'
import { bceWithLogits, crossEntropy, l1Loss, mseLoss, type Reduction } from './functional.js'
import { Module } from './module.js'

/**
 * What a Learner takes as a loss: any function of predictions and targets. The rest is optional: `reduction` lets mixing
 * ask for the loss of each sample, `yInt` says that targets are class indices, `activation` and `decodes` turn
 * predictions into probabilities and answers.
 */
export interface Loss {
  (pred: Tensor, ...targets: Tensor[]): Tensor
  /** What becomes of the losses of single samples. Mixing sets it to `none` while it needs them. */
  reduction?: Reduction
  /** Targets are class indices, which can't be mixed themselves: losses are. */
  readonly yInt?: boolean
  /** The model's output as probabilities, or whatever predictions are to be. Default: as it is. */
  activation?(pred: Tensor): Tensor
  /** Predictions as answers: classes, where they are probabilities. */
  decodes?(pred: Tensor): Tensor
}

/**
 * The loss of a model with several outputs, which it gets as an array; the rest as for {@link Loss}.
 *
 * @example const loss: OutputsLoss = ([side, size], y, z) => crossEntropy(side, y).add(mse(size, z))
 */
export interface OutputsLoss {
  (preds: readonly Tensor[], ...targets: Tensor[]): Tensor
  reduction?: Reduction
  readonly yInt?: boolean
  activation?(preds: readonly Tensor[]): readonly Tensor[]
  decodes?(preds: readonly Tensor[]): readonly Tensor[]
}

/** A weight for each class: a tensor `(C)` or plain numbers. */
export type Weights = Tensor | readonly number[]

/** @internal Fields that losses share. */
export const reduction = oneOfQuoted('mean', 'sum', 'none').default('mean')
/** @internal */
export const weights = field<Weights>(
  'a Tensor or an array with a number for each class',
  value =>
    value instanceof Tensor || (Array.isArray(value) && Array.from(value).every(item => typeof item === 'number')),
).nullish()
/** @internal */
export const crossEntropyFields = {
  weight: weights,
  ignoreIndex: integer.default(-100),
  reduction,
  labelSmoothing: probability.default(0),
}
/** @internal */
export const bceFields = { weight: weights, posWeight: weights, reduction }

const crossEntropySchema = strictObject(crossEntropyFields)
const bceSchema = strictObject(bceFields)
const plainSchema = strictObject({ reduction })

/** Options that all losses take. */
export interface LossOptions {
  /** `mean` (default) or `sum` over all elements, or `none` */
  reduction?: Reduction
}

/** @internal Base of the losses: a module of predictions and targets with a reduction that can be switched. */
export abstract class BaseReducedLoss extends Module<[pred: Tensor, target: Tensor], Tensor> {
  #reduction: Reduction

  constructor(given: Reduction = 'mean') {
    super()
    this.#reduction = checkValue(reduction, given, 'reduction')
  }

  /** `mean`, `sum` or `none`; may be changed at any time. */
  get reduction(): Reduction {
    return this.#reduction
  }

  set reduction(value: Reduction) {
    this.#reduction = checkValue(reduction, value, 'reduction')
  }
}

/** @internal Class weights as a buffer: they move with the loss. */
export function setWeights(
  loss: Module<[Tensor, Tensor], Tensor>,
  name: string,
  weights: Weights | null | undefined,
): void {
  loss.registerBuffer(name, weights instanceof Tensor ? weights : weights ? tensor([...weights]) : null)
}

/** Options of {@link CrossEntropyLoss}. */
export interface CrossEntropyOptions extends LossOptions {
  /** Weight of each class, `(C)`. */
  weight?: Weights | null
  /** A class whose samples don't count, default -100. */
  ignoreIndex?: number
  /** Share of the target that is spread evenly over all classes, 0 (default) to 1. */
  labelSmoothing?: number
}

/** PyTorch's cross entropy: logits `(N, C, ...)` against indices `(N, ...)` or probabilities `(N, C, ...)`. */
export class CrossEntropyLoss extends BaseReducedLoss {
  declare readonly weight: Tensor | null
  readonly ignoreIndex: number
  readonly labelSmoothing: number

  constructor(options: CrossEntropyOptions = {}) {
    const { weight, ignoreIndex, reduction, labelSmoothing } = checkArguments(
      crossEntropySchema,
      options,
      'CrossEntropyLoss',
    )
    super(reduction)
    this.ignoreIndex = ignoreIndex
    this.labelSmoothing = labelSmoothing
    setWeights(this, 'weight', weight)
  }

  forward(pred: Tensor, target: Tensor): Tensor {
    return crossEntropy(pred, target, this)
  }
}

/** Options of {@link BCEWithLogitsLoss}. */
export interface BCEWithLogitsOptions extends LossOptions {
  /** Factor for each element, of a shape that broadcasts to the predictions'. */
  weight?: Weights | null
  /** Factor for the positive part of each class, `(C)`. */
  posWeight?: Weights | null
}

/** PyTorch's binary cross entropy of logits: targets of the predictions' shape, from 0 to 1. */
export class BCEWithLogitsLoss extends BaseReducedLoss {
  declare readonly weight: Tensor | null
  declare readonly posWeight: Tensor | null

  constructor(options: BCEWithLogitsOptions = {}) {
    const { weight, posWeight, reduction } = checkArguments(bceSchema, options, 'BCEWithLogitsLoss')
    super(reduction)
    setWeights(this, 'weight', weight)
    setWeights(this, 'posWeight', posWeight)
  }

  forward(pred: Tensor, target: Tensor): Tensor {
    return bceWithLogits(pred, target, this)
  }
}

/** Squared error of tensors of one shape; PyTorch's would broadcast other shapes. */
export class MSELoss extends BaseReducedLoss {
  constructor(options: LossOptions = {}) {
    super(checkArguments(plainSchema, options, 'MSELoss').reduction)
  }

  forward(pred: Tensor, target: Tensor): Tensor {
    return mseLoss(pred, target, this.reduction)
  }
}

/** Absolute error of tensors of one shape; PyTorch's would broadcast other shapes. */
export class L1Loss extends BaseReducedLoss {
  constructor(options: LossOptions = {}) {
    super(checkArguments(plainSchema, options, 'L1Loss').reduction)
  }

  forward(pred: Tensor, target: Tensor): Tensor {
    return l1Loss(pred, target, this.reduction)
  }
}
