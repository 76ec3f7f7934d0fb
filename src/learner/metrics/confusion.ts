import { checkOptions, integer, invalidArgument, object } from '../../check/index.js'
import { isTensor } from '../../nn/index.js'
import { noGrad, scope, type Tensor } from '../../tensor/index.js'
import type { Learner } from '../learner.js'
import { type CallbackState, readState, type SavedCallbackState } from '../loop/callback-state.js'
import {
  type AverageOptions,
  average,
  averageSchema,
  type ClassCounts,
  fBeta,
  precision,
  recall,
  type Score,
} from './averages.js'
import { batchOf, checkMetricName, Metric } from './metric.js'
import { classPair } from './pairs.js'

/** 1 in the column of each row's class, else 0: `(N, C)`, as wide as `scores`. */
function oneHot(classes: Tensor, scores: Tensor): Tensor {
  const rows = classPair(scores, classes)[1].to({ dtype: 'int64' }).unsqueeze(1)
  return scores.zerosLike({ dtype: 'float64' }).scatter_(1, rows, 1)
}

/** Predictions as rows of scores: `(N, C)`. */
function rowsOf(pred: Tensor, axis: number): Tensor {
  return pred.detach().movedim(axis, -1).flatten(0, -2)
}

function countPairs(truth: Tensor, scores: Tensor): Tensor {
  return truth.t().mm(oneHot(scores.argmax(1), scores))
}

/**
 * How often each class was taken for each: `(C, C)`, rows are the truth, columns the predictions.
 *
 * @param pred scores `(N, C)`, or `(N, C, ...)` with `axis` 1
 * @param targ one class for each, `(N)` or `(N, ...)`, integers
 * @param axis the dimension of the classes; default: the last
 * @example await confusionMatrix(preds, targs).toArray() // [[50, 2], [3, 45]]
 */
export function confusionMatrix(pred: Tensor, targ: Tensor, axis = -1): Tensor {
  isTensor('pred', pred)
  isTensor('targ', targ)
  return noGrad(() =>
    scope(() => {
      const scores = rowsOf(pred, axis)
      return countPairs(oneHot(targ, scores), scores)
    }),
  )
}

/** Options of the metrics that count classes. */
export interface ClassMetricOptions extends AverageOptions {
  /** The dimension of the classes; default: the last. */
  axis?: number
}

const schema = averageSchema.extend({ axis: integer.optional() })

/**
 * Base of the metrics that compare the likeliest class with the true one. Counts natively, `(C, C)` numbers for the whole
 * set. In training under MixUp or CutMix a sample counts for both its classes, each by its weight.
 */
export abstract class ConfusionMetric extends Metric {
  readonly #options: ClassMetricOptions
  #counts: Tensor | null = null

  protected constructor(
    readonly name: string,
    protected readonly score: Score,
    options: ClassMetricOptions,
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
    const { pred, yb, mixed } = batchOf(learn)
    const [own] = yb
    if (!pred || !own) return
    noGrad(() => {
      const scores = rowsOf(pred, this.#options.axis ?? -1)
      const partner = mixed?.yb1[0]
      const truth = oneHot(own, scores)
      const counts = countPairs(
        mixed && partner ? oneHot(partner, scores).lerp(truth, columnOf(mixed.lam, own)) : truth,
        scores,
      )
      if (this.#counts) this.#counts.add_(counts)
      else this.#counts = counts.keep()
    })
  }

  override saveState(): CallbackState {
    return { tensors: this.#counts ? { counts: this.#counts } : {} }
  }

  override loadState(state: SavedCallbackState): void {
    const { counts } = readState(this.name, state, object({})).tensors
    this.reset()
    this.#counts = counts ? counts.clone().keep() : null
  }

  /** How often each class was taken for each: rows are the truth, columns the predictions; `null` before any batch. */
  async counts(): Promise<number[][] | null> {
    return (this.#counts?.toArray() as Promise<number[][]> | undefined) ?? null
  }

  override async value(): Promise<number | null> {
    const counts = await this.counts()
    if (!counts) return null
    const perClass: ClassCounts[] = counts.map((row, c) => ({
      right: row[c],
      predicted: counts.reduce((sum, other) => sum + other[c], 0),
      actual: row.reduce((sum, n) => sum + n, 0),
    }))
    const known = perClass.map(({ predicted, actual }) => predicted + actual > 0)
    return average(this.name, perClass, known, this.score, { average: 'binary', ...this.#options })
  }
}

/** A weight for each element of the targets, as a column. */
function columnOf(lam: Tensor, targ: Tensor): Tensor {
  const row = lam.to({ dtype: 'float64' }).view([-1, ...new Array<number>(targ.ndim - 1).fill(1)])
  return row.expandAs(targ).flatten().unsqueeze(1)
}

/**
 * The share of those predicted to be of a class that are.
 * @example metrics: [new Precision({ average: 'macro' })]
 */
export class Precision extends ConfusionMetric {
  constructor(options: ClassMetricOptions = {}) {
    super('precision_score', precision, options)
  }
}

/** The share of those of a class that are predicted to be. */
export class Recall extends ConfusionMetric {
  constructor(options: ClassMetricOptions = {}) {
    super('recall_score', recall, options)
  }
}

/** The harmonic mean of {@link Precision} and {@link Recall}. */
export class F1Score extends ConfusionMetric {
  constructor(options: ClassMetricOptions = {}) {
    super('f1_score', fBeta(1), options)
  }
}

/** The weighted harmonic mean of {@link Precision} and {@link Recall}: recall counts `beta` times as much. */
export class FBeta extends ConfusionMetric {
  constructor(options: ClassMetricOptions & { beta: number }) {
    if (typeof options !== 'object' || options === null)
      throw invalidArgument('options', 'an object with beta', options)
    const { beta, ...others } = options
    super('fbeta_score', fBeta(beta), others)
  }
}
