import { isTensor } from '../../nn/index.js'
import type { Tensor } from '../../tensor/index.js'
import { flatPair, targetsLike } from './pairs.js'

/** `pred - targ`, both as one long row: `(N, 1)` goes with `(N)`. */
function errors(pred: Tensor, targ: Tensor): Tensor {
  const [values, truth] = flatPair(pred, targ)
  return values.sub(truth)
}

/** `pred - targ`, `(N, numbers of a sample)`. */
function rowErrors(pred: Tensor, targ: Tensor): Tensor {
  return isTensor('pred', pred).sub(targetsLike(pred, targ)).unsqueeze(-1).flatten(1)
}

/** The mean of the rows' means, which count by their weights. */
function weightedMean(values: Tensor, weights: Tensor): Tensor {
  return values.mean([1]).mul(isTensor('weights', weights)).sum().div(weights.sum())
}

/**
 * The mean squared error.
 *
 * @param pred,targ of the same number of elements
 */
export function mse(pred: Tensor, targ: Tensor): Tensor {
  return errors(pred, targ).square().mean()
}
mse.perSample = (pred: Tensor, targ: Tensor): Tensor => rowErrors(pred, targ).square().mean([1])

/**
 * The mean absolute error.
 *
 * @param pred,targ of the same number of elements
 */
export function mae(pred: Tensor, targ: Tensor): Tensor {
  return errors(pred, targ).abs().mean()
}
mae.perSample = (pred: Tensor, targ: Tensor): Tensor => rowErrors(pred, targ).abs().mean([1])

/**
 * The root of the mean squared error; as a metric, over the whole set rather than a mean of the batches' roots.
 *
 * @param pred,targ of the same number of elements
 */
export function rmse(pred: Tensor, targ: Tensor): Tensor {
  return mse(pred, targ).sqrt()
}
rmse.wholeSet = true
rmse.weighted = (pred: Tensor, weights: Tensor, targ: Tensor): Tensor =>
  weightedMean(rowErrors(pred, targ).square(), weights).sqrt()

/**
 * The root of the mean squared error in percent of the target, of predictions and targets that are logarithms:
 * `sqrt(mean(((e^targ - e^pred) / e^targ)^2))`. As a metric, over the whole set.
 *
 * @param pred,targ of the same number of elements
 */
export function expRmspe(pred: Tensor, targ: Tensor): Tensor {
  return errors(pred, targ).expm1().square().mean().sqrt()
}
expRmspe.wholeSet = true
expRmspe.weighted = (pred: Tensor, weights: Tensor, targ: Tensor): Tensor =>
  weightedMean(rowErrors(pred, targ).expm1().square(), weights).sqrt()
