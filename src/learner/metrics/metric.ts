import { finite, invalidArgument, object } from '../../check/index.js'
import { isTensor } from '../../nn/index.js'
import { scope, Tensor, tensor } from '../../tensor/index.js'
import type { Learner } from '../learner.js'
import { type CallbackState, readState, type SavedCallbackState } from '../loop/callback-state.js'
import { snakeCase } from '../report/naming.js'

/**
 * A function of one batch's predictions and targets, returning the mean over the batch: a one-element tensor or a number.
 * Its name heads the column. One marked `wholeSet` isn't averaged over batches but computed once, for all predictions
 * together: see {@link AccumMetric}. The other properties serve batches that are mixed (metrics of training under MixUp
 * or CutMix), in which a sample counts twice: for its own target by its weight, and for its partner's by the rest.
 */
export interface MetricFunction {
  (pred: Tensor, ...targets: Tensor[]): Tensor | number
  /**
   * Same arguments, one value per row: both targets' values are then weighed row by row. Without it the batch's value
   * against the own targets and that against the partners' are weighed by the mean weight.
   */
  readonly perSample?: (pred: Tensor, ...targets: Tensor[]) => Tensor
  /** For targets that were mixed themselves, where the function takes them for something else than shares of labels. */
  readonly soft?: (pred: Tensor, ...targets: Tensor[]) => Tensor
  readonly wholeSet?: boolean
  /** With `wholeSet`: the same for rows that count by `weights`, `(N)`. */
  readonly weighted?: (pred: Tensor, weights: Tensor, ...targets: Tensor[]) => Tensor
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
  /** What was accumulated, for a {@link Checkpoint} in the middle of an epoch with the Recorder's `trainMetrics`. */
  saveState?(): CallbackState
  /** Takes back what {@link saveState} gave. Tensors are to be copied. */
  loadState?(state: SavedCallbackState): void
}

/** The column of a function: its name in snake case. */
export function metricName(func: unknown): string {
  if (typeof func !== 'function') throw invalidArgument('func', 'a function of predictions and targets', func)
  return typeof func.name === 'string' && func.name !== '' ? snakeCase(func.name) : 'metric'
}

/** @internal What a metric reads of a Learner. */
export function batchOf(learn: Learner): Learner {
  if (typeof learn === 'object' && learn !== null && Array.isArray(learn.yb)) return learn
  throw invalidArgument('learn', 'a Learner with a batch at hand', learn)
}

export function checkMetricName(name: unknown): string {
  if (typeof name === 'string' && name !== '') return name
  throw invalidArgument('name', "a metric's name", name)
}

const meanState = object({ count: finite })

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

  saveState(): CallbackState {
    return { values: { count: this.#count }, tensors: this.#total ? { total: this.#total } : {} }
  }

  loadState(name: string, state: SavedCallbackState): void {
    const { values, tensors } = readState(name, state, meanState)
    const { total } = tensors
    this.reset()
    this.#count = values.count
    this.#total = total ? total.clone().keep() : null
  }
}

function asTensor(value: Tensor | number): Tensor {
  if (value instanceof Tensor) return value
  if (typeof value === 'number') return tensor(value)
  throw invalidArgument('the result of a metric', 'a number or a Tensor', value)
}

/** @internal `a` where `weight` is 0, `b` where it is 1: `lerp` for any mixture of dtypes. */
export function between(a: Tensor, b: Tensor, weight: Tensor): Tensor {
  return a.add(b.sub(a).mul(weight))
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
    const { output, yb, mixed, softTargets } = batchOf(learn)
    if (output === null) return
    const pred = output as Tensor // or as many as the model returns
    const { soft } = this.#func
    if (mixed) this.#mean.add(this.#mixedValue(pred, yb, mixed.yb1, mixed.lam), learn.bs)
    else this.#mean.add(softTargets && soft ? soft(pred, ...yb) : this.#func(pred, ...yb), learn.bs)
  }

  #mixedValue(pred: Tensor, own: Tensor[], partner: Tensor[], lam: Tensor): Tensor | number {
    const { perSample } = this.#func
    if (perSample) {
      const rows = (targets: Tensor[]) => isTensor('the result of perSample', perSample(pred, ...targets)).flatten()
      return between(rows(partner), rows(own), lam).mean()
    }
    const [a, b] = [asTensor(this.#func(pred, ...partner)), asTensor(this.#func(pred, ...own))]
    return between(a, b, lam.mean())
  }

  override value(): Promise<number | null> {
    return this.#mean.value()
  }

  override saveState(): CallbackState {
    return this.#mean.saveState()
  }

  override loadState(state: SavedCallbackState): void {
    this.#mean.loadState(this.name, state)
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
    const { loss, bs } = batchOf(learn)
    if (loss) this.#mean.add(loss.mean(), bs)
  }

  override value(): Promise<number | null> {
    return this.#mean.value()
  }

  override saveState(): CallbackState {
    return this.#mean.saveState()
  }

  override loadState(state: SavedCallbackState): void {
    this.#mean.loadState(this.name, state)
  }
}
