import {
  checkOptions,
  count,
  decayRate,
  flag,
  invalidArgument,
  list,
  object,
  strictObject,
  string,
  whole,
} from '../../check/index.js'
import { Callback, type CallbackState, readState, type SavedCallbackState } from '../../learner/index.js'
import { noGrad, own, type Tensor } from '../../tensor/index.js'
import { followingNorms, recomputeNorms, statisticsOf } from './recompute-norms.js'

/** Options of {@link StochasticWeightAveraging}. */
export interface StochasticWeightAveragingOptions {
  /** The share of the fit after which averaging begins, from 0 and below 1. Default 0.75, as in the paper. */
  start?: number
  /** Take the weights into the average after every so many training batches. Default: after the batches of each epoch. */
  everyBatches?: number
  /** Recompute the batch norms' statistics for the average, in one more pass over the training data. Default true. */
  updateBn?: boolean
}

const schema = strictObject({
  start: decayRate.default(0.75),
  everyBatches: count.optional(),
  updateBn: flag.default(true),
})

const savedSchema = object({
  nAveraged: whole(0),
  trained: flag,
  norms: list(string()),
})

const update = own.emaUpdate_
const swap = own.swap_

/**
 * Averages the weights along the last part of a fit, all with the same weight, and puts the average in the model when the
 * fit ends (stochastic weight averaging; Izmailov et al. 2018, https://arxiv.org/abs/1803.05407). The average often lies
 * in a flatter place than the weights themselves, and predicts better. The learning rate must stay high enough for the
 * weights to move: use `fit`, whose rate is constant, or `fitSgdr`, not a schedule that ends near 0.
 *
 * While it trains, validation, metrics and `SaveModel` see the weights as they are trained; `validate` after the fit
 * measures the average. Batch norms have measured other weights, so that their statistics are then recomputed
 * (PyTorch's `update_bn`), over the training batches as the loader gives them: what callbacks do to batches, mixing
 * included, is left out. Those that were frozen (`BnFreeze`, `eval()`) stay as they are.
 *
 * Each fit has an average of its own. One that fails or is aborted leaves the weights as they were trained, and so does one
 * that a callback ends before averaging began, with a warning (`ERR_NOTHING_AVERAGED`). `SaveModel` acts later: with
 * `atEnd` it saves the average; if it loads its best epoch, that replaces the average.
 *
 * @throws TorchLearnerError `ERR_INVALID_ARG` for wrong options
 * @example await learn.fit(20, { lr: 0.01, cbs: new StochasticWeightAveraging({ start: 0.5 }) })
 */
export class StochasticWeightAveraging extends Callback {
  override order = 58 // afterFit comes before SaveModel
  override runValid = false
  readonly start: number
  /** 0: after each epoch. */
  readonly everyBatches: number
  readonly updateBn: boolean
  /** How many times the weights were taken into the average, in this fit or the last one. */
  nAveraged = 0
  #names: string[] = []
  #weights: Tensor[] = []
  #average: Tensor[] = []
  #norms: string[] = []
  #active = false
  #trained = false
  #installing = false
  /** The batch norms' statistics, and what they were before they were computed for the average. */
  #statistics: Tensor[] = []
  #measured: Tensor[] = []

  constructor(options: StochasticWeightAveragingOptions = {}) {
    super()
    const { start, everyBatches = 0, updateBn } = checkOptions(schema, options, 'StochasticWeightAveraging')
    this.start = start
    this.everyBatches = everyBatches
    this.updateBn = updateBn
  }

