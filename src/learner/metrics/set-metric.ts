import { anything, flag, invalidArgument, object, record, whole } from '../../check/index.js'
import { cat, mark, noGrad, ones, scope, Tensor } from '../../tensor/index.js'
import type { Learner } from '../learner.js'
import { type CallbackState, nest, readState, type SavedCallbackState, unnest } from '../loop/callback-state.js'
import type { Awaitable } from '../loop/events.js'
import type { Mixed } from '../loop/loop-state.js'
import { batchOf, checkMetricName, Metric, metricName } from './metric.js'

type Value = Tensor | number | null

/**
 * A function of a whole set's predictions and targets; it may wait for values, and returns `null` if there is none.
 * The properties serve sets with mixed batches: see {@link AccumMetric}.
 */
export interface SetFunction {
  (pred: Tensor, ...targets: Tensor[]): Awaitable<Value>
  /** The same for rows that count by `weights`, `(N)`. */
  readonly weighted?: (pred: Tensor, weights: Tensor, ...targets: Tensor[]) => Awaitable<Value>
  /** For targets that were mixed themselves, where the function takes them for something else than shares of labels. */
  readonly soft?: (pred: Tensor, ...targets: Tensor[]) => Awaitable<Value>
}

/** A batch's tensors, kept. */
interface Part {
  outputs: Tensor[]
  targets: Tensor[]
  mixed: Mixed | null
}

/**
 * A function of all predictions and targets of a set, for what isn't a mean over batches: fastai's `AccumMetric`. The
 * batches' tensors are kept, and joined at the end; nothing waits for them before.
 *
 * In training under MixUp or CutMix every sample is in the set twice: with its own target and its weight, and with its
 * partner's and the rest. A function says by `weighted` how it deals with weights (`rmse`, `expRmspe` and the areas under
 * ROC curves do); for others the value against the own targets and that against the partners' are weighed by the mean
 * weight. Where targets are mixed themselves, they are the truth.
 *
 * @example new AccumMetric((pred, targ) => pred.flatten().sub(targ).abs().max(), 'max_error')
 */
export class AccumMetric extends Metric {
  readonly name: string
  readonly #func: SetFunction
  #parts: Part[] = []
  #soft = false
  /** The model returns an array, and the function gets one. */
  #several = false

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
    for (const part of this.#parts) for (const tensor of tensorsOf(part)) tensor.dispose()
    this.#parts = []
    this.#soft = false
  }

