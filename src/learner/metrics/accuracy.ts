import { between, checkArguments, checkValue, flag, strictObject, whole } from '../../check/index.js'
import { isTensor } from '../../nn/index.js'
import { type Tensor, where } from '../../tensor/index.js'
import { flatPair, targetsLike } from './pairs.js'

/** 1 where the class with the highest score is the target's, else 0; the first class wins ties. */
function hits(pred: Tensor, targ: Tensor, axis: number): Tensor {
  const classes = isTensor('pred', pred).argmax(axis)
  return classes.eq(targetsLike(classes, targ)).to({ dtype: 'float32' })
}

/** One value per row: the mean over whatever other dimensions the targets have. */
function rowMeans(values: Tensor): Tensor {
  return values.unsqueeze(-1).flatten(1).mean([1])
}

/**
 * The share of targets whose class has the highest score.
 *
 * @param pred scores `(N, C)`, or `(N, C, ...)` with `axis` 1
 * @param targ one class for each, `(N)` or `(N, ...)`, integers; also `(N, 1)`: both are flattened, as in fastai
 * @param axis the dimension of the classes; default: the last
 * @throws TorchLearnerError when the value is read, if there are more or fewer targets than predictions
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
 * @param targ one class for each, `(N)` or `(N, 1)`, integers
 * @param k default 5
 */
export function topKAccuracy(pred: Tensor, targ: Tensor): Tensor
export function topKAccuracy(pred: Tensor, targ: Tensor, k: number): Tensor
export function topKAccuracy(pred: Tensor, targ: Tensor, k = 5): Tensor {
  return topHits(pred, targ, k).mean()
}
topKAccuracy.perSample = (pred: Tensor, targ: Tensor): Tensor => rowMeans(topHits(pred, targ, 5))

function topHits(pred: Tensor, targ: Tensor, k: number): Tensor {
  const [, classes] = isTensor('pred', pred).topk(checkValue(ranks, k, 'k'), -1)
  const truth = targetsLike(classes.select(-1, 0), targ)
  return classes.eq(truth.unsqueeze(-1)).sum([-1]).to({ dtype: 'float32' })
}

const ranks = whole(1, Infinity, 'a whole number of at least 1')
const multiSchema = strictObject({
  thresh: between(-Infinity, Infinity).default(0.5),
  sigmoid: flag.default(true),
  shares: flag.default(false),
})

/** Options of {@link accuracyMulti}. */
export interface AccuracyMultiOptions {
  /** From above which score on a label is given. Default 0.5. */
  thresh?: number
  /** Turn scores into probabilities first. Default true. */
  sigmoid?: boolean
  /**
   * Targets are shares, 0 to 1, as when MixUp mixes them: giving a label is right by its share, leaving it out by the
   * rest. Default false: any target but 0 counts as a label, as in fastai.
   */
  shares?: boolean
}

/**
 * The share of labels that are right, for several labels per sample. As in fastai, any target but 0 counts as positive,
 * except when targets have been mixed in training: then they count by their shares.
 *
 * @param pred scores `(N, C)`
 * @param targ as many labels, `(N, C)`, 0 or 1
 * @param options see {@link AccuracyMultiOptions}
 */
export function accuracyMulti(pred: Tensor, targ: Tensor): Tensor
export function accuracyMulti(pred: Tensor, targ: Tensor, options: AccuracyMultiOptions): Tensor
export function accuracyMulti(pred: Tensor, targ: Tensor, options: AccuracyMultiOptions = {}): Tensor {
  return rightLabels(...flatPair(pred, targ), options).mean()
}
accuracyMulti.perSample = (pred: Tensor, targ: Tensor): Tensor =>
  rowMeans(rightLabels(pred, targetsLike(pred, targ), {}))
accuracyMulti.soft = (pred: Tensor, targ: Tensor): Tensor => accuracyMulti(pred, targ, { shares: true })

function rightLabels(pred: Tensor, targ: Tensor, options: AccuracyMultiOptions): Tensor {
  const { thresh, sigmoid, shares } = checkArguments(multiSchema, options, 'accuracyMulti')
  const scores = sigmoid ? pred.sigmoid() : pred
  const given = scores.gt(thresh)
  if (!shares) return given.eq(targ.ne(0)).to({ dtype: 'float32' })
  return where(given, targ, targ.neg().add(1))
}
