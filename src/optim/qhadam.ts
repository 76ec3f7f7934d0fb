import { checkArguments, flag, strictObject } from '../check/index.js'
import { own, type Tensor } from '../tensor/index.js'
import { type HyperValue, hyper } from './hyper.js'
import { adamState, averages, type GroupWith, Optimizer, type ParamsOrGroups } from './optimizer.js'

/** Hyper-parameters of {@link QHAdam}, each one value for all groups, or one for each. */
export interface QHAdamOptions {
  /** Learning rate, at least 0. */
  lr: HyperValue
  /** Share of the old gradient average, default 0.999. */
  mom?: HyperValue
  /** Share of the old average of squared gradients, default 0.999. */
  sqrMom?: HyperValue
  /** Weight of the gradient average in the numerator (1: Adam's, 0: the gradient itself), default 0.7. */
  nu1?: HyperValue
  /** Weight of the squares' average in the denominator, likewise, default 1. */
  nu2?: HyperValue
  /** Added to the denominator, default 1e-8. */
  eps?: HyperValue
  /** Weight decay, at least 0, default 0. */
  wd?: HyperValue
  /** Decay the weights themselves (default) and not through the gradient. */
  decoupleWd?: boolean
}

const step = own.qhadamStep_
const schema = strictObject({
  lr: hyper(),
  mom: hyper(0.999),
  sqrMom: hyper(0.999),
  nu1: hyper(0.7),
  nu2: hyper(1),
  eps: hyper(1e-8),
  wd: hyper(0),
  decoupleWd: flag.default(true),
})

/**
 * Quasi-hyperbolic Adam (Ma & Yarats 2018): with Adam's debiased averages â and ŝ,
 * p -= lr · ((1 - nu1)·g + nu1·â) / (√((1 - nu2)·g² + nu2·ŝ) + eps).
 *
 * @example const opt = new QHAdam(model.parameters(), { lr: 1e-3, nu1: 0.7 })
 */
export class QHAdam extends Optimizer {
  readonly decoupleWd: boolean
  protected override readonly stateNames = adamState

  constructor(params: ParamsOrGroups, options: QHAdamOptions) {
    const { lr, mom, sqrMom, nu1, nu2, eps, wd, decoupleWd } = checkArguments(schema, options, 'QHAdam')
    super(params, { lr, mom, sqrMom, nu1, nu2, eps, wd }, averages)
    this.decoupleWd = decoupleWd
  }

  protected override stepGroup(
    group: GroupWith<'sqrMom' | 'nu1' | 'nu2' | 'eps'>,
    state: Record<string, Tensor[]>,
    doWd: boolean[],
  ): void {
    const { params, lr, mom, sqrMom, nu1, nu2, eps, wd } = group
    step(params, state.gradAvg, state.sqrAvg, state.step, doWd, lr, mom, sqrMom, nu1, nu2, eps, wd, this.decoupleWd)
  }
}
