import { field, func, invalidArgument, isOperators, only, TorchLearnerError, text, whole } from '../../check/index.js'
import { keepModes } from '../../nn/index.js'
import { cat, noGrad, scope, type Tensor } from '../../tensor/index.js'
import type { Learner } from '../learner.js'
import { BatchFiles } from '../loop/batch-files.js'
import { Callback } from '../loop/callback.js'
import { type BatchLoader, isLoader } from '../loop/data.js'
import { endingWith } from '../loop/ending.js'
import type { ModelOutput } from '../loop/loop-state.js'
import { CancelValid } from '../loop/signals.js'
import { type CallbackList, fields, fitSchema } from '../options.js'

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
  /**
   * Applied to the model's output, to each where there are several; default: the loss function's activation (softmax for
   * cross entropy).
   */
  act?: (pred: Tensor) => Tensor
  /**
   * Rows come in the dataset's order, all of them, also from a shuffled loader (if it can make an unshuffled one of
   * itself). False takes `dl` as it is: shuffled, and without what it leaves out. Default true.
   */
  reorder?: boolean
  /** Along which dimension batches of predictions, targets and inputs are joined. Default 0. */
  concatDim?: number
  /** False leaves the predictions out, as when {@link savePreds} takes them: `preds` is then `null`. Default true. */
  withPreds?: boolean
  /** False leaves the targets out, which saves memory: `targs` is then `null`. Default true. */
  withTargs?: boolean
  /**
   * A folder for the predictions, for sets that don't fit in memory: the model's output for each batch, before the
   * activation, as `preds-000000.safetensors`, `preds-000001.safetensors`... The tensor in them is named `preds`, further
   * outputs `preds.1`, `preds.2`... Read them with {@link loadSafetensors}. The folder is made if need be; files of these
   * names are replaced, others stay.
   */
  savePreds?: string
  /** A folder for the targets, `targs-000000.safetensors`... with `targs`, `targs.1`... like {@link savePreds}. */
  saveTargs?: string
  /** Part of a fit under way: without `beforeFit` ... `afterFit`. Default false. */
  inner?: boolean
}

/** What {@link Learner.getPreds} returns, all rows in the same order. */
export interface Preds {
  /** `(N, ...)`, after the activation: the model's output, or the first of several. */
  preds: Tensor
  /** The further outputs, where a model has several. */
  otherPreds?: Tensor[]
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
  /** The further outputs, decoded. */
  otherDecoded?: Tensor[]
  /** `(N)` */
  losses?: Tensor
}

/** {@link Preds} of which only the rest was asked for, by `withPreds: false`. */
export type PredsWithout = Omit<Preds, 'preds' | 'otherPreds' | 'decoded' | 'otherDecoded'> & { preds: null }

const folder = text('a folder').optional()

/** Of the training set or the validation set. */
export const dsIdx = only(0).or(only(1), '0 or 1')

export const validateSchema = fitSchema.pick('cbs', 'signal').extend({
  dsIdx: dsIdx.optional(),
  dl: field<BatchLoader>('a loader: something to iterate over batches, with a length,', isLoader).optional(),
})

export const predsSchema = validateSchema.extend({
  withInput: fields.flag,
  withDecoded: fields.flag,
  withLoss: fields.flag,
  act: func<(pred: Tensor) => Tensor>().optional(),
  inner: fields.flag,
  reorder: fields.flag,
  withPreds: fields.flag,
  withTargs: fields.flag,
  savePreds: folder,
  saveTargs: folder,
  concatDim: whole(-Infinity, Infinity, 'the number of a dimension').optional(),
})

/**
 * The loader that is asked for.
 *
 * @throws TorchLearnerError `ERR_INVALID_ARG` when there is no validation set, `ERR_NO_DATA` when the set is empty
 */
export function chosenLoader({ dls }: Learner, { dsIdx = 1, dl }: ValidateOptions): BatchLoader {
  const loader = dl ?? (dsIdx === 0 ? dls.train : dls.valid)
  if (loader?.length === 0) {
    const which = dl ? 'The loader in dl' : `The ${dsIdx === 0 ? 'training' : 'validation'} set`
    throw new TorchLearnerError('ERR_NO_DATA', `${which} has no batches`)
  }
  if (loader !== undefined) return loader
  const hint = "There is no validation set: give the Learner's data one (dls.valid), or pass a loader as dl"
  throw invalidArgument('dsIdx', '0, the training set,', dsIdx, hint)
}

/** Complains of options that contradict each other. */
export function checkPreds({ withPreds, withDecoded }: PredsOptions): void {
  if (withPreds === false && withDecoded) {
    throw invalidArgument('withDecoded', 'false where withPreds is false: it is made of the predictions', withDecoded)
  }
}

/** Collects predictions and what belongs to them, batch by batch. */
export class GatherPreds extends Callback {
  readonly #options: PredsOptions
  /** For each output, input and target, its part in every batch. */
  readonly #preds: Tensor[][] = []
  readonly #inputs: Tensor[][] = []
  readonly #targs: Tensor[][] = []
  readonly #losses: Tensor[][] = []
  readonly #files: { preds: BatchFiles | null; targs: BatchFiles | null }
  #batches = 0
  /** The model returns an array. */
  #several = false

