import { checkOptions, finite, flag, oneOf } from '../../check/index.js'
import { noGrad, scope, stack, type Tensor } from '../../tensor/index.js'
import type { Learner } from '../learner.js'
import { type AverageOptions, average, averageSchema, fBeta, precision, recall, type Score } from './averages.js'
import { batchOf, between, checkMetricName, Metric } from './metric.js'
import { samePair } from './pairs.js'

/** Options of the metrics for several labels per sample. */
export interface MultiLabelOptions extends Omit<AverageOptions, 'average' | 'posLabel'> {
  /** `macro` (default): the mean over labels; `weighted`: each label by how often it occurs; `micro`: all together. */
  average?: 'macro' | 'micro' | 'weighted'
  /** From above which score on a label is given. Default 0.5. */
  thresh?: number
  /** Turn predictions into probabilities first. Default true. */
  sigmoid?: boolean
}

const schema = averageSchema.omit('posLabel').extend({
  average: oneOf('macro', 'micro', 'weighted').optional(),
  thresh: finite.optional(),
  sigmoid: flag.optional(),
})

/**
 * Base of the metrics that compare the given labels with the true ones: predictions and targets `(N, C)`, a target above
 * 0.5 being a label. Counts natively, three numbers a label. In training under MixUp or CutMix a label counts by its
 * share: 0.7 of it is there, and 0.3 isn't.
 */
export abstract class MultiLabelMetric extends Metric {
  readonly #options: MultiLabelOptions
  #counts: Tensor | null = null

  protected constructor(
    readonly name: string,
    protected readonly score: Score,
    options: MultiLabelOptions,
  ) {
    super()
    checkMetricName(name)
    checkOptions(schema, options, name)
    this.#options = options
  }

  override reset(): void {
    this.#counts?.dispose()
    this.#counts = null
  }

  override accumulate(learn: Learner): void {
    const { pred, yb, mixed, softTargets } = batchOf(learn)
    const [targ] = yb
    if (!pred || !targ) return
    const { thresh = 0.5, sigmoid = true } = this.#options
    noGrad(() => {
      const [scores, truth] = samePair(pred.detach(), targ)
      const given = (sigmoid ? scores.sigmoid() : scores).gt(thresh).to({ dtype: 'float64' })
      const hard = (labels: Tensor) => labels.gt(0.5).to({ dtype: 'float64' })
      const labels = mixed
        ? between(hard(mixed.yb1[0]), hard(truth), mixed.lam.unsqueeze(-1))
        : softTargets
          ? truth.to({ dtype: 'float64' })
          : hard(truth)
      const counts = stack([given.mul(labels).sum([0]), given.sum([0]), labels.sum([0])])
      if (this.#counts) this.#counts.add_(counts)
      else this.#counts = counts.keep()
    })
  }

  override async value(): Promise<number | null> {
    const counts = this.#counts
    if (!counts) return null
    const [right, predicted, actual] = (await scope(() => counts.reshape([3, -1]).toArray())) as number[][]
    const labels = right.map((n, i) => ({ right: n, predicted: predicted[i], actual: actual[i] }))
    const all = labels.map(() => true)
    return average(this.name, labels, all, this.score, { average: this.#options.average ?? 'macro' })
  }
}

/** The share of given labels that are right. */
export class PrecisionMulti extends MultiLabelMetric {
  constructor(options: MultiLabelOptions = {}) {
    super('precision_score', precision, options)
  }
}

/** The share of right labels that are given. */
export class RecallMulti extends MultiLabelMetric {
  constructor(options: MultiLabelOptions = {}) {
    super('recall_score', recall, options)
  }
}

/** The harmonic mean of {@link PrecisionMulti} and {@link RecallMulti}. */
export class F1ScoreMulti extends MultiLabelMetric {
  constructor(options: MultiLabelOptions = {}) {
    super('f1_score', fBeta(1), options)
  }
}
