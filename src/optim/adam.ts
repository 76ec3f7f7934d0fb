import { checkArguments, flag, strictObject } from '../check/index.js'
import { own, type Tensor } from '../tensor/index.js'
import { type HyperValue, hyper } from './hyper.js'
import { adamState, averages, type GroupWith, Optimizer, type ParamsOrGroups } from './optimizer.js'

/** Hyper-parameters of {@link Adam}, each one value for all groups, or one for each. */
export interface AdamOptions {
  /** Learning rate, at least 0. */
  lr: HyperValue
  /** Share of the old gradient average, default 0.9. */
  mom?: HyperValue
  /** Share of the old average of squared gradients, default 0.99. */
  sqrMom?: HyperValue
  /** Added to the root of the squares' average, default 1e-5. */
  eps?: HyperValue
  /** Weight decay, at least 0, default 0.01. */
  wd?: HyperValue
  /** Decay the weights themselves (AdamW, default) and not through the gradient. */
  decoupleWd?: boolean
}

const step = own.adamStep_
const schema = strictObject({
  lr: hyper(),
  mom: hyper(0.9),
  sqrMom: hyper(0.99),
  eps: hyper(1e-5),
  wd: hyper(0.01),
  decoupleWd: flag.default(true),
})

/**
 * Adam with decoupled weight decay and fastai's defaults (Kingma & Ba 2014; Loshchilov & Hutter 2017). With gradient g
 * and current hyper-parameters: p -= lr·wd·p; a = mom·a + (1 - mom)·g; s = sqrMom·s + (1 - sqrMom)·g²;
 * p -= lr · â / (√ŝ + eps), where â = a / (1 - momᵗ) and ŝ = s / (1 - sqrMomᵗ).
 *
 * @example const opt = new Adam(model.parameters(), { lr: 1e-3 })
 */
export class Adam extends Optimizer {
  readonly decoupleWd: boolean
  protected override readonly stateNames = adamState

  constructor(params: ParamsOrGroups, options: AdamOptions) {
    const { lr, mom, sqrMom, eps, wd, decoupleWd } = checkArguments(schema, options, 'Adam')
    super(params, { lr, mom, sqrMom, eps, wd }, averages)
    this.decoupleWd = decoupleWd
  }

  protected override stepGroup(
    group: GroupWith<'sqrMom' | 'eps'>,
    state: Record<string, Tensor[]>,
    doWd: boolean[],
  ): void {
    const { lr, mom, sqrMom, eps, wd } = group
    step(group.params, state.gradAvg, state.sqrAvg, state.step, doWd, lr, mom, sqrMom, eps, wd, this.decoupleWd)
  }
}
