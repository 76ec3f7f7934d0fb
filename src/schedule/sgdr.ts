import { checkOptions, checkValue, count } from '../check/index.js'
import { type FitOptions, fields, Learner } from '../learner/index.js'
import type { HyperValue } from '../optim/index.js'
import { rates, scheduled, schedulesSchema } from './one-cycle.js'
import { combineScheds, schedCos } from './schedule.js'

/** Options of {@link Learner.fitSgdr}. */
export interface SgdrOptions extends Omit<FitOptions, 'lr'> {
  /** The learning rate at the start of each cycle. Default: the Learner's `lr`. */
  lrMax?: HyperValue
  /** How many times longer than the one before each cycle is: a whole number from 1. Default 2. */
  cycleMult?: number
}

declare module '../learner/learner.js' {
  interface Learner {
    /**
     * Trains in cycles: in each the learning rate falls along a cosine from `lrMax` to 0, and then starts again
     * (Loshchilov & Hutter, "SGDR", https://arxiv.org/abs/1608.03983). With `cycleMult` 2, three cycles from 1 epoch on
     * take 1 + 2 + 4 epochs. Momentum stays as it is.
     *
     * @param nCycles 1 or more
     * @param cycleLen epochs in the first cycle, 1 or more
     * @throws TorchLearnerError as {@link Learner.fit}
     * @example await learn.fitSgdr(3, 1, { lrMax: 1e-2 })
     */
    fitSgdr(nCycles: number, cycleLen: number, options?: SgdrOptions): Promise<void>
  }
}

const schema = schedulesSchema.extend({ lrMax: fields.lr, cycleMult: fields.count })

Learner.prototype.fitSgdr = async function (this: Learner, nCycles, cycleLen, options = {}) {
  checkValue(count, nCycles, 'nCycles')
  checkValue(count, cycleLen, 'cycleLen')
  checkOptions(schema, options, 'fitSgdr')
  const { lrMax = this.lr, cycleMult = 2, ...fitOptions } = options
  const lengths = Array.from({ length: nCycles }, (_, i) => cycleLen * cycleMult ** i)
  const nEpoch = lengths.reduce((total, length) => total + length, 0)
  const lr = rates(this, lrMax)()
  const cycle = schedCos(lr, 0)
  const scheds = {
    lr: combineScheds(
      shares(lengths, nEpoch),
      lengths.map(() => cycle),
    ),
  }
  await this.fit(nEpoch, scheduled(scheds, fitOptions))
}

/** Each cycle's share of the whole; the last is what remains, so that the sum is 1 exactly. */
function shares(lengths: readonly number[], total: number): number[] {
  const all = lengths.slice(0, -1).map(length => length / total)
  const sum = all.reduce((before, share) => before + share, 0)
  return [...all, 1 - sum]
}