  override beforeFit(): void {
    const { learn } = this
    this.#active = learn.purpose === 'fit'
    if (!this.#active) return
    this.#release()
    this.nAveraged = 0
    this.#trained = false
  }

  override beforeTrain(): void {
    this.#trained = this.#active
  }

  override afterBatch(): void {
    const { iter, nIter, trainIter } = this.learn
    if (this.everyBatches > 0 && trainIter % this.everyBatches === 0) this.#take(((iter ?? 0) + 1) / nIter)
  }

  override afterTrain(): void {
    if (this.everyBatches === 0) this.#take(1)
  }

  /** @param part how much of the epoch is done */
  #take(part: number): void {
    const { epoch, nEpoch } = this.learn
    const sinceStart = (epoch ?? 0) + part - this.start * nEpoch
    if (!this.#active || sinceStart < 1e-9) return // 0.1 * 3 is a little more than 0.3
    if (this.nAveraged === 0) this.#begin()
    else update(this.#average, this.#weights, this.nAveraged / (this.nAveraged + 1))
    this.nAveraged += 1
  }

  #begin(): void {
    const parameters = [...this.learn.model.namedParameters()] // each once, where a state dict may repeat
    this.#names = parameters.map(([name]) => name)
    this.#weights = parameters.map(([, parameter]) => parameter)
    this.#average = noGrad(() => this.#weights.map(weight => weight.clone().keep()))
    this.#norms = followingNorms(this.learn)
  }

  override async afterFit(): Promise<void> {
    const { learn } = this
    if (!this.#trained || learn.fitting !== 'yes') return
    if (this.nAveraged === 0) warnNothing(this.start)
    else if (!(await this.#install())) {
      learn.fitting = 'aborted' // a Checkpoint goes on from its last save
      return
    }
    this.#trained = false
    this.#release()
  }

  /** Puts the average in the model; from then on `#average` is what was trained. False if the fit was aborted. */
  async #install(): Promise<boolean> {
    const { learn } = this
    this.#statistics = this.updateBn ? statisticsOf(learn, this.#norms) : []
    this.#measured = noGrad(() => this.#statistics.map(tensor => tensor.clone().keep()))
    swap(this.#average, this.#weights)
    this.#installing = true
    if (this.#statistics.length > 0 && !(await recomputeNorms(learn, this.#norms))) return false
    this.#installing = false
    return true
  }

  /** What was trained comes back when the batch norms could not be computed to the end. */
  #restore(): void {
    if (!this.#installing) return
    this.#installing = false
    swap(this.#average, this.#weights)
    noGrad(() => this.#statistics.forEach((tensor, i) => void tensor.copy_(this.#measured[i])))
  }

  override saveState(): CallbackState {
    return {
      values: { nAveraged: this.nAveraged, trained: this.#trained, norms: this.#norms },
      tensors: Object.fromEntries(this.#names.map((name, i) => [name, this.#average[i]])),
    }
  }

  override loadState(state: SavedCallbackState): void {
    const { values, tensors } = readState(this.label, state, savedSchema)
    this.#release()
    this.nAveraged = values.nAveraged
    this.#trained = values.trained
    if (Object.keys(tensors).length === 0) return
    this.#begin()
    const lacking = this.#names.find(name => !tensors[name])
    if (lacking !== undefined) {
      this.#release()
      throw invalidArgument(`the state of ${this.label}`, `an average of ${lacking}`, Object.keys(tensors))
    }
    this.#norms = [...values.norms]
    noGrad(() => this.#names.forEach((name, i) => void this.#average[i].copy_(tensors[name])))
  }

  override cleanup(): void {
    this.#restore()
    this.#active = false
    this.#trained = false
    this.#release()
  }

  #release(): void {
    for (const tensor of [...this.#average, ...this.#measured]) tensor.dispose()
    this.#average = []
    this.#measured = []
    this.#statistics = []
    this.#weights = []
    this.#names = []
    this.#norms = []
  }
}

function warnNothing(start: number): void {
  process.emitWarning(
    `StochasticWeightAveraging: the fit ended before any weights were averaged (start: ${start}), so that the model has ` +
      'the weights as trained. Use a smaller start or everyBatches, or train for longer',
    { type: 'TorchLearnerWarning', code: 'ERR_NOTHING_AVERAGED' },
  )
}
