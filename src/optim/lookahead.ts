import {
  checkArguments,
  checkValue,
  count,
  field,
  inspected,
  instance,
  probability,
  strictObject,
} from '../check/index.js'
import { isFloat, noGrad, own, Tensor } from '../tensor/index.js'
import { Optimizer, type OptimizerState, type ParamsOrGroups } from './optimizer.js'
import { RAdam, type RAdamOptions } from './radam.js'
import { refuseState } from './saved-state.js'

/** Options of {@link Lookahead}. */
export interface LookaheadOptions {
  /** Steps of the inner optimizer between two of the slow weights, default 6. */
  k?: number
  /** How far the slow weights go towards the fast ones, from 0 to 1, default 0.5. */
  alpha?: number
}

const pull = own.lookahead_
const schema = strictObject({ k: count.default(6), alpha: probability.default(0.5) })

const inner = instance<Optimizer>(Optimizer, 'an Optimizer')
const rangerField = field<RangerOptions>('an object with lr', value => typeof value === 'object' && value !== null)

/**
 * Slow weights that follow another optimizer's (Zhang et al. 2019): every `k` steps, slow += alpha · (p - slow) and
 * p = slow. Hyper-parameters and flags are the inner optimizer's own; it belongs to this one from now on.
 *
 * @example const opt = new Lookahead(new Adam(model.parameters(), { lr: 1e-3 }), { k: 6, alpha: 0.5 })
 */
export class Lookahead extends Optimizer {
  readonly opt: Optimizer
  readonly k: number
  readonly alpha: number
  protected override readonly stateNames = {}
  #count = 0
  /** In the order of the parameters; null before the first step. */
  #slow: Tensor[] | null = null

  constructor(opt: Optimizer, options: LookaheadOptions = {}) {
    checkValue(inner, opt, 'opt')
    const { k, alpha } = checkArguments(schema, options, 'Lookahead')
    super(opt)
    this.opt = opt
    this.k = k
    this.alpha = alpha
  }

  get #params(): Tensor[] {
    return this.paramGroups.flatMap(group => group.params)
  }

  protected override stepGroup(): void {
    // never called: `step` leaves the groups to the inner optimizer
  }

  override step(): void {
    this.#slow ??= this.#params.map(copy)
    this.opt.step()
    this.#count++
    if (this.#count % this.k !== 0) return
    let next = 0
    for (const { params } of this.paramGroups) {
      pull(params, this.#slow.slice(next, next + params.length), this.alpha)
      next += params.length
    }
  }

  override clearState(): void {
    this.opt.clearState()
    this.#dropSlow()
  }

  #dropSlow(): void {
    for (const tensor of this.#slow ?? []) tensor.dispose()
    this.#slow = null
    this.#count = 0
  }

  override stateDict(): OptimizerState {
    const slow = this.#slow?.map(tensor => tensor.written())
    return { ...this.opt.stateDict(), ...(slow && { count: this.#count, slowWeights: slow }) }
  }

  override loadStateDict(saved: OptimizerState): void {
    const { count, slow, inner } = this.#checkSaved(saved)
    this.opt.loadStateDict(inner)
    const copies = slow?.map(copy) ?? null
    this.#dropSlow()
    this.#slow = copies
    this.#count = count
  }

  /** Its own part of a saved state; the rest is for the inner optimizer to check. */
  #checkSaved(saved: OptimizerState) {
    return inspected('the saved state', saved, () => {
      const { count = 0, slowWeights, ...inner } = saved ?? {}
      if (!Number.isSafeInteger(count) || count < 0) refuseState(this, 'without a count of steps')
      if (slowWeights === undefined) return { count: 0, slow: null, inner }
      const params = this.#params
      const fits = (slow: unknown, i: number) =>
        slow instanceof Tensor && `${slow.shape}` === `${params[i].shape}` && isFloat(slow.dtype)
      // a copy, in which holes are undefined
      const slow = Array.isArray(slowWeights) && slowWeights.length === params.length ? Array.from(slowWeights) : null
      if (!slow?.every(fits)) refuseState(this, 'whose slow weights are not those of its parameters')
      return { count, slow, inner }
    })
  }
}

function copy(tensor: Tensor): Tensor {
  return noGrad(() => tensor.clone()).keep()
}

/** Options of {@link ranger}: those of {@link RAdam} and {@link Lookahead}. */
export type RangerOptions = RAdamOptions & LookaheadOptions

/**
 * {@link Lookahead} over {@link RAdam}, with mom 0.95, wd 0.01 and eps 1e-6 unless given.
 *
 * @example const learn = new Learner(dls, model, { optFunc: ranger, lossFunc })
 */
export function ranger(params: ParamsOrGroups, options: RangerOptions): Lookahead {
  const { k = 6, alpha = 0.5, ...rest } = checkValue(rangerField, options, 'options')
  return new Lookahead(new RAdam(params, { mom: 0.95, wd: 0.01, eps: 1e-6, ...rest }), { k, alpha })
}
