import { checkArguments, flag, strictObject } from '../check/index.js'
import { own, type Tensor } from '../tensor/index.js'
import { type HyperValue, hyper, isZero } from './hyper.js'
import { type GroupWith, momentState, Optimizer, type ParamsOrGroups } from './optimizer.js'

/** Hyper-parameters of {@link RMSProp}, each one value for all groups, or one for each. */
export interface RMSPropOptions {
  /** Learning rate, at least 0. */
  lr: HyperValue
  /** Share of the old gradient average in the new one, default 0. */
  mom?: HyperValue
  /** Share of the old average of squared gradients, default 0.99. */
  sqrMom?: HyperValue
  /** Added to the root of the squares' average, default 1e-8. */
  eps?: HyperValue
  /** Weight decay, at least 0, default 0. */
  wd?: HyperValue
  /** Decay the weights themselves (default) and not through the gradient. */
  decoupleWd?: boolean
}

const step = own.rmspropStep_
const schema = strictObject({
  lr: hyper(),
  mom: hyper(0),
  sqrMom: hyper(0.99),
  eps: hyper(1e-8),
  wd: hyper(0),
  decoupleWd: flag.default(true),
})

/**
 * RMSProp (Hinton 2012): s = sqrMom·s + (1 - sqrMom)·g²; a = mom·a + g; p -= lr · a / (√s + eps). Made with `mom: 0` it
 * keeps no gradient averages and takes g for a, whatever a schedule makes of `mom`.
 *
 * @example const opt = new RMSProp(model.parameters(), { lr: 1e-2, mom: 0.9 })
 */
export class RMSProp extends Optimizer {
  readonly decoupleWd: boolean
  protected override readonly stateNames: Readonly<Record<string, () => Tensor>>

  constructor(params: ParamsOrGroups, options: RMSPropOptions) {
    const { lr, mom, sqrMom, eps, wd, decoupleWd } = checkArguments(schema, options, 'RMSProp')
    super(params, { lr, mom, sqrMom, eps, wd })
    this.decoupleWd = decoupleWd
    this.stateNames = isZero(mom) ? { sqrAvg: momentState } : { gradAvg: momentState, sqrAvg: momentState }
  }

  protected override stepGroup(
    group: GroupWith<'sqrMom' | 'eps'>,
    state: Record<string, Tensor[]>,
    doWd: boolean[],
  ): void {
    const { lr, mom, sqrMom, eps, wd } = group
    step(group.params, state.gradAvg ?? [], state.sqrAvg, doWd, lr, mom, sqrMom, eps, wd, this.decoupleWd)
  }
}
