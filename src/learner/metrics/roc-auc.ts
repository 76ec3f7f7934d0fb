import { isTensor } from '../../nn/validate.js'
import { noGrad, ops, scope, type Tensor } from '../../tensor/index.js'
import { AccumMetric } from './set-metric.js'

/**
 * The area under the ROC curve: how likely a positive sample scores higher than a negative one, ties counting half.
 * NaN when there are only positive or only negative ones.
 *
 * @param scores `(N)`, floating
 * @param positive `(N)`, anything but 0 is positive
 */
export function rocAuc(scores: Tensor, positive: Tensor): Tensor {
  isTensor('scores', scores)
  isTensor('positive', positive)
  return noGrad(() =>
    scope(() => {
      const isPositive = positive.ne(0)
      const [negatives] = scores.maskedSelect(isPositive.logicalNot()).sort()
      const positives = scores.maskedSelect(isPositive)
      const below = (right: boolean) => rank(negatives, positives, right).to({ dtype: 'float64' })
      const wins = below(false).add(below(true)).div(2).sum()
      const count = isPositive.to({ dtype: 'float64' })
      return wins.div(count.sum().mul(count.rsub(1).sum()))
    }),
  )
}

/** How many of the sorted values lie below each of `values`; with `right` also those that equal it. */
function rank(sorted: Tensor, values: Tensor, right: boolean): Tensor {
  return ops.aten.searchsorted(sorted, values, { right }) as Tensor
}

/**
 * {@link rocAuc} for two classes: predictions `(N, 2)`, or `(N)` and `(N, 1)` scores of the second class; targets `(N)`.
 * @example metrics: [accuracy, RocAucBinary]
 */
export class RocAucBinary extends AccumMetric {
  constructor() {
    super((pred, targ) => {
      const scores = pred.ndim === 2 && pred.shape[1] === 2 ? pred.softmax(1).select(1, 1) : pred.flatten()
      return defined(rocAuc(scores, targ.flatten()))
    }, 'roc_auc_score')
  }
}

/**
 * {@link rocAuc} for several classes: each against all others, by its softmax probability, and the mean over the classes
 * that occur. Predictions `(N, C)`, targets `(N)`, integers.
 */
export class RocAuc extends AccumMetric {
  constructor() {
    super(async (pred, targ) => {
      const probabilities = pred.softmax(1)
      const areas = Array.from({ length: pred.shape[1] }, (_, c) => rocAuc(probabilities.select(1, c), targ.eq(c)))
      const known = (await Promise.all(areas.map(defined))).filter(area => area !== null)
      return known.length > 0 ? known.reduce((sum, area) => sum + area, 0) / known.length : null
    }, 'roc_auc_score')
  }
}

async function defined(area: Tensor): Promise<number | null> {
  const value = await area.item()
  return Number.isNaN(value) ? null : value
}
