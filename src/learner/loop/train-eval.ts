import { Module } from '../../nn/index.js'
import { Callback, type CallbackFlags } from './callback.js'

/**
 * Puts the model in training or evaluation mode, and counts how far training has come. Before a fit it moves model and
 * loss (their parameters, its class weights) to the Learner's device, and calls the model's method `reset`, if it has one:
 * what recurrent models forget their state by.
 */
export class TrainEvalCallback extends Callback {
  override order = -10
  override runValid = false

  constructor(flags: CallbackFlags = {}) {
    super(flags)
  }

  override afterCreate(): void {
    this.learn.nEpoch = 1
  }

  override beforeFit(): void {
    const { learn } = this
    learn.epoch = 0
    learn.trainIter = 0
    learn.pctTrain = 0
    learn.model.to(learn.device)
    const loss: unknown = learn.lossFunc
    if (loss instanceof Module) loss.to({ device: learn.device })
    const reset: unknown = Reflect.get(learn.model, 'reset')
    if (typeof reset === 'function') Reflect.apply(reset, learn.model, [])
  }

  /** `pctTrain` starts from the epoch's share again, so that a cancelled epoch doesn't shift the later ones. */
  override beforeTrain(): void {
    const { learn } = this
    learn.pctTrain = (learn.epoch ?? 0) / learn.nEpoch
    learn.model.train()
    learn.training = true
  }

  override afterBatch(): void {
    const { learn } = this
    learn.pctTrain += 1 / (learn.nIter * learn.nEpoch)
    learn.trainIter += 1
  }

  override beforeValidate(): void {
    const { learn } = this
    learn.model.eval()
    learn.training = false
  }
}
