import { cat, mark, noGrad, scope, type Tensor } from '../../tensor/index.js'
import type { Awaitable } from '../events.js'
import type { Learner } from '../learner.js'
import { checkMetricName, Metric, metricName } from './metric.js'

/** A function of a whole set's predictions and targets; it may wait for values, and returns `null` if there is none. */
export type SetFunction = (pred: Tensor, ...targets: Tensor[]) => Awaitable<Tensor | number | null>

/**
 * A function of all predictions and targets of a set, for what isn't a mean over batches: fastai's `AccumMetric`. The
 * batches' tensors are kept, and joined at the end; nothing waits for them before.
 *
 * In training under MixUp or CutMix it compares with the samples' own targets.
 *
 * @example new AccumMetric((pred, targ) => pred.flatten().sub(targ).abs().max(), 'max_error')
 */
export class AccumMetric extends Metric {
  readonly name: string
  readonly #func: SetFunction
  #preds: Tensor[] = []
  #targets: Tensor[][] = []

  /**
   * @param func called once, with tensors joined along the first dimension
   * @param name heads the column; default: the function's name in snake case
   */
  constructor(func: SetFunction, name = metricName(func)) {
    super()
    this.#func = func
    this.name = checkMetricName(name)
  }

  override reset(): void {
    for (const tensor of [this.#preds, ...this.#targets].flat()) tensor.dispose()
    this.#preds = []
    this.#targets = []
  }

  override accumulate({ pred, yb }: Learner): void {
    if (!pred) return
    this.#preds.push(pred.detach().keep())
    yb.forEach((y, i) => {
      this.#targets[i] ??= []
      this.#targets[i].push(y.detach().keep())
    })
  }

  override async value(): Promise<number | null> {
    const [preds, targets] = [this.#preds, this.#targets]
    if (preds.length === 0) return null
    return noGrad(() =>
      scope(async () => {
        const joined = [preds, ...targets].map(parts => cat(parts, 0))
        await mark() // from here on shapes are known
        const [pred, ...targs] = joined
        const value = await this.#func(pred, ...targs)
        return value === null || typeof value === 'number' ? value : value.item()
      }),
    )
  }
}
