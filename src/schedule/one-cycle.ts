import { checkOptions } from '../check/index.js'
import { type FitOptions, fields, fitSchema, Learner, type Moms } from '../learner/index.js'
import { type HyperValue, spread } from '../optim/index.js'
import { combinedCos, ParamScheduler, type Schedule } from './schedule.js'

/** Options of {@link Learner.fitOneCycle}. */
export interface OneCycleOptions extends Omit<FitOptions, 'lr'> {
  /** The highest learning rate. Default: the Learner's `lr`. */
  lrMax?: HyperValue
  /** The cycle starts at `lrMax / div`. Default 25. */
  div?: number
  /** The cycle ends at `lrMax / divFinal`. Default 1e5. */
  divFinal?: number
  /** The share of the fit in which the learning rate rises. Default 0.25. */
  pctStart?: number
  /** Momentum at the start, the top and the end. Default: the Learner's `moms`. */
  moms?: Moms
}

/** Options of {@link Learner.fitFlatCos}. */
export interface FlatCosOptions extends FitOptions {
  /** The fit ends at `lr / divFinal`. Default 1e5. */
  divFinal?: number
  /** The share of the fit at the full learning rate. Default 0.75. */
  pctStart?: number
}

declare module '../learner/learner.js' {
  interface Learner {
    /**
     * Trains with one cycle: the learning rate rises and falls along cosines while momentum does the opposite
     * (Smith, https://arxiv.org/abs/1803.09820).
     *
     * @param nEpoch how many epochs (passes over the training set), 0 or more
     * @throws TorchLearnerError as {@link Learner.fit}
     * @example await learn.fitOneCycle(1, { lrMax: 3e-3, cbs: new MixUp(0.4) })
     */
    fitOneCycle(nEpoch: number, options?: OneCycleOptions): Promise<void>
    /** Trains at a flat learning rate that falls along a cosine in the last part. */
    fitFlatCos(nEpoch: number, options?: FlatCosOptions): Promise<void>
  }
}

/** What every entry point with schedules of its own takes. */
export const schedulesSchema = fitSchema.omit('lr')
const flatCosSchema = fitSchema.extend({ divFinal: fields.divisor, pctStart: fields.fraction })
export const oneCycleSchema = flatCosSchema
  .omit('lr')
  .extend({ lrMax: fields.lr, div: fields.divisor, moms: fields.moms })

/** The learning rates of all groups, each passed through `fn`. */
export function rates(learn: Learner, lr: HyperValue): (fn?: (value: number) => number) => number[] {
  const { paramGroups } = learn.opt ?? learn.createOpt()
  const values = spread('lr', lr, paramGroups.length)
  return (fn = value => value) => values.map(fn)
}

/** The options of a fit in which `scheds` are at work. */
export function scheduled(scheds: Record<string, Schedule>, { cbs = [], ...options }: FitOptions): FitOptions {
  return { ...options, cbs: [new ParamScheduler(scheds), cbs].flat() }
}

Learner.prototype.fitOneCycle = async function (this: Learner, nEpoch, options = {}) {
  checkOptions(oneCycleSchema, options, 'fitOneCycle')
  const { lrMax = this.lr, div = 25, divFinal = 1e5, pctStart = 0.25, moms = this.moms, ...fitOptions } = options
  const lr = rates(this, lrMax)
  const scheds = {
    lr: combinedCos(
      pctStart,
      lr(value => value / div),
      lr(),
      lr(value => value / divFinal),
    ),
    mom: combinedCos(pctStart, ...moms),
  }
  await this.fit(nEpoch, scheduled(scheds, fitOptions))
}

Learner.prototype.fitFlatCos = async function (this: Learner, nEpoch, options = {}) {
  checkOptions(flatCosSchema, options, 'fitFlatCos')
  const { lr: flat = this.lr, divFinal = 1e5, pctStart = 0.75, ...fitOptions } = options
  const lr = rates(this, flat)
  const scheds = {
    lr: combinedCos(
      pctStart,
      lr(),
      lr(),
      lr(value => value / divFinal),
    ),
  }
  await this.fit(nEpoch, scheduled(scheds, fitOptions))
}
