import { invalidArgument } from '../native/index.js'
import { Tensor } from '../tensor/index.js'
import { type Batch, type BatchLoader, inputCount, type LearnerData, type PassStart } from './data.js'
import type { RecordRow } from './recorder.js'

/** Takes each finished row of the table: epoch, values, time. */
export type Logger = (row: readonly (number | string | null)[]) => void

/** What a model returns: a tensor, or several in an array. */
export type ModelOutput = Tensor | readonly Tensor[]

/** Targets that a batch was mixed with: see {@link Learner.mixed}. */
export interface Mixed {
  /** The partners' targets, as `yb`. */
  yb1: Tensor[]
  /** The weight of a sample's own target, `(N)` or `(1)`. */
  lam: Tensor
}

/** Where the loop stands: what callbacks read, and change. */
export class LoopState {
  /** The data; may be replaced between two runs, as for larger pictures. */
  dls: LearnerData
  /** Where model and batches are. */
  readonly device: string
  /** The epoch under way, from 0; `null` before the first fit. Stays as it was after a fit. */
  epoch: number | null = null
  nEpoch = 1
  /** The batch under way, from 0, and how many there are. */
  iter: number | null = null
  nIter = 0
  /** Training batches done in this fit. */
  trainIter = 0
  /** How much of the fit's training is done, 0 to 1: what schedules go by. */
  pctTrain = 0
  training = false
  /** The loader at work. */
  dl: BatchLoader | null = null
  /** Inputs and targets of the batch. */
  xb: Tensor[] = []
  yb: Tensor[] = []
  /** Rows in the batch, as it was split; set it if a callback adds or drops rows. */
  bs = 0
  /** What the model made of the batch, and what the loss gets: a tensor, or an array for a model of several outputs. */
  output: ModelOutput | null = null
  /** The loss that `backward` starts from; callbacks may replace it in `afterLoss`. */
  lossGrad: Tensor | null = null
  /** A copy of the loss without its history, for those who record it. */
  loss: Tensor | null = null
  /** Set by a callback that mixes samples while the targets stay hard: metrics then weigh both targets. */
  mixed: Mixed | null = null
  /** Set by a callback that has mixed the targets themselves: `yb` holds shares of labels, or values in between. */
  softTargets = false
  /** The precision that model and loss are computed in, where that is faster: set by {@link MixedPrecision}. */
  autocast: 'bfloat16' | 'float16' | null = null
  /** The smoothed training loss as far as it has been computed. */
  smoothLoss: number | null = null
  /** The last epoch's row: see {@link Recorder.values}. */
  finalRecord: RecordRow | null = null
  #owned: ReadonlySet<Tensor> = NONE
  logger: Logger = row => console.log(row.join('  '))
  /** @internal Whether a fit is under way, and whether its signal has aborted it. */
  fitting: 'no' | 'yes' | 'aborted' = 'no'
  /** @internal The epoch that a fit begins with: set in `beforeFit` by what resumes it. */
  firstEpoch = 0
  /** @internal Where the next pass over the training data begins, if not at its first batch. */
  passStart: PassStart | null = null
  /** @internal The batch as the loader gave it. */
  given: Batch = []
  /** No progress is shown: validation and predictions outside of a fit. */
  silent = false

  constructor(dls: LearnerData) {
    this.dls = dls
    this.device = dls.device ?? 'cpu'
  }

  /** The input; an array if there are several, `null` if there is none. */
  get x(): Tensor | Tensor[] | null {
    return soleOrAll(this.xb)
  }

  /** The target; an array if there are several, `null` if there is none. */
  get y(): Tensor | Tensor[] | null {
    return soleOrAll(this.yb)
  }

  /**
   * The prediction; of a model with several outputs the first one, which is also what is replaced by setting it:
   * {@link preds} are all of them.
   */
  get pred(): Tensor | null {
    return this.output instanceof Tensor ? this.output : (this.output?.[0] ?? null)
  }

  set pred(pred: Tensor | null) {
    const { output } = this
    this.output = pred === null || output === null || output instanceof Tensor ? pred : [pred, ...output.slice(1)]
  }

  /** All the model's outputs: one, for most models. Set it to replace them; the loss gets an array if it got one before. */
  get preds(): Tensor[] {
    const { output } = this
    if (output === null) return []
    return output instanceof Tensor ? [output] : [...output]
  }

  set preds(preds: readonly Tensor[]) {
    const sole = preds.length <= 1 && (this.output === null || this.output instanceof Tensor)
    this.output = sole ? (preds[0] ?? null) : [...preds]
  }

  /** Makes a batch the current one: `xb` are its inputs, `yb` its targets. */
  split(batch: Batch): void {
    const isBatch = Array.isArray(batch) && batch.length > 0 && batch.every(item => item instanceof Tensor)
    if (!isBatch) throw invalidArgument('batch', 'an array of tensors', batch)
    this.given = batch
    const isHere = (tensor: Tensor) => this.device === 'cpu' || tensor.deferral?.device === this.device
    const here = batch.map(tensor => (isHere(tensor) ? tensor : tensor.to({ device: this.device })))
    const nInp = inputCount(this.dls.nInp, batch.length)
    this.xb = here.slice(0, nInp)
    this.yb = here.slice(nInp)
    // a loader's target is finished, where inputs may still be on the stream: asking for its shape never waits
    this.bs = batch[batch.length - 1]?.shape[0] ?? 1
  }

  /**
   * Whether `tensor` is one that the loader made for this batch alone, so that a callback may change it in place; false for
   * whatever a loader keeps, and for what callbacks have put in its place.
   */
  owns(tensor: Tensor): boolean {
    return this.#owned.has(tensor)
  }

  /** @internal The batch at hand is ours to change; a tensor that is in it twice isn't. */
  ownBatch(batch: Batch): void {
    this.#owned = new Set(batch.filter(tensor => batch.indexOf(tensor) === batch.lastIndexOf(tensor)))
  }

  /** @internal Notes where the loop stands, and returns what puts it back: for a pass within a pass. */
  suspend(): () => void {
    const { dl, iter, nIter, training, xb, yb, bs, output, lossGrad, loss, mixed, softTargets } = this
    return () => {
      Object.assign(this, { dl, iter, nIter, training, xb, yb, bs, output, lossGrad, loss, mixed, softTargets })
    }
  }

  /** @internal Forgets the current batch and what was computed from it. */
  clearBatch(): void {
    this.#owned = NONE
    this.given = []
    this.xb = []
    this.yb = []
    this.output = null
    this.lossGrad = null
    this.loss = null
    this.mixed = null
    this.softTargets = false
  }
}

const NONE: ReadonlySet<Tensor> = new Set()

function soleOrAll(tensors: Tensor[]): Tensor | Tensor[] | null {
  return tensors.length > 1 ? tensors : (tensors[0] ?? null)
}
