import { invalidArgument } from '../../native/index.js'
import { scope, Tensor, tensor } from '../../tensor/index.js'
import type { Learner } from '../learner.js'
import { snakeCase } from '../naming.js'

/**
 * A function of one batch's predictions and targets, returning the mean over the batch: a one-element tensor or a number.
 * Its name heads the column. A function that also has `perSample` (same arguments, one value per row of the targets) is
 * weighed row by row when targets are mixed. One marked `wholeSet` isn't averaged over batches but computed once, for all
 * predictions together: see {@link AccumMetric}.
 */
export interface MetricFunction {
  (pred: Tensor, ...targets: Tensor[]): Tensor | number
  readonly perSample?: (pred: Tensor, ...targets: Tensor[]) => Tensor
  readonly wholeSet?: boolean
}

/** A number over a whole part of an epoch: reset before it, fed after each batch, read at its end. */
export abstract class Metric {
  /** Heads the column, in fastai's snake case. */
  abstract readonly name: string
  /** Forgets what was accumulated. */
  abstract reset(): void
  /** Takes in the batch at hand: `learn.pred`, `learn.yb`, `learn.loss`, `learn.bs`. Must not wait for tensors' values. */
  abstract accumulate(learn: Learner): void
  /** The value so far, `null` if nothing was accumulated. */
  abstract value(): Promise<number | null>
}

/** The column of a function: its name in snake case. */
export function metricName(func: unknown): string {
  if (typeof func !== 'function') throw invalidArgument('func', 'a function of predictions and targets', func)
  return snakeCase(func.name) || 'metric'
}

export function checkMetricName(name: unknown): string {
  if (typeof name === 'string' && name !== '') return name
  throw invalidArgument('name', "a metric's name", name)
}

/** A mean over samples: `sum(value * rows) / sum(rows)`, summed natively so that nobody waits for it. */
class SampleMean {
  #total: Tensor | null = null
  #count = 0

  reset(): void {
    this.#total?.dispose()
    this.#total = null
    this.#count = 0
  }

  add(batchMean: Tensor | number, rows: number): void {
    this.#count += rows
    const mean = asTensor(batchMean).detach()
    if (this.#total) this.#total.add_(mean, { alpha: rows })
    else this.#total = mean.mul(rows).keep()
  }

  value(): Promise<number | null> {
    const [total, count] = [this.#total, this.#count]
    return total ? scope(() => total.div(count).item()) : Promise.resolve(null)
  }
}

function asTensor(value: Tensor | number): Tensor {
  if (value instanceof Tensor) return value
  if (typeof value === 'number') return tensor(value)
  throw invalidArgument('the result of a metric', 'a number or a Tensor', value)
}

/** The sample-weighted mean of a function over batches: what a plain function in `metrics` becomes. */
export class AvgMetric extends Metric {
  readonly name: string
  readonly #func: MetricFunction
  readonly #mean = new SampleMean()

  /**
   * @param func see {@link MetricFunction}
   * @param name heads the column; default: the function's name in snake case
   */
  constructor(func: MetricFunction, name = metricName(func)) {
    super()
    this.#func = func
    this.name = checkMetricName(name)
  }

  override reset(): void {
    this.#mean.reset()
  }

  /** A mixed batch is measured against both targets, each by its weight: see {@link LoopState.mixed}. */
  override accumulate(learn: Learner): void {
    const { pred, yb, mixed } = learn
    if (!pred) return
    this.#mean.add(mixed ? this.#mixedValue(pred, yb, mixed.yb1, mixed.lam) : this.#func(pred, ...yb), learn.bs)
  }

  #mixedValue(pred: Tensor, own: Tensor[], partner: Tensor[], lam: Tensor): Tensor | number {
    const { perSample } = this.#func
    if (perSample)
      return perSample(pred, ...partner)
        .lerp(perSample(pred, ...own), lam)
        .mean()
    const [a, b] = [asTensor(this.#func(pred, ...partner)), asTensor(this.#func(pred, ...own))]
    return a.lerp(b, lam.mean())
  }

  override value(): Promise<number | null> {
    return this.#mean.value()
  }
}

/** The sample-weighted mean of the loss. */
export class AvgLoss extends Metric {
  readonly name = 'loss'
  readonly #mean = new SampleMean()

  override reset(): void {
    this.#mean.reset()
  }

  override accumulate(learn: Learner): void {
    if (learn.loss) this.#mean.add(learn.loss.mean(), learn.bs)
  }

  override value(): Promise<number | null> {
    return this.#mean.value()
  }
}
