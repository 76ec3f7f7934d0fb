import { invalidArgument } from '../native/index.js'
import { lossPair } from '../nn/functional.js'
import { LabelSmoothingCrossEntropy, LabelSmoothingCrossEntropyFlat } from '../nn/label-smoothing.js'
import { CrossEntropyLossFlat } from '../nn/losses-flat.js'
import { tensorOperator } from '../nn/operators.js'
import { Tensor } from '../tensor/index.js'
import { type MixWeights, weightsTensor } from './mixup.js'
import { type LossFunction, noneReduce, reduceLoss, reductionOf } from './reduce-loss.js'

const mixedCrossEntropy = tensorOperator('torch_learner::mixed_cross_entropy')
const mixLosses = tensorOperator('torch_learner::mix_losses')

/** What the native operator needs to know of a cross entropy. */
interface Fusable {
  axis: number
  flatten: boolean
  weight: Tensor | null
  ignoreIndex: number
  labelSmoothing: number
  /** Smoothing counts every class and sample alike, without weights and ignored classes: fastai's own smoothing. */
  plainSmoothing: boolean
}

/**
 * The settings of a loss that has a fused form, or null. Only of the classes themselves: a subclass may compute
 * something else.
 */
function fusable(lossFunc: LossFunction): Fusable | null {
  const { prototype } = Object.getPrototypeOf(lossFunc)?.constructor ?? {}
  if (prototype !== Object.getPrototypeOf(lossFunc)) return null
  if (prototype === CrossEntropyLossFlat.prototype && lossFunc instanceof CrossEntropyLossFlat) {
    const { axis, weight, ignoreIndex, labelSmoothing } = lossFunc
    return { axis, flatten: true, weight, ignoreIndex, labelSmoothing, plainSmoothing: false }
  }
  const flatten = prototype === LabelSmoothingCrossEntropyFlat.prototype
  if (
    (flatten || prototype === LabelSmoothingCrossEntropy.prototype) &&
    lossFunc instanceof LabelSmoothingCrossEntropyFlat
  ) {
    const { axis, weight, eps } = lossFunc
    return { axis, flatten, weight, ignoreIndex: -100, labelSmoothing: eps, plainSmoothing: true }
  }
  return null
}

function fusedLoss(loss: Fusable, pred: Tensor, y: Tensor, y1: Tensor, lam: Tensor, reduction: string): Tensor {
  const { axis, flatten, weight, ignoreIndex, labelSmoothing, plainSmoothing } = loss
  const how = { axis, byClass: true, floatify: false, flatten }
  const [rows, target] = lossPair(pred, y, how)
  const [again, target1] = lossPair(pred, y1, how)
  again.dispose()
  const options = { weight, ignoreIndex, labelSmoothing, plainSmoothing, reduction }
  return mixedCrossEntropy(rows, target, target1, lam, options)
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
 * @param pred predictions, first dimension N
 * @param yb the samples' own targets, or a list of them for a loss of several targets
 * @param yb1 the partners' targets, alike
 * @param lam `(N)`, `(1)` or a number: the weight of the samples' own targets
 * @example const loss = mixedLoss(new CrossEntropyLossFlat(), pred, y, partnersOf(y, perm), lam)
 */
export function mixedLoss(
  lossFunc: LossFunction,
  pred: Tensor,
  yb: Tensor | readonly Tensor[],
  yb1: Tensor | readonly Tensor[],
  lam: MixWeights,
): Tensor {
  if (typeof lossFunc !== 'function') throw invalidArgument('lossFunc', 'a loss', lossFunc)
  const own = yb instanceof Tensor ? [yb] : yb
  const partners = yb1 instanceof Tensor ? [yb1] : yb1
  if (own.length !== partners.length) {
    throw invalidArgument('yb1', `as many targets as yb has (${own.length})`, partners)
  }
  const weights = weightsTensor(lam)
  const reduction = reductionOf(lossFunc)
  const fused = own.length === 1 ? fusable(lossFunc) : null
  if (fused !== null) return fusedLoss(fused, pred, own[0], partners[0], weights, reduction)
  return noneReduce(lossFunc, unreduced => {
    const losses = mixLosses(unreduced(pred, ...own), unreduced(pred, ...partners), weights)
    return reduceLoss(losses, reduction)
  })
}
