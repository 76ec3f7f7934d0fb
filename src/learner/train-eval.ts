import { Callback, type CallbackFlags } from './callback.js'

/** Puts the model in training or evaluation mode, and counts how far training has come. */
export class TrainEvalCallback extends Callback {
  constructor(flags: CallbackFlags = {}) {
    super({ order: -10, runValid: false, ...flags })
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
  }

  /** `pctTrain` starts anew from the epoch's share, so that a cancelled epoch doesn't shift the later ones. */
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
