import {
  anything,
  checkOptions,
  field,
  invalidArgument,
  object,
  probability,
  type Shape,
  strictObject,
  TorchLearnerError,
  whole,
} from '../../check/index.js'
import { type CallbackState, type Learner, readState, type SavedCallbackState } from '../../learner/index.js'
import {
  checkAlpha,
  type DrawOptions,
  defaultRandom,
  type MixMode,
  type MixRandom,
  mixedLoss,
  mixup,
  modeField,
  type Partners,
  partnersOf,
  randomField,
  smoothed,
} from '../../mix/index.js'
import type { Loss, Reduction } from '../../nn/index.js'
import { isFloat, type Tensor } from '../../tensor/index.js'
import { WhileTraining } from './while-training.js'

/** Alpha as a function of how much of the training is done, 0 to 1; where it is 0 nothing is mixed. */
export type AlphaSchedule = (pct: number) => number

/** Options of the mixing callbacks. All but `alpha` and `random` go beyond fastai, and do nothing by default. */
export interface MixOptions {
  /** Both parameters of the Beta distribution that weights are drawn from: above 0, or a function of the progress. */
  alpha?: number | AlphaSchedule
  /** Where random numbers come from. Default: libtorch's CPU generator, so that a seed gives what Python gives. */
  random?: MixRandom
  /** How probable it is that a sample, pair or batch (by `mode`) is mixed, 0 to 1. Default 1. */
  prob?: number
  /** Which samples share a weight: none (`elem`), the two of a pair (`pair`) or all of a batch (`batch`). */
  mode?: MixMode
  /** From this epoch on nothing is mixed, so that training ends on the data as they are. Default: never. */
  offEpoch?: number
  /**
   * Share of the targets that is spread evenly over all classes, 0 (default) to 1, in batches that aren't mixed too. For
   * class numbers the loss has to be a cross entropy; targets `(N, C)` are smoothed themselves.
   */
  labelSmoothing?: number
}

const schema = strictObject({
  // its range is checkAlpha's
  alpha: field<number | AlphaSchedule>(
    'a finite number above 0',
    value => typeof value === 'number' || typeof value === 'function',
  ).optional(),
  random: randomField.optional(),
  prob: probability.optional(),
  mode: modeField.optional(),
  offEpoch: whole(0).optional(),
  labelSmoothing: probability.optional(),
})

/** Who mixes in each Learner, so that a second one can tell. */
const atWork = new WeakMap<Learner, MixHandler>()

/**
 * Base of the callbacks that mix samples in training: draws, and sees to the loss. Subclasses mix the inputs in
 * `beforeBatch` and call {@link mixTargets}.
 *
 * Hard targets (class numbers) can't be mixed themselves: the loss is computed against both targets and mixed
 * ({@link lf}). That is so for a loss with `yInt`, and for any other loss when targets are integers. All other targets
 * are mixed, and the loss stays as it is.
 *
 * `learn.lossFunc` is replaced while training runs only, and is the user's again however training ends.
 *
 * Metrics of training (`trainMetrics`) measure against the mixed truth: a sample counts for both its targets, each by
 * its weight; where targets are mixed themselves, they are the truth.
 */
export abstract class MixHandler extends WhileTraining {
  override runValid = false
  readonly alpha: number | AlphaSchedule
  readonly random: MixRandom
  readonly prob: number
  readonly mode: MixMode
  readonly offEpoch: number
  readonly labelSmoothing: number
  /** Weight of each sample's own part in the batch at hand: `(N)`, or `(1)` for all; null: it isn't mixed. */
  lam: Tensor | null = null
  /** The partners' targets. */
  yb1: Tensor[] = []
  /** Whether losses are mixed rather than targets. */
  stackY = false
  #lossFunc: Loss | null = null
  /** Where it mixes now: even after it was given to another Learner, that one's loss is put back. */
  #workplace: Learner | null = null

  /**
   * @param options alpha, or {@link MixOptions}
   * @param defaultAlpha alpha when the options have none
   * @param own of a subclass: its default `mode`, and the `fields` that its options have besides
   * @throws TorchLearnerError `ERR_INVALID_ARG` for a wrong option, and unless alpha is a finite number above 0
   */
  constructor(options: number | MixOptions = {}, defaultAlpha = 0.5, own: { mode?: MixMode; fields?: Shape } = {}) {
    super()
    const isObject = typeof options === 'object' && options !== null
    if (isObject) checkOptions(schema.extend(own.fields ?? {}), options, new.target.name)
    const given: MixOptions = isObject ? options : { alpha: options }
    const { alpha = defaultAlpha, random = defaultRandom, prob = 1, mode = own.mode ?? 'elem' } = given
    this.alpha = typeof alpha === 'function' ? alpha : checkAlpha(alpha)
    this.random = random
    this.prob = prob
    this.mode = mode
    this.offEpoch = given.offEpoch ?? Number.POSITIVE_INFINITY
    this.labelSmoothing = given.labelSmoothing ?? 0
  }

  /** How batches are drawn, for the functions that draw them. */
  protected get draws(): DrawOptions {
    const { mode, prob, random } = this
    return { mode, prob, random }
  }

  /** The first input of the batch at hand: mixed, after `beforeBatch`. */
  get x(): Tensor {
    return present(this.learn.xb[0], 'input')
  }

  /** The first target of the batch at hand: the samples' own, or the mixed ones where targets are mixed. */
  get y(): Tensor {
    return present(this.learn.yb[0], 'target')
  }

  /** Where its random numbers stand, if it has some of its own that can say so. */
  override saveState(): CallbackState {
    return { values: { random: this.random.getState?.() ?? null } }
  }

