import { checkOptions } from '../check/index.js'
import { checkEpochs, fields, Learner } from '../learner/index.js'
import { slice } from '../optim/index.js'
import { type OneCycleOptions, oneCycleSchema } from './one-cycle.js'

/** Options of {@link Learner.fineTune}; those of `fitOneCycle` hold for both phases. */
export interface FineTuneOptions extends Omit<OneCycleOptions, 'lrMax'> {
  /** The highest learning rate while frozen; the second phase takes half of it. Default 2e-3. */
  baseLr?: number
  /** Epochs in which all groups but the last are frozen. Default 1. */
  freezeEpochs?: number
  /** How many times smaller the first group's learning rate is than the last one's, once unfrozen. Default 100. */
  lrMult?: number
  /** Of the second phase: the share in which the learning rate rises. Default 0.3. */
  pctStart?: number
  /** Of the second phase: it starts at a learning rate so many times smaller. Default 5. */
  div?: number
}

declare module '../learner/learner.js' {
  interface Learner {
    /**
     * Trains a pretrained model for a new task, in two phases of one cycle each: `freezeEpochs` with everything but the
     * last group frozen, then `epochs` with all of it, at learning rates that rise from the first group to the last.
     * `startEpoch` and `resetOpt` hold for each phase by itself.
     *
     * @param epochs of the second phase, 0 or more
     * @throws TorchLearnerError as {@link Learner.fit}
     * @example await visionLearner(dls, resnet18, { metrics: [errorRate] }).fineTune(3)
     */
    fineTune(epochs: number, options?: FineTuneOptions): Promise<void>
  }
}

const schema = oneCycleSchema
  .omit('lrMax')
  .extend({ baseLr: fields.divisor, freezeEpochs: fields.epochs, lrMult: fields.divisor })

Learner.prototype.fineTune = async function (this: Learner, epochs, options = {}) {
  checkEpochs('epochs', epochs)
  checkOptions(schema, options, 'fineTune')
  const { baseLr = 2e-3, freezeEpochs = 1, lrMult = 100, pctStart = 0.3, div = 5, ...rest } = options
  this.freeze()
  await this.fitOneCycle(freezeEpochs, { ...rest, lrMax: slice(baseLr), pctStart: 0.99 })
  this.unfreeze()
  await this.fitOneCycle(epochs, { ...rest, lrMax: slice(baseLr / 2 / lrMult, baseLr / 2), pctStart, div })
}
