import { checkArguments, checkValue, invalidArgument, probability, strictObject } from '../check/index.js'
import {
  CrossEntropyLoss,
  CrossEntropyLossFlat,
  LabelSmoothingCrossEntropy,
  LabelSmoothingCrossEntropyFlat,
} from '../nn/index.js'
import { own, Tensor } from '../tensor/index.js'
import { type MixWeights, weightsTensor } from './mixup.js'
import { type LossFunction, noneReduce, reduceLoss, reductionOf } from './reduce-loss.js'

const { mixedCrossEntropy, mixLosses } = own

/** What the native operator needs to know of a cross entropy, by its argument names. */
type Fusable = {
  /** The axis of a loss that flattens; null: classes are in dimension 1. */
  flatAxis: number | null
  weight: Tensor | null
  ignoreIndex: number
  labelSmoothing: number
  /** Smoothing counts every class and sample equally, without weights and ignored classes: fastai's own smoothing. */
  plainSmoothing: boolean
}

/** Of that class itself: a subclass may compute something else. */
function isExactly<T>(lossFunc: LossFunction, type: new (...args: never[]) => T): lossFunc is LossFunction & T {
  return Object.getPrototypeOf(lossFunc) === type.prototype
}

/** The settings of a loss that has a fused form, or null. */
function fusable(lossFunc: LossFunction): Fusable | null {
  if (isExactly(lossFunc, CrossEntropyLossFlat)) {
    const { axis, weight, ignoreIndex, labelSmoothing } = lossFunc
    return { flatAxis: axis, weight, ignoreIndex, labelSmoothing, plainSmoothing: false }
  }
  const flattens = isExactly(lossFunc, LabelSmoothingCrossEntropyFlat)
  if (flattens || isExactly(lossFunc, LabelSmoothingCrossEntropy)) {
    const { axis, weight, eps } = lossFunc
    return { flatAxis: flattens ? axis : null, weight, ignoreIndex: -100, labelSmoothing: eps, plainSmoothing: true }
  }
  return null
}

/** Options of {@link mixedLoss}. */
export interface MixedLossOptions {
  /** Share of both targets that is spread evenly over all classes, 0 (default) to 1: for cross entropies without smoothing. */
  labelSmoothing?: number
}

const schema = strictObject({ labelSmoothing: probability.default(0) })

/**
 * The settings of a cross entropy, with smoothing added.
 *
 * @throws TorchLearnerError `ERR_INVALID_ARG` for any other loss, and for one that smooths by itself
 */
export function smoothed(lossFunc: LossFunction, labelSmoothing: number): Fusable {
  checkValue(probability, labelSmoothing, 'labelSmoothing')
  if (isExactly(lossFunc, CrossEntropyLossFlat) || isExactly(lossFunc, CrossEntropyLoss)) {
    const { weight, ignoreIndex, labelSmoothing: own } = lossFunc
    const flatAxis = lossFunc instanceof CrossEntropyLossFlat ? lossFunc.axis : null
    if (own === 0) return { flatAxis, weight, ignoreIndex, labelSmoothing, plainSmoothing: false }
  }
  throw invalidArgument(
    'lossFunc',
    'a cross entropy that smooths no labels itself, since labelSmoothing is given,',
    lossFunc,
    'Class numbers are smoothed for CrossEntropyLossFlat and nn.CrossEntropyLoss; or give the loss labelSmoothing',
  )
}

function targetList(name: string, targets: Tensor | readonly Tensor[]): readonly Tensor[] {
  const list = targets instanceof Tensor ? [targets] : targets
  if (Array.isArray(list) && list.length > 0 && list.every(target => target instanceof Tensor)) return list
  throw invalidArgument(name, 'a tensor or a list of tensors', targets)
}

/**
 * The loss of a mixed batch whose targets are not mixed themselves (class numbers):
 * `lam * L(pred, yb) + (1 - lam) * L(pred, yb1)` for each sample, then the loss's own reduction.
 *
 * As in fastai the reduction is a plain mean or sum over these values, also with class weights or ignored classes, where
 * the loss by itself would divide by the sum of the weights. Cross entropies of this package (`CrossEntropyLossFlat` and
 * the label smoothing ones) run as one native operator with a closed-form gradient; any other loss is called twice with
 * reduction "none" ({@link noneReduce}). Losses of several values a sample (segmentation) share their sample's weight.
 *
 * @param lossFunc the loss, a plain function included
 * @param pred predictions, first dimension N; an array of them, all given to the loss, for a model of several outputs
 * @param yb the samples' own targets, or a list of them for a loss of several targets
 * @param yb1 the partners' targets, in the same form
 * @param lam `(N)`, `(1)` or a number: the weight of the samples' own targets
 * @param options see {@link MixedLossOptions}
 * @example const loss = mixedLoss(new CrossEntropyLossFlat(), pred, y, partnersOf(y, perm), lam)
 */
export function mixedLoss(
  lossFunc: LossFunction,
  pred: Tensor | readonly Tensor[],
  yb: Tensor | readonly Tensor[],
  yb1: Tensor | readonly Tensor[],
  lam: MixWeights,
  options: MixedLossOptions = {},
): Tensor {
  if (typeof lossFunc !== 'function') throw invalidArgument('lossFunc', 'a loss', lossFunc)
  const sole = targetList('pred', pred).length === 1 && pred instanceof Tensor
  const own = targetList('yb', yb)
  const partners = targetList('yb1', yb1)
  if (own.length !== partners.length) {
    throw invalidArgument('yb1', `as many targets as yb has (${own.length})`, partners)
  }
  const weights = weightsTensor(lam)
  const reduction = reductionOf(lossFunc)
  const { labelSmoothing } = checkArguments(schema, options, 'mixedLoss')
  if (labelSmoothing !== 0 && own.length !== 1) throw invalidArgument('yb', 'one target, to be smoothed,', yb)
  if (labelSmoothing !== 0 && !sole) throw invalidArgument('pred', 'one tensor, whose labels are smoothed,', pred)
  const fused = labelSmoothing !== 0 ? smoothed(lossFunc, labelSmoothing) : own.length === 1 ? fusable(lossFunc) : null
  if (fused !== null && pred instanceof Tensor) {
    return mixedCrossEntropy(pred, own[0], partners[0], weights, { ...fused, reduction })
  }
  return noneReduce(lossFunc, unreduced => {
    const losses = mixLosses(unreduced(pred as Tensor, ...own), unreduced(pred as Tensor, ...partners), weights)
    return reduceLoss(losses, reduction)
  })
}
