import { flag, isTensor, knownOptions, numberBetween, wholeNumber } from '../../nn/validate.js'
import type { Tensor } from '../../tensor/index.js'

/** 1 where the class with the highest score is the target's, else 0; the first class wins ties. */
function hits(pred: Tensor, targ: Tensor, axis: number): Tensor {
  return isTensor('pred', pred).argmax(axis).eq(isTensor('targ', targ)).to({ dtype: 'float32' })
}

/** One value per row: the mean over whatever other dimensions the targets have. */
function rowMeans(values: Tensor): Tensor {
  return values.unsqueeze(-1).flatten(1).mean([1])
}

/**
 * The share of targets whose class has the highest score.
 *
 * @param pred scores `(N, C)`, or `(N, C, ...)` with `axis` 1
 * @param targ classes `(N)` or `(N, ...)`, integers
 * @param axis the dimension of the classes; default: the last
 */
export function accuracy(pred: Tensor, targ: Tensor): Tensor
export function accuracy(pred: Tensor, targ: Tensor, axis: number): Tensor
export function accuracy(pred: Tensor, targ: Tensor, axis = -1): Tensor {
  return hits(pred, targ, axis).mean()
}
accuracy.perSample = (pred: Tensor, targ: Tensor): Tensor => rowMeans(hits(pred, targ, -1))

/** `1 - accuracy`: see {@link accuracy}. */
export function errorRate(pred: Tensor, targ: Tensor): Tensor
export function errorRate(pred: Tensor, targ: Tensor, axis: number): Tensor
export function errorRate(pred: Tensor, targ: Tensor, axis = -1): Tensor {
  return accuracy(pred, targ, axis).neg().add(1)
}
errorRate.perSample = (pred: Tensor, targ: Tensor): Tensor => accuracy.perSample(pred, targ).neg().add(1)

/**
 * The share of targets whose class is among the `k` highest scores.
 *
 * @param pred scores `(N, C)`
 * @param targ classes `(N)`, integers
 * @param k default 5
 */
export function topKAccuracy(pred: Tensor, targ: Tensor): Tensor
export function topKAccuracy(pred: Tensor, targ: Tensor, k: number): Tensor
export function topKAccuracy(pred: Tensor, targ: Tensor, k = 5): Tensor {
  const [, classes] = isTensor('pred', pred).topk(wholeNumber('k', k), -1)
  return classes.eq(isTensor('targ', targ).unsqueeze(-1)).sum([-1]).to({ dtype: 'float32' }).mean()
}

/**
 * The share of labels that are right, for several labels per sample. As in fastai, any target but 0 counts as positive.
 *
 * @param pred scores `(N, C)`
 * @param targ labels `(N, C)`, 0 or 1
 * @param options `thresh` (default 0.5) above which a label is given; `sigmoid` (default true) turns scores into probabilities
 */
export function accuracyMulti(pred: Tensor, targ: Tensor): Tensor
export function accuracyMulti(pred: Tensor, targ: Tensor, options: { thresh?: number; sigmoid?: boolean }): Tensor
export function accuracyMulti(
  pred: Tensor,
  targ: Tensor,
  options: { thresh?: number; sigmoid?: boolean } = {},
): Tensor {
  knownOptions('accuracyMulti', options, ['thresh', 'sigmoid'])
  const { thresh = 0.5, sigmoid = true } = options
  const scores = flag('sigmoid', sigmoid) ? isTensor('pred', pred).sigmoid() : isTensor('pred', pred)
  return scores
    .flatten()
    .gt(numberBetween('thresh', thresh, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY))
    .eq(isTensor('targ', targ).flatten().ne(0))
    .to({ dtype: 'float32' })
    .mean()
}
