import { z } from 'zod'
import { checkOptions } from '../data/index.js'
import { Callback } from '../learner/callback.js'
import { checkAlpha, defaultRandom, drawMixup, type MixRandom, mixedLoss, mixup, partnersOf } from '../mix/index.js'
import { TorchLearnerError } from '../native/index.js'
import type { Loss } from '../nn/losses.js'
import { isFloat } from '../tensor/dtype.js'
import { type Tensor, tensor } from '../tensor/index.js'

/** Options of the mixing callbacks. */
export interface MixOptions {
  /** Both parameters of the Beta distribution that weights are drawn from: a finite number above 0. */
  alpha?: number
  /** Where random numbers come from. Default: libtorch's CPU generator, so that a seed gives what Python gives. */
  random?: MixRandom
}

const isRandom = (value: unknown): boolean => typeof value === 'object' && value !== null && 'beta' in value
const schema = z.strictObject({
  alpha: z.number({ error: 'a finite number above 0' }).optional(),
  random: z.custom(isRandom, { error: 'an object with the methods beta, permutation and integer' }).optional(),
})

/** Losses that a MixHandler has put in place, so that a second one can tell. */
const mixing = new WeakSet<Loss>()

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
 * Metrics of training (`trainMetrics`) are weighed between both targets like the loss.
 */
export abstract class MixHandler extends Callback {
  readonly alpha: number
  readonly random: MixRandom
  /** Weight of each sample's own part in the batch at hand: `(N)`, or `(1)` for all. */
  lam: Tensor | null = null
  /** The partners' targets. */
  yb1: Tensor[] = []
  /** Whether losses are mixed rather than targets. */
  stackY = false
  #lossFunc: Loss | null = null

  /**
   * @param options alpha, or {@link MixOptions}
   * @param defaultAlpha alpha when the options have none
   * @throws TorchLearnerError `ERR_INVALID_ARG` unless alpha is a finite number above 0
   */
  constructor(options: number | MixOptions = {}, defaultAlpha = 0.5) {
    super({ runValid: false })
    const isObject = typeof options === 'object' && options !== null
    if (isObject) checkOptions(schema, options, new.target.name)
    const { alpha = defaultAlpha, random = defaultRandom }: MixOptions = isObject ? options : { alpha: options }
    this.alpha = checkAlpha(alpha)
    this.random = random
  }

  /** The first input of the batch at hand: mixed, after `beforeBatch`. */
  get x(): Tensor {
    return present(this.learn.xb[0], 'input')
  }

  /** The first target of the batch at hand: the samples' own, or the mixed ones where targets are mixed. */
  get y(): Tensor {
    return present(this.learn.yb[0], 'target')
  }

  override beforeTrain(): void {
    this.#restore()
    if (mixing.has(this.learn.lossFunc)) {
      throw new TorchLearnerError(
        'ERR_STATE',
        'Two callbacks that mix samples are at work in one Learner: use one of them',
      )
    }
    if (this.learn.lossFunc.yInt === true) this.#install()
  }

  /**
   * Mixes the targets, or arranges that their losses are.
   *
   * @param perm `(N)` partner of each sample
   * @param lam `(N)` or `(1)` weight of the sample itself
   */
  protected mixTargets(perm: Tensor, lam: Tensor): void {
    const { learn } = this
    const { yb } = learn
    // asking a loader's targets for their dtype doesn't wait; they have been there since the batch was made
    if (!this.stackY && yb.some(y => !isFloat(y.dtype))) this.#install()
    this.lam = lam
    this.yb1 = yb.map(y => partnersOf(y, perm))
    if (this.stackY) learn.mixed = { yb1: this.yb1, lam }
    else learn.yb = yb.map(y => mixup(y, perm, lam))
  }

  /** The loss against own and partner's targets, each by its weight; outside of training the plain loss. */
  lf(pred: Tensor, ...yb: Tensor[]): Tensor {
    const lossFunc = this.#lossFunc ?? this.learn.lossFunc
    return this.learn.training
      ? mixedLoss(lossFunc, pred, yb, this.yb1, present(this.lam, 'weight'))
      : lossFunc(pred, ...yb)
  }

  override afterTrain(): void {
    this.#restore()
  }

  override afterCancelTrain(): void {
    this.#restore()
  }

  override afterCancelEpoch(): void {
    this.#restore()
  }

  override afterCancelFit(): void {
    this.#restore()
  }

  override afterFit(): void {
    this.#restore()
  }

  override cleanup(): void {
    this.#restore()
  }

  #install(): void {
    const { lossFunc } = this.learn
    const lf: Loss = (pred, ...yb) => this.lf(pred, ...yb)
    const reading = { activation: lossFunc.activation?.bind(lossFunc), decodes: lossFunc.decodes?.bind(lossFunc) }
    this.#lossFunc = lossFunc
    this.learn.lossFunc = Object.assign(lf, reading)
    mixing.add(lf)
    this.stackY = true
  }

  #restore(): void {
    if (this.#lossFunc) this.learn.lossFunc = this.#lossFunc
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

/**
 * Trains on mixtures of two samples, and on both their targets (Zhang et al. 2018, "mixup: Beyond Empirical Risk
 * Minimization", https://arxiv.org/abs/1710.09412): `x = lam * x + (1 - lam) * x[perm]`. Each sample has a weight of its
 * own, from 0.5 to 1: `max(b, 1 - b)` of a `b` drawn from Beta(alpha, alpha). Curbs overfitting and overconfidence;
 * costs accuracy when a model underfits, or has few epochs. The pure function is {@link mixup}.
 *
 * The loader's tensors stay as they are. Of several inputs, those of floating dtype are mixed.
 *
 * @example await learn.fitOneCycle(5, { cbs: new MixUp(0.4) })
 */
export class MixUp extends MixHandler {
  /** @param options alpha (default 0.4), or {@link MixOptions} */
  constructor(options: number | MixOptions = {}) {
    super(options, 0.4)
  }

  override beforeBatch(): void {
    const { learn } = this
    const draw = drawMixup(learn.bs, this.alpha, this.random)
    const [perm, lam] = [tensor(draw.perm), tensor(draw.lam)]
    const { xb } = learn
    learn.xb = xb.map(x => (xb.length === 1 || isFloat(x.dtype) ? mixup(x, perm, lam) : x))
    this.mixTargets(perm, lam)
  }
}
