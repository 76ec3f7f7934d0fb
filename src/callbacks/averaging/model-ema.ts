import { checkOptions, decayRate, finite, flag, object, strictObject, TorchLearnerError } from '../../check/index.js'
import { Callback, type CallbackState, readState, type SavedCallbackState } from '../../learner/index.js'
import { noGrad, own, type Tensor } from '../../tensor/index.js'

/** Options of {@link ModelEMA}. */
export interface ModelEMAOptions {
  /** How much of the average stays at each step, from 0 and below 1. Default 0.999. */
  decay?: number
  /** Start with a smaller decay, `(1 + steps) / (10 + steps)`, so that the first weights fade quickly. Default true. */
  warmup?: boolean
}

const schema = strictObject({ decay: decayRate.optional(), warmup: flag.optional() })
const update = own.emaUpdate_
const swap = own.swap_

/**
 * Keeps an exponential moving average of the weights and of the batch norms' statistics, one native call after each step
 * (Polyak averaging; Tarvainen and Valpola 2017, https://arxiv.org/abs/1703.01780). It often predicts better than the
 * weights themselves, even at a constant learning rate.
 *
 * Each fit starts an average of its own. From validation to the end of the epoch the model holds the average, so that
 * metrics, `SaveModel` and the like are about the average; then training goes on with the weights. After the fit, however
 * it ended, the model holds the weights: {@link copyToModel} puts the average in their place.
 *
 * @example
 * const ema = new ModelEMA({ decay: 0.99 })
 * await learn.fit(5, { cbs: ema })
 * ema.copyToModel()
 */
export class ModelEMA extends Callback {
  override order = 65 // afterEpoch comes after SaveModel, whose file is then of the average
  readonly decay: number
  readonly warmup: boolean
  /** Steps averaged over so far. */
  steps = 0
  #names: string[] = []
  #weights: Tensor[] = []
  #average: Tensor[] = []
  #started = false
  #swapped = false
  #skipped = false

  constructor(options: ModelEMAOptions = {}) {
    super()
    const { decay = 0.999, warmup = true } = checkOptions(schema, options, 'ModelEMA')
    this.decay = decay
    this.warmup = warmup
  }

  override beforeFit(): void {
    this.#started = false
  }

  override beforeTrain(): void {
    this.#restore()
    if (!this.#started && this.learn.purpose !== 'find') this.#start()
  }

  #start(): void {
    this.#started = true
    this.release()
    const { model } = this.learn
    const state = [...model.namedParameters(), ...model.namedBuffers()] // each once, where a state dict may repeat
    this.#names = state.map(([name]) => name)
    this.#weights = state.map(([, tensor]) => tensor)
    this.#average = noGrad(() => this.#weights.map(weight => weight.clone().keep()))
  }

  override afterCancelStep(): void {
    this.#skipped = true
  }

  override afterStep(): void {
    if (!this.#skipped && this.#started) {
      this.steps += 1
      const decay = this.warmup ? Math.min(this.decay, (1 + this.steps) / (10 + this.steps)) : this.decay
      update(this.#average, this.#weights, decay)
    }
    this.#skipped = false
  }

  override beforeValidate(): void {
    if (!this.#started || this.#swapped) return
    swap(this.#average, this.#weights)
    this.#swapped = true
  }

  override afterEpoch(): void {
    this.#restore()
  }

  override afterCancelEpoch(): void {
    this.#restore()
  }

  override afterCancelFit(): void {
    this.#restore()
  }

  override saveState(): CallbackState {
    return { values: { steps: this.steps }, tensors: Object.fromEntries(this.stateDict()) }
  }

  override loadState(state: SavedCallbackState): void {
    const { values, tensors } = readState(this.label, state, object({ steps: finite }))
    if (!this.#started) this.#start()
    this.steps = values.steps
    noGrad(() => {
      for (const [name, average] of this.stateDict()) if (tensors[name]) average.copy_(tensors[name])
    })
  }

  override cleanup(): void {
    this.#restore()
    this.#started = false
  }

  /** The average by the names of the model's `stateDict()`; the tensors are the callback's own. Empty before training. */
  stateDict(): Map<string, Tensor> {
    this.#restore()
    return new Map(this.#names.map((name, i) => [name, this.#average[i]]))
  }

  /**
   * Puts the average in the place of the model's weights.
   * @throws TorchLearnerError `ERR_STATE` if nothing has been averaged yet
   */
  copyToModel(): void {
    if (this.#average.length === 0) {
      throw new TorchLearnerError('ERR_STATE', 'There is no average yet: fit with this ModelEMA first')
    }
    this.#restore()
    noGrad(() => this.#weights.forEach((weight, i) => void weight.copy_(this.#average[i])))
  }

  /** Frees the average. */
  release(): void {
    for (const tensor of this.#average) tensor.dispose()
    this.#average = []
    this.#weights = []
    this.#names = []
    this.steps = 0
  }

  #restore(): void {
    if (!this.#swapped) return
    this.#swapped = false
    swap(this.#average, this.#weights)
  }
}
