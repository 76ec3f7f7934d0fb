import { checkArguments, flag, strictObject } from '../check/index.js'
import { own, type Tensor } from '../tensor/index.js'
import { type HyperValue, hyper, isZero } from './hyper.js'
import { type GroupWith, momentState, Optimizer, type ParamsOrGroups } from './optimizer.js'

/** Hyper-parameters of {@link Larc}, each one value for all groups, or one for each. */
export interface LarcOptions {
  /** Learning rate, at least 0. */
  lr: HyperValue
  /** Share of the old step in the new one, default 0.9. */
  mom?: HyperValue
  /** The learning rate of a parameter never exceeds `lr` (default); without it this is LARS. */
  clip?: boolean
  /** How far a step may go in relation to the parameter, default 0.02. */
  trustCoeff?: HyperValue
  /** Added to the denominator, default 1e-8. */
  eps?: HyperValue
  /** Weight decay, at least 0, default 0. */
  wd?: HyperValue
  /** Decay the weights themselves (default) and not through the gradient. */
  decoupleWd?: boolean
}

const step = own.larcStep_
const schema = strictObject({
  lr: hyper(),
  mom: hyper(0.9),
  trustCoeff: hyper(0.02),
  eps: hyper(1e-8),
  wd: hyper(0),
  clip: flag.default(true),
  decoupleWd: flag.default(true),
})

/**
 * SGD with a learning rate for each parameter (You et al. 2017):
 * r = lr · trustCoeff · |p| / (|g| + wd·|p| + eps), at most `lr` when `clip` is set; a = mom·a + g; p -= r·a.
 *
 * @example const opt = new Larc(model.parameters(), { lr: 0.1 })
 */
export class Larc extends Optimizer {
  readonly clip: boolean
  readonly decoupleWd: boolean
  protected override readonly stateNames: Readonly<Record<string, () => Tensor>>

  constructor(params: ParamsOrGroups, options: LarcOptions) {
    const { lr, mom, clip, trustCoeff, eps, wd, decoupleWd } = checkArguments(schema, options, 'Larc')
    super(params, { lr, mom, trustCoeff, eps, wd })
    this.clip = clip
    this.decoupleWd = decoupleWd
    this.stateNames = isZero(mom) ? { localLr: momentState } : { gradAvg: momentState, localLr: momentState }
  }

  protected override stepGroup(
    group: GroupWith<'trustCoeff' | 'eps'>,
    state: Record<string, Tensor[]>,
    doWd: boolean[],
  ): void {
    const { params, lr, mom, trustCoeff, eps, wd } = group
    step(params, state.gradAvg ?? [], state.localLr, doWd, lr, mom, trustCoeff, eps, wd, this.clip, this.decoupleWd)
  }
}