  override accumulate(learn: Learner): void {
    const { output, preds, yb, mixed, softTargets } = batchOf(learn)
    if (output === null) return
    const kept = (tensor: Tensor) => tensor.detach().keep()
    this.#several = !(output instanceof Tensor)
    this.#soft ||= softTargets
    this.#parts.push({
      outputs: preds.map(kept),
      targets: yb.map(kept),
      mixed: mixed && { yb1: mixed.yb1.map(kept), lam: kept(mixed.lam) },
    })
  }

  override saveState(): CallbackState {
    const { values, tensors } = nest(
      this.#parts.map(part => ({
        values: { outputs: part.outputs.length, targets: part.targets.length, mixed: part.mixed !== null },
        tensors: Object.fromEntries(tensorsOf(part).map((tensor, i) => [i, tensor])),
      })),
    )
    return { values: { parts: values, count: this.#parts.length, soft: this.#soft, several: this.#several }, tensors }
  }

  override loadState(state: SavedCallbackState): void {
    const { values, tensors } = readState(this.name, state, savedSchema)
    const saved = { values: values.parts, tensors }
    // each part has a tensor, which bounds how many there may be
    if (values.count > Object.keys(tensors).length)
      throw invalidArgument('count in the state', 'a part for each', values.count)
    const parts = Array.from({ length: values.count }, (_, i) => toPart(this.name, unnest(saved, i)))
    this.reset()
    this.#soft = values.soft
    this.#several = values.several
    this.#parts = parts
  }

  override async value(): Promise<number | null> {
    if (this.#parts.length === 0) return null
    const isMixed = this.#parts.some(({ mixed }) => mixed !== null)
    return noGrad(() =>
      scope(async () => {
        const parts = this.#parts.map(alias) // validation begins, and resets, before the value of training is there
        await mark() // from here on shapes are known
        const value = await (isMixed ? this.#mixedValue(parts) : this.#plainValue(parts))
        return value instanceof Tensor ? value.item() : value
      }),
    )
  }

  async #plainValue(parts: readonly Part[]): Promise<Value> {
    const func = this.#soft ? (this.#func.soft ?? this.#func) : this.#func
    const [pred, targets] = [this.#outputs(parts), joined(parts, part => part.targets)]
    await mark() // functions may ask for the shapes of what was joined
    return func(pred, ...targets)
  }

  async #mixedValue(parts: readonly Part[]): Promise<Value> {
    const own = joined(parts, ({ targets }) => targets)
    // a batch that wasn't mixed is its own partner, of no weight
    const partners = joined(parts, ({ mixed, targets }) => mixed?.yb1 ?? targets)
    const weights = cat(parts.map(({ mixed, targets }) => rowWeights(mixed, targets[0].shape[0])))
    const { weighted } = this.#func
    if (weighted) {
      const twice = own.map((targets, i) => cat([targets, partners[i]]))
      const pred = this.#outputs([...parts, ...parts])
      await mark()
      return weighted(pred, cat([weights, weights.neg().add(1)]), ...twice)
    }
    const pred = this.#outputs(parts)
    await mark()
    const [a, b] = [await numberOf(this.#func(pred, ...partners)), await numberOf(this.#func(pred, ...own))]
    const share = await weights.mean().item()
    return a === null || b === null ? null : a + (b - a) * share
  }

  /** What the function gets first: the predictions, or an array of them where the model has several outputs. */
  #outputs(parts: readonly Part[]): Tensor {
    const outputs: Tensor | readonly Tensor[] = joined(parts, part => part.outputs)
    return (this.#several ? outputs : outputs[0]) as Tensor
  }
}

function tensorsOf({ outputs, targets, mixed }: Part): Tensor[] {
  return [...outputs, ...targets, ...(mixed ? [mixed.lam, ...mixed.yb1] : [])]
}

/** The same values, in tensors of the scope in force. */
function alias({ outputs, targets, mixed }: Part): Part {
  const other = (tensor: Tensor) => tensor.detach()
  return {
    outputs: outputs.map(other),
    targets: targets.map(other),
    mixed: mixed && { lam: other(mixed.lam), yb1: mixed.yb1.map(other) },
  }
}

/** The way back from {@link tensorsOf}. */
const savedSchema = object({
  parts: record(anything),
  count: whole(0),
  soft: flag,
  several: flag,
})
const partSchema = object({ outputs: whole(0), targets: whole(0), mixed: flag })

function toPart(name: string, state: SavedCallbackState): Part {
  const { values, tensors } = readState(name, state, partSchema)
  const count = values.outputs + values.targets + (values.mixed ? 1 + values.targets : 0)
  const names = Object.keys(tensors)
  if (names.length !== count || names.some((_, i) => !(i in tensors))) {
    throw invalidArgument(`the state of ${name}`, `${count} tensors for a batch`, names)
  }
  const all = names.map((_, i) => tensors[i].clone().keep())
  const next = (count: number) => all.splice(0, count)
  const part: Part = { outputs: next(values.outputs), targets: next(values.targets), mixed: null }
  const [lam, ...yb1] = all
  return values.mixed ? { ...part, mixed: { lam, yb1 } } : part
}

function joined(parts: readonly Part[], pick: (part: Part) => Tensor[]): Tensor[] {
  const rows = parts.map(pick)
  return rows[0].map((_, i) => cat(rows.map(row => row[i])))
}

function rowWeights(mixed: Mixed | null, rows: number): Tensor {
  return mixed ? mixed.lam.to({ dtype: 'float64' }).expand([rows]) : ones([rows], { dtype: 'float64' })
}

async function numberOf(pending: Awaitable<Value>): Promise<number | null> {
  const value = await pending
  return value instanceof Tensor ? value.item() : value
}