  override loadState(state: SavedCallbackState): void {
    const { random = null } = readState(this.label, state, object({ random: anything })).values
    if (random !== null) this.random.setState?.(random)
  }

  /** Alpha for the batch at hand; 0 when nothing is to be mixed, by `offEpoch` or by the schedule. */
  alphaNow(): number {
    const { alpha, learn } = this
    if ((learn.epoch ?? 0) >= this.offEpoch) return 0
    if (typeof alpha === 'number') return alpha
    const now = alpha(learn.pctTrain)
    return now === 0 ? 0 : checkAlpha(now)
  }

  override beforeTrain(): void {
    this.putBack()
    this.#claim()
    if (this.learn.lossFunc.yInt === true) this.#install()
  }

  /**
   * Mixes the targets, or arranges that their losses are.
   *
   * @param perm `(N)` partner of each sample
   * @param lam `(N)` or `(1)` weight of the sample itself
   * @param isDone targets that have been mixed already, as segmentation masks are
   */
  protected mixTargets(perm: Partners, lam: Tensor, isDone: (y: Tensor) => boolean = () => false): void {
    this.#claim()
    const { learn } = this
    const { yb } = learn
    // asking a loader's targets for their dtype doesn't wait; they have been there since the batch was made
    if (!this.stackY && yb.some(y => !isDone(y) && !isFloat(y.dtype))) this.#install()
    this.lam = lam
    this.yb1 = yb.map(y => (isDone(y) ? y : partnersOf(y, perm)))
    const isMixed = !yb.every(isDone)
    learn.mixed = this.stackY && isMixed ? { yb1: this.yb1, lam } : null
    learn.softTargets = !this.stackY && isMixed
    if (!this.stackY) learn.yb = yb.map(y => (isDone(y) ? y : this.#smooth(mixup(y, perm, lam), y)))
  }

  /** Leaves the batch at hand as it is: its loss is the plain one (of smoothed labels, where that was asked for). */
  protected leaveTargets(): void {
    this.#claim()
    const { learn } = this
    this.lam = null
    this.yb1 = []
    learn.mixed = null
    learn.softTargets = this.labelSmoothing > 0
    if (this.labelSmoothing === 0) return
    if (!this.stackY && learn.yb.some(y => !isFloat(y.dtype))) this.#install()
    if (!this.stackY) learn.yb = learn.yb.map(y => this.#smooth(y, y))
  }

  /** The loss against own and partner's targets, each by its weight; the plain loss where nothing is mixed. */
  lf(pred: Tensor, ...yb: Tensor[]): Tensor {
    const { learn, labelSmoothing } = this
    const lossFunc = this.#lossFunc ?? learn.lossFunc
    if (!learn.training) return lossFunc(pred, ...yb)
    const { mixed } = learn
    if (mixed) return mixedLoss(lossFunc, pred, yb, mixed.yb1, mixed.lam, { labelSmoothing })
    return labelSmoothing === 0 ? lossFunc(pred, ...yb) : mixedLoss(lossFunc, pred, yb, yb, 1, { labelSmoothing })
  }

  override detach(learn: Learner): void {
    if (this.#workplace === learn) this.putBack()
    super.detach(learn)
  }

  /** Shares of classes, smoothed; `like` is known already where `y` may still be on the stream. */
  #smooth(y: Tensor, like: Tensor): Tensor {
    const { labelSmoothing } = this
    if (labelSmoothing === 0) return y
    const { shape } = like
    if (shape.length < 2) {
      throw invalidArgument('the targets', 'class numbers or shares of classes (N, C), to be smoothed,', shape)
    }
    return y.mul(1 - labelSmoothing).add(labelSmoothing / shape[1])
  }

  #install(): void {
    const { lossFunc } = this.learn
    if (this.labelSmoothing > 0) smoothed(lossFunc, this.labelSmoothing) // refuses other losses before they are called
    const lf: Loss = (pred, ...yb) => this.lf(pred, ...yb)
    const reading = { activation: lossFunc.activation?.bind(lossFunc), decodes: lossFunc.decodes?.bind(lossFunc) }
    if ('reduction' in lossFunc) {
      const reduction = {
        get: () => lossFunc.reduction,
        set: (value: Reduction) => Reflect.set(lossFunc, 'reduction', value),
      }
      Object.defineProperty(lf, 'reduction', reduction) // whoever wants losses of single samples asks by it
    }
    this.#lossFunc = lossFunc
    this.learn.lossFunc = Object.assign(lf, reading)
    this.stackY = true
  }

  /** What is mixed already can't be mixed again, whichever way its targets go. */
  #claim(): void {
    const { learn } = this
    if ((atWork.get(learn) ?? this) !== this) {
      throw new TorchLearnerError(
        'ERR_STATE',
        'Two callbacks that mix samples are at work in one Learner: use one of them, or MixChoice to choose between them',
      )
    }
    atWork.set(learn, this)
    this.#workplace = learn
  }

  protected override putBack(): void {
    if (this.#workplace && this.#lossFunc) this.#workplace.lossFunc = this.#lossFunc
    if (this.#workplace && atWork.get(this.#workplace) === this) atWork.delete(this.#workplace)
    this.#workplace = null
    this.#lossFunc = null
    this.stackY = false
  }
}

function present<T>(value: T | null | undefined, what: string): T {
  if (value !== null && value !== undefined) return value
  throw new TorchLearnerError(
    'ERR_STATE',
    `There is no ${what} at hand: a batch is being mixed only between beforeBatch and afterBatch`,
  )
}
