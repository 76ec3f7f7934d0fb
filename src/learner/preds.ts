import { z } from 'zod'
import { TorchLearnerError } from '../native/index.js'
import { cat, noGrad, scope, type Tensor } from '../tensor/index.js'
import { Callback } from './callback.js'
import { type BatchLoader, isLoader } from './data.js'
import type { Learner } from './learner.js'
import { type CallbackList, fields, fitSchema } from './options.js'

/** Options of {@link Learner.validate}. */
export interface ValidateOptions {
  /** 0 for the training set, 1 (default) for the validation set. */
  dsIdx?: 0 | 1
  /** A loader of your own instead. */
  dl?: BatchLoader
  /** Callbacks for this run only. */
  cbs?: CallbackList
  /** Stops within one batch; the promise then rejects with the signal's reason. */
  signal?: AbortSignal
}

/** Options of {@link Learner.getPreds}. */
export interface PredsOptions extends ValidateOptions {
  /** Return the inputs too. Default false. */
  withInput?: boolean
  /** Return the decoded predictions too: the classes, where predictions are probabilities. Default false. */
  withDecoded?: boolean
  /** Return the loss of each sample too. Default false. */
  withLoss?: boolean
  /** Applied to the model's output; default: the loss function's activation (softmax for cross entropy). */
  act?: (pred: Tensor) => Tensor
  /**
   * Rows come in the dataset's order, all of them, also from a shuffled loader (if it can make an unshuffled one of
   * itself). False takes `dl` as it is: shuffled, and without what it leaves out. Default true.
   */
  reorder?: boolean
  /** Along which dimension batches are joined. Default 0. */
  concatDim?: number
  /** False leaves the targets out, which saves memory: `targs` is then `null`. Default true. */
  withTargs?: boolean
  /** Part of a fit under way: without `beforeFit` ... `afterFit`. Default false. */
  inner?: boolean
}

/** What {@link Learner.getPreds} returns, all rows in the same order. */
export interface Preds {
  /** `(N, ...)`, after the activation. */
  preds: Tensor
  /** `(N, ...)`, the first target; `null` if batches have none, and without `withTargs`. */
  targs: Tensor | null
  /** The further targets, where batches have several. */
  otherTargs?: Tensor[]
  /** The first input, `(N, ...)`. */
  inputs?: Tensor
  /** The further inputs, where there are several. */
  otherInputs?: Tensor[]
  /** `(N, ...)`: what the loss function's `decodes` makes of the predictions. */
  decoded?: Tensor
  /** `(N)` */
  losses?: Tensor
}

export const validateSchema = fitSchema.pick({ cbs: true, signal: true }).extend({
  dsIdx: z.union([z.literal(0), z.literal(1)], { error: '0 or 1' }).optional(),
  dl: z
    .custom<BatchLoader>(isLoader, { error: 'a loader: something to iterate over batches, with a length,' })
    .optional(),
})

export const predsSchema = validateSchema.extend({
  withInput: fields.flag,
  withDecoded: fields.flag,
  withLoss: fields.flag,
  act: z.custom(value => typeof value === 'function', { error: 'a function' }).optional(),
  inner: fields.flag,
  reorder: fields.flag,
  withTargs: fields.flag,
  concatDim: z.int({ error: 'the number of a dimension' }).optional(),
})

/** Collects predictions and what belongs to them, batch by batch. */
export class GatherPreds extends Callback {
  readonly #options: PredsOptions
  /** For each input, and each target, its part in every batch. */
  readonly #inputs: Tensor[][] = []
  readonly #targs: Tensor[][] = []
  readonly #preds: Tensor[] = []
  readonly #losses: Tensor[] = []

  constructor(options: PredsOptions) {
    super()
    this.#options = options
  }

  override afterBatch(): void {
    const { pred, xb, yb, loss, bs } = this.learn
    if (!pred) return
    this.#preds.push(pred.detach().keep())
    if (this.#options.withTargs !== false) collectColumns(this.#targs, yb)
    if (this.#options.withInput) collectColumns(this.#inputs, xb)
    // several values for a sample (a segmented picture's) become their mean
    if (this.#options.withLoss && loss) this.#losses.push(loss.reshape([bs, -1]).mean([1]).keep())
  }

  override cleanup(): void {
    for (const part of [this.#preds, this.#losses, ...this.#targs, ...this.#inputs].flat()) part.dispose()
  }

  /** Runs the pass and joins what it yielded. */
  async collect(learn: Learner, pass: () => Promise<void>): Promise<Preds> {
    const { withInput = false, withDecoded = false, withLoss = false, act, concatDim = 0 } = this.#options
    const resume = this.#options.inner ? learn.suspend() : undefined
    try {
      if (withLoss) await learn.lossNotReduced(pass)
      else await pass()
    } finally {
      resume?.()
      if (resume && learn.training) learn.model.train()
    }
    if (this.#preds.length === 0) throw new TorchLearnerError('ERR_NO_DATA', 'getPreds: the loader has no batches')
    const { lossFunc } = learn
    const activation = act ?? (pred => lossFunc.activation?.(pred) ?? pred)
    const joined = (): Preds => {
      const preds = activation(cat(this.#preds, concatDim))
      const [targs = null, ...otherTargs] = this.#targs.map(parts => cat(parts, concatDim))
      const [inputs, ...otherInputs] = this.#inputs.map(parts => cat(parts, concatDim))
      return {
        preds,
        targs,
        ...(otherTargs.length > 0 && { otherTargs }),
        ...(withInput && { inputs }),
        ...(otherInputs.length > 0 && { otherInputs }),
        ...(withDecoded && { decoded: lossFunc.decodes?.(preds) ?? preds }),
        ...(withLoss && { losses: cat(this.#losses, 0) }),
      }
    }
    return noGrad(() => scope(joined))
  }
}

function collectColumns(columns: Tensor[][], tensors: readonly Tensor[]): void {
  tensors.forEach((tensor, i) => {
    columns[i] ??= []
    columns[i].push(tensor.detach().keep())
  })
}
