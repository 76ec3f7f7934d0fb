import { checkArguments, flag, strictObject } from '../check/index.js'
import { own, type Tensor } from '../tensor/index.js'
import { type HyperValue, hyper, isZero } from './hyper.js'
import { momentState, Optimizer, type ParamGroup, type ParamsOrGroups } from './optimizer.js'

/** Hyper-parameters of {@link SGD}, each one value for all groups, or one for each. */
export interface SGDOptions {
  /** Learning rate, at least 0. */
  lr: HyperValue
  /** Share of the old step in the new one, default 0. */
  mom?: HyperValue
  /** Weight decay, at least 0, default 0. */
  wd?: HyperValue
  /** Decay the weights themselves (default) and not through the gradient. */
  decoupleWd?: boolean
}

const step = own.sgdStep_
const schema = strictObject({ lr: hyper(), mom: hyper(0), wd: hyper(0), decoupleWd: flag.default(true) })

/**
 * Gradient descent with momentum: a = mom·a + g; p -= lr·a. Whether there is momentum is settled at construction: made
 * with `mom: 0` it keeps no averages, and a schedule of `mom` changes nothing.
 */
export class SGD extends Optimizer {
  readonly decoupleWd: boolean
  protected override readonly stateNames: Readonly<Record<string, () => Tensor>>

  constructor(params: ParamsOrGroups, options: SGDOptions) {
    const { lr, mom, wd, decoupleWd } = checkArguments(schema, options, 'SGD')
    super(params, { lr, mom, wd })
    this.decoupleWd = decoupleWd
    this.stateNames = isZero(mom) ? {} : { gradAvg: momentState }
  }

  protected override stepGroup(group: ParamGroup, state: Record<string, Tensor[]>, doWd: boolean[]): void {
    step(group.params, state.gradAvg ?? [], doWd, group.lr, group.mom, group.wd, this.decoupleWd)
  }
}
