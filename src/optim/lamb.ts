import { checkArguments, flag, strictObject } from '../check/index.js'
import { own, type Tensor } from '../tensor/index.js'
import type { AdamOptions } from './adam.js'
import { hyper } from './hyper.js'
import { adamState, averages, type GroupWith, Optimizer, type ParamsOrGroups } from './optimizer.js'

/** Hyper-parameters of {@link Lamb}: Adam's, with a weight decay of 0 unless given. */
export type LambOptions = AdamOptions

const step = own.lambStep_
const schema = strictObject({
  lr: hyper(),
  mom: hyper(0.9),
  sqrMom: hyper(0.99),
  eps: hyper(1e-5),
  wd: hyper(0),
  decoupleWd: flag.default(true),
})

/**
 * Adam for large batches (You et al. 2019): each parameter's step u = â / (√ŝ + eps) is scaled to the parameter,
 * p -= lr · q · u, where q is the root mean square of p over that of u, at most 10, and 1 when one of them is 0.
 *
 * @example const opt = new Lamb(model.parameters(), { lr: 1e-2 })
 */
export class Lamb extends Optimizer {
  readonly decoupleWd: boolean
  protected override readonly stateNames = adamState

  constructor(params: ParamsOrGroups, options: LambOptions) {
    const { lr, mom, sqrMom, eps, wd, decoupleWd } = checkArguments(schema, options, 'Lamb')
    super(params, { lr, mom, sqrMom, eps, wd }, averages)
    this.decoupleWd = decoupleWd
  }

  protected override stepGroup(
    group: GroupWith<'sqrMom' | 'eps'>,
    state: Record<string, Tensor[]>,
    doWd: boolean[],
  ): void {
    const { params, lr, mom, sqrMom, eps, wd } = group
    step(params, state.gradAvg, state.sqrAvg, state.step, doWd, lr, mom, sqrMom, eps, wd, this.decoupleWd)
  }
}