  constructor(options: PredsOptions) {
    super()
    this.#options = options
    const { savePreds, saveTargs } = options
    this.#files = {
      preds: savePreds === undefined ? null : new BatchFiles(savePreds, 'preds'),
      targs: saveTargs === undefined ? null : new BatchFiles(saveTargs, 'targs'),
    }
  }

  override async afterBatch(): Promise<void> {
    const { output, preds, xb, yb, loss, bs } = this.learn
    if (output === null) return
    const { withPreds = true, withTargs = true, withInput, withLoss } = this.#options
    this.#batches += 1
    this.#several = Array.isArray(output)
    if (withPreds) collectColumns(this.#preds, preds)
    if (withTargs) collectColumns(this.#targs, yb)
    if (withInput) collectColumns(this.#inputs, xb)
    // several values for a sample (a segmented picture's) become their mean
    if (withLoss && loss) collectColumns(this.#losses, [loss.reshape([bs, -1]).mean([1])])
    const files = this.#files
    const written = [files.preds?.write(preds), yb.length > 0 ? files.targs?.write(yb) : undefined]
    if ((await Promise.all(written)).includes(false)) throw new CancelValid() // a full disk needn't see the whole set
  }

  override cleanup(): void {
    const columns = [this.#preds, this.#losses, this.#targs, this.#inputs]
    for (const part of columns.flat(2)) part.dispose()
  }

  /** Runs the pass and joins what it yielded. */
  async collect(learn: Learner, pass: () => Promise<void>): Promise<Preds | PredsWithout> {
    const { withLoss = false, inner } = this.#options
    const resume = inner ? [learn.suspend(), keepModes(learn.model)] : []
    learn.unreduced = withLoss
    let passed = false
    const body = async () => {
      await pass()
      passed = true
    }
    await endingWith(body, async () => {
      learn.unreduced = false
      for (const restore of resume) restore()
      const files = [this.#files.preds?.finish(), this.#files.targs?.finish()]
      const failed = (await Promise.allSettled(files)).find(file => file.status === 'rejected')
      // what fails in the files because it failed in the pass is no second failure
      if (failed && (passed || !isOperators(failed.reason))) throw failed.reason
    })
    if (this.#batches === 0) throw new TorchLearnerError('ERR_NO_DATA', 'getPreds: the loader has no batches')
    return noGrad(() => scope(() => this.#joined(learn.lossFunc)))
  }

  #joined(lossFunc: Learner['lossFunc']): Preds | PredsWithout {
    const { withInput = false, withDecoded = false, act } = this.#options
    const [targs = null, ...otherTargs] = this.#join(this.#targs)
    const [inputs, ...otherInputs] = this.#join(this.#inputs)
    const losses = this.#losses.map(parts => cat(parts, 0))[0]
    const rest = {
      targs,
      ...(otherTargs.length > 0 && { otherTargs }),
      ...(withInput && { inputs }),
      ...(otherInputs.length > 0 && { otherInputs }),
      ...(losses && { losses }),
    }
    if (this.#options.withPreds === false) return { preds: null, ...rest }
    const raw = this.#join(this.#preds)
    const [preds, ...otherPreds] = act ? raw.map(act) : this.#through(lossFunc.activation?.bind(lossFunc), raw)
    const [decoded, ...otherDecoded] = withDecoded
      ? this.#through(lossFunc.decodes?.bind(lossFunc), [preds, ...otherPreds])
      : []
    return {
      preds,
      ...(otherPreds.length > 0 && { otherPreds }),
      ...rest,
      ...(withDecoded && { decoded }),
      ...(otherDecoded.length > 0 && { otherDecoded }),
    }
  }

  /** What the loss function makes of the outputs: it gets them as it gets those of a batch. */
  #through(func: ((pred: Tensor) => Tensor) | undefined, outputs: Tensor[]): Tensor[] {
    if (!func) return outputs
    const output: ModelOutput = this.#several ? outputs : outputs[0]
    const made: ModelOutput = func(output as Tensor)
    return this.#several ? [made].flat() : [made as Tensor]
  }

  #join(columns: Tensor[][]): Tensor[] {
    const { concatDim = 0 } = this.#options
    return columns.map(parts => {
      const dims = Math.max(parts[0].ndim, 1) // known by now: the pass is over
      if (concatDim < -dims || concatDim >= dims) {
        throw invalidArgument('concatDim', `a dimension of what is joined, ${-dims} to ${dims - 1},`, concatDim)
      }
      return cat(parts, concatDim)
    })
  }
}

function collectColumns(columns: Tensor[][], tensors: readonly Tensor[]): void {
  tensors.forEach((tensor, i) => {
    columns[i] ??= []
    columns[i].push(tensor.detach().keep())
  })
}
