import { checkValue, field } from '../../check/index.js'
import { inputCount } from '../../data/index.js'
import { Tensor } from '../../tensor/index.js'
import type { RecordRow } from '../report/recorder.js'
import { guard, kinds, readOnly } from '../state/guard.js'
import { type Batch, type BatchLoader, isLoader, type LearnerData, learnerData, type PassStart } from './data.js'

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

const NONE: ReadonlySet<Tensor> = new Set()

/** Where the loop stands: what callbacks read, and change. */
export class LoopState {
  /** The data; may be replaced between two runs, as for larger pictures. */
  declare dls: LearnerData
  /** Where model and batches are. */
  readonly device: string
  /** The epoch under way, from 0; `null` before the first fit. Stays as it was after a fit. */
  declare epoch: number | null
  declare nEpoch: number
  /** The batch under way, from 0, and how many there are. */
  declare iter: number | null
  declare nIter: number
  /** Training batches done in this fit. */
  declare trainIter: number
  /** How much of the fit's training is done, 0 to 1: what schedules go by. */
  declare pctTrain: number
  declare training: boolean
  /** The loader at work. */
  declare dl: BatchLoader | null
  /** Inputs and targets of the batch. */
  declare xb: Tensor[]
  declare yb: Tensor[]
  /** Rows in the batch, as it was split; set it if a callback adds or drops rows. */
  declare bs: number
  /** What the model made of the batch, and what the loss gets: a tensor, or an array for a model of several outputs. */
  declare output: ModelOutput | null
  /** The loss that `backward` starts from; callbacks may replace it in `afterLoss`. */
  declare lossGrad: Tensor | null
  /** A copy of the loss without its history, for those who record it. */
  declare loss: Tensor | null
  /** Set by a callback that mixes samples while the targets stay hard: metrics then weigh both targets. */
  declare mixed: Mixed | null
  /** Set by a callback that has mixed the targets themselves: `yb` holds shares of labels, or values in between. */
  declare softTargets: boolean
  /** The precision that model and loss are computed in, where that is faster: set by {@link MixedPrecision}. */
  declare autocast: 'bfloat16' | 'float16' | null
  /** The smoothed training loss as far as it has been computed. */
  declare smoothLoss: number | null
  /** The last epoch's row: see {@link Recorder.values}. */
  declare finalRecord: RecordRow | null
  #owned: ReadonlySet<Tensor> = NONE
  declare logger: Logger
  /** @internal Whether a fit is under way, and whether its signal has aborted it. */
  fitting: 'no' | 'yes' | 'aborted' = 'no'
  /** @internal What may abort the fit under way. */
  signal: AbortSignal | null = null
  /** @internal The epoch that a fit begins with: set in `beforeFit` by what resumes it. */
  firstEpoch = 0
  /** @internal Where the next pass over the training data begins, if not at its first batch. */
  passStart: PassStart | null = null
  /** @internal Losses are wanted sample by sample. */
  unreduced = false
  /** @internal The batch as the loader gave it. */
  given: Batch = []
  /** No progress is shown and no row written: always so in validation, predictions and searches outside of a fit. */
  declare silent: boolean

  constructor(dls: LearnerData) {
    this.dls = dls
    this.device = dls.device ?? 'cpu'
    this.clearBatch()
    Object.assign(this, {
      epoch: null,
      nEpoch: 1,
      iter: null,
      nIter: 0,
      trainIter: 0,
      pctTrain: 0,
      training: false,
      dl: null,
      bs: 0,
      autocast: null,
      smoothLoss: null,
      finalRecord: null,
      logger: (row: Parameters<Logger>[0]) => console.log(row.join('  ')),
      silent: false,
    })
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
    checkValue(prediction, pred, 'learn.pred')
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
    checkValue(kinds.tensors, preds, 'learn.preds')
    const sole = preds.length <= 1 && (this.output === null || this.output instanceof Tensor)
    this.output = sole ? (preds[0] ?? null) : [...preds]
  }

  /** Makes a batch the current one: `xb` are its inputs, `yb` its targets. */
  split(batch: Batch): void {
    checkValue(batchField, batch, 'batch')
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
    const { dl, iter, nIter, training, given, xb, yb, bs, output, lossGrad, loss, mixed, softTargets } = this
    const owned = this.#owned
    return () => {
      Object.assign(this, { dl, iter, nIter, training, given, xb, yb, bs, output, lossGrad, loss, mixed, softTargets })
      this.#owned = owned
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

const prediction = kinds.tensor.nullable()
const batchField = field<Batch>(
  'an array of tensors',
  batch => kinds.tensors.takes(batch) && (batch as Batch).length > 0,
)

guard(LoopState, 'learn', {
  dls: learnerData,
  epoch: kinds.count.nullable(),
  nEpoch: kinds.count,
  iter: kinds.count.nullable(),
  nIter: kinds.number,
  trainIter: kinds.count,
  pctTrain: kinds.number,
  training: kinds.flag,
  dl: field('a loader', isLoader).nullable(),
  xb: kinds.tensors,
  yb: kinds.tensors,
  bs: kinds.count,
  output: kinds.output.nullable(),
  lossGrad: kinds.tensor.nullable(),
  loss: kinds.tensor.nullable(),
  mixed: field('{ yb1, lam }: the targets of the partners and the weights', isMixed).nullable(),
  softTargets: kinds.flag,
  autocast: field("'bfloat16', 'float16'", value => value === 'bfloat16' || value === 'float16').nullable(),
  smoothLoss: kinds.number.nullable(),
  finalRecord: kinds.row.nullable(),
  logger: kinds.func,
  silent: kinds.flag,
})
readOnly(LoopState, 'learn', { x: 'set learn.xb', y: 'set learn.yb' })

function isMixed(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('yb1' in value && 'lam' in value)) return false
  return kinds.tensors.takes(value.yb1) && kinds.tensor.takes(value.lam)
}

function soleOrAll(tensors: Tensor[]): Tensor | Tensor[] | null {
  return tensors.length > 1 ? tensors : (tensors[0] ?? null)
}

/** Has nothing shown, and returns what puts that back. */
export function hush(learn: Pick<LoopState, 'logger' | 'silent'>): () => void {
  const { logger, silent } = learn
  learn.logger = () => undefined
  learn.silent = true
  return () => void Object.assign(learn, { logger, silent })
}
