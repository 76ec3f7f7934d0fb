import { checkArguments, flag, strictObject } from '../check/index.js'
import { own, type Tensor } from '../tensor/index.js'
import { type HyperValue, hyper } from './hyper.js'
import { adamState, averages, type GroupWith, Optimizer, type ParamsOrGroups } from './optimizer.js'

/** Hyper-parameters of {@link RAdam}, each one value for all groups, or one for each. */
export interface RAdamOptions {
  /** Learning rate, at least 0. */
  lr: HyperValue
  /** Share of the old gradient average, default 0.9. */
  mom?: HyperValue
  /** Share of the old average of squared gradients, default 0.99. */
  sqrMom?: HyperValue
  /** Added to the root of the squares' average, default 1e-5. */
  eps?: HyperValue
  /** Weight decay, at least 0, default 0. */
  wd?: HyperValue
  /** When not 0, the denominator goes through a softplus of this sharpness. Default 0. */
  beta?: HyperValue
  /** Decay the weights themselves (default) and not through the gradient. */
  decoupleWd?: boolean
}

const step = own.radamStep_
const schema = strictObject({
  lr: hyper(),
  mom: hyper(0.9),
  sqrMom: hyper(0.99),
  eps: hyper(1e-5),
  wd: hyper(0),
  beta: hyper(0),
  decoupleWd: flag.default(true),
})

/**
 * Adam that corrects for the variance of its adaptive rate in the first steps (Liu et al. 2019): with
 * n∞ = 2 / (1 - sqrMom) - 1 and n = n∞ - 2t·sqrMomᵗ / (1 - sqrMomᵗ), the step is plain, lr·â, while n <= 5, and after
 * that Adam's times √((n-4)(n-2)n∞ / ((n∞-4)(n∞-2)n)).
 *
 * @example const opt = new RAdam(model.parameters(), { lr: 1e-3 })
 */
export class RAdam extends Optimizer {
  readonly decoupleWd: boolean
  protected override readonly stateNames = adamState

  constructor(params: ParamsOrGroups, options: RAdamOptions) {
    const { lr, mom, sqrMom, eps, wd, beta, decoupleWd } = checkArguments(schema, options, 'RAdam')
    super(params, { lr, mom, sqrMom, eps, wd, beta }, averages)
    this.decoupleWd = decoupleWd
  }

  protected override stepGroup(
    group: GroupWith<'sqrMom' | 'eps' | 'beta'>,
    state: Record<string, Tensor[]>,
    doWd: boolean[],
  ): void {
    const { params, lr, mom, sqrMom, eps, wd, beta } = group
    step(params, state.gradAvg, state.sqrAvg, state.step, doWd, lr, mom, sqrMom, eps, wd, beta, this.decoupleWd)
  }
}
