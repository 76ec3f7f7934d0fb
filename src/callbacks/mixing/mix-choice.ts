import {
  checkOptions,
  invalidArgument,
  list,
  object,
  probability,
  strictObject,
  TorchLearnerError,
} from '../../check/index.js'
import {
  type CallbackState,
  type Learner,
  nest,
  readState,
  type SavedCallbackState,
  unnest,
} from '../../learner/index.js'
import { defaultRandom, drawBeta, type MixRandom, randomField } from '../../mix/index.js'
import type { Tensor } from '../../tensor/index.js'
import { MixHandler } from './mix-handler.js'
import { WhileTraining } from './while-training.js'

/** How {@link MixChoice} chooses. */
export interface MixChoiceOptions {
  /** Of two callbacks: how probable the second one is, 0 to 1. Default 0.5. */
  switchProb?: number
  /** How probable each callback is; their sum is 1. Default: all equally. */
  probs?: readonly number[]
  /** Default: libtorch's CPU generator. */
  random?: MixRandom
}

const schema = strictObject({
  switchProb: probability.optional(),
  probs: list(probability, 'a probability for each callback')
    .and('numbers with sum 1', probs => Math.abs(probs.reduce((sum, prob) => sum + prob, 0) - 1) < 1e-6)
    .optional(),
  random: randomField.optional(),
})

/**
 * Mixes each batch by one of several callbacks, chosen at random: as timm does with MixUp and CutMix. The draw for the
 * choice comes before those of the chosen callback, whose options all hold.
 *
 * @example await learn.fitOneCycle(5, { cbs: new MixChoice([new MixUp(0.8), new CutMix(1)], { switchProb: 0.5 }) })
 */
export class MixChoice extends WhileTraining {
  override runValid = false
  readonly choices: readonly MixHandler[]
  readonly probs: readonly number[]
  readonly random: MixRandom
  #current: MixHandler | null = null

  /**
   * @param choices mixing callbacks of their own, not given to a Learner themselves
   * @param options see {@link MixChoiceOptions}
   * @throws TorchLearnerError `ERR_INVALID_ARG` for something else than mixing callbacks, and for wrong probabilities
   */
  constructor(choices: readonly MixHandler[], options: MixChoiceOptions = {}) {
    super()
    const isList = Array.isArray(choices) && choices.length > 0 && choices.every(one => one instanceof MixHandler)
    if (!isList || new Set(choices).size < choices.length) {
      throw invalidArgument('choices', 'one or more different callbacks that mix', choices)
    }
    const { switchProb, probs, random } = checkOptions(schema, options, 'MixChoice')
    if (switchProb !== undefined && (choices.length !== 2 || probs !== undefined)) {
      throw invalidArgument('switchProb', 'nothing (it is for two callbacks, and instead of probs)', switchProb)
    }
    if (probs !== undefined && probs.length !== choices.length) {
      throw invalidArgument('probs', `${choices.length} probabilities, one for each callback,`, probs)
    }
    this.choices = [...choices]
    this.probs =
      probs ?? (switchProb === undefined ? choices.map(() => 1 / choices.length) : [1 - switchProb, switchProb])
    this.random = options.random ?? (random as MixRandom | undefined) ?? defaultRandom
  }

  /** The callback that mixed the batch at hand. */
  get current(): MixHandler | null {
    return this.#current
  }

  /** As {@link MixHandler.lam}, of the chosen callback. */
  get lam(): Tensor | null {
    return this.#current?.lam ?? null
  }

  /** As {@link MixHandler.yb1}, of the chosen callback. */
  get yb1(): Tensor[] {
    return this.#current?.yb1 ?? []
  }

  /** As {@link MixHandler.stackY}, of the chosen callback. */
  get stackY(): boolean {
    return this.#current?.stackY ?? false
  }

  /** As {@link MixHandler.x}. */
  get x(): Tensor {
    return this.#chosen().x
  }

  /** As {@link MixHandler.y}. */
  get y(): Tensor {
    return this.#chosen().y
  }

  override attach(learn: Learner): void {
    super.attach(learn)
    for (const choice of this.choices) choice.attach(learn)
  }

  override detach(learn: Learner): void {
    this.putBack()
    super.detach(learn)
    for (const choice of this.choices) choice.detach(learn)
  }

  /** The chosen one is at work for this batch only: it finds the loss as it was, and leaves it so. */
  override async beforeBatch(): Promise<void> {
    this.putBack()
    const chosen = this.choices[this.#draw()]
    this.#current = chosen
    await chosen.beforeTrain()
    await chosen.beforeBatch?.()
  }

  override saveState(): CallbackState {
    return nest([{ values: { random: this.random.getState?.() ?? null } }, ...this.choices.map(one => one.saveState())])
  }

  override async loadState(state: SavedCallbackState): Promise<void> {
    readState(this.label, state, object({ 0: object({}) }))
    const { random = null } = unnest(state, 0).values
    if (random !== null) this.random.setState?.(random)
    for (const [i, choice] of this.choices.entries()) await choice.loadState(unnest(state, i + 1))
  }

  #chosen(): MixHandler {
    if (this.#current) return this.#current
    throw new TorchLearnerError(
      'ERR_STATE',
      'There is no choice at hand: a batch is being mixed only between beforeBatch and afterBatch',
    )
  }

  protected override putBack(): void {
    this.#current?.cleanup()
  }

  #draw(): number {
    const [u] = drawBeta(1, 1, this.random)
    let below = 0
    const at = this.probs.findIndex(prob => {
      below += prob
      return u < below
    })
    return at < 0 ? this.probs.findLastIndex(prob => prob > 0) : at
  }
}
