import { isTensor } from '../../nn/index.js'
import { aten, cat, noGrad, scope, type Tensor, zeros } from '../../tensor/index.js'
import { flatPair } from './pairs.js'
import { AccumMetric } from './set-metric.js'

/**
 * The area under the ROC curve: how likely a positive sample scores higher than a negative one, ties counting half.
 * NaN when there are only positive or only negative ones.
 *
 * @param scores `(N)`, floating; other shapes are flattened, and so are those of the others
 * @param positive one for each score, anything but 0 is positive
 * @param weights one for each score, how much each sample counts; default: all equally
 */
export function rocAuc(scores: Tensor, positive: Tensor, weights?: Tensor): Tensor {
  for (const [name, value] of Object.entries({ scores, positive, weights: weights ?? scores })) isTensor(name, value)
  return noGrad(() =>
    scope(() => {
      const [values, labels] = flatPair(scores, positive)
      const hits = labels.ne(0).to({ dtype: 'float64' })
      const misses = hits.neg().add(1)
      if (!weights) return area(values, hits, misses)
      const [, each] = flatPair(values, weights)
      return area(values, hits.mul(each), misses.mul(each))
    }),
  )
}

/**
 * Sum of `positive[i] * negative[j]` over all pairs in which i scores higher (half of it where they have equal scores), as a
 * share of all pairs. A sample may be both, in parts.
 */
function area(scores: Tensor, positive: Tensor, negative: Tensor): Tensor {
  const values = scores.contiguous()
  const [sorted, order] = values.sort()
  const below = cat([zeros([1], { dtype: 'float64' }), negative.indexSelect(0, order).cumsum(0)])
  const lower = (right: boolean) => below.indexSelect(0, aten.searchsorted(sorted, values, { right }))
  const wins = lower(false).add(lower(true)).div(2)
  return positive.mul(wins).sum().div(positive.sum().mul(negative.sum()))
}

/**
 * {@link rocAuc} for two classes: predictions `(N, 2)`, or `(N)` and `(N, 1)` scores of the second class; targets `(N)`.
 * In training under MixUp or CutMix a sample is positive by its share.
 *
 * @example metrics: [accuracy, RocAucBinary]
 */
export class RocAucBinary extends AccumMetric {
  constructor() {
    const scoresOf = (pred: Tensor) =>
      pred.ndim === 2 && pred.shape[1] === 2 ? pred.softmax(1).select(1, 1) : pred.flatten()
    const plain = (pred: Tensor, targ: Tensor) => defined(rocAuc(scoresOf(pred), targ))
    const weighted = (pred: Tensor, weights: Tensor, targ: Tensor) => defined(rocAuc(scoresOf(pred), targ, weights))
    const soft = (pred: Tensor, targ: Tensor) => {
      const [scores, labels] = flatPair(scoresOf(pred), targ)
      const shares = labels.to({ dtype: 'float64' })
      return defined(area(scores, shares, shares.neg().add(1)))
    }
    super(Object.assign(plain, { weighted, soft }), 'roc_auc_score')
  }
}

/**
 * {@link rocAuc} for several classes: each against all others, by its softmax probability, and the mean over the classes
 * that occur. Predictions `(N, C)`, targets `(N)`, integers.
 */
export class RocAuc extends AccumMetric {
  constructor() {
    const meanArea = async (pred: Tensor, targ: Tensor, weights?: Tensor) => {
      const probabilities = pred.softmax(1)
      const areas = Array.from({ length: pred.shape[1] }, (_, c) =>
        rocAuc(probabilities.select(1, c), targ.eq(c), weights),
      )
      const known = (await Promise.all(areas.map(defined))).filter(value => value !== null)
      return known.length > 0 ? known.reduce((sum, value) => sum + value, 0) / known.length : null
    }
    const plain = (pred: Tensor, targ: Tensor) => meanArea(pred, targ)
    const weighted = (pred: Tensor, weights: Tensor, targ: Tensor) => meanArea(pred, targ, weights)
    super(Object.assign(plain, { weighted }), 'roc_auc_score')
  }
}

async function defined(value: Tensor): Promise<number | null> {
  const number = await value.item()
  return Number.isNaN(number) ? null : number
}
