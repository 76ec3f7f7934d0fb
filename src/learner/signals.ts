import { invalidArgument } from '../native/index.js'

/**
 * Thrown by callbacks to skip a part of the loop; not errors. Each is caught at its own level, where the matching
 * `afterCancel...` event follows. Thrown elsewhere it travels outwards, and out of `fit` if no level takes it.
 */
export abstract class CancelSignal extends Error {
  /** @param message why, for people who meet it uncaught */
  constructor(message = '', options?: ErrorOptions) {
    if (typeof message !== 'string') throw invalidArgument('message', 'text', message)
    super(message, options)
  }

  override get name(): string {
    return this.constructor.name
  }
}

/** Skips the rest of the batch, `zeroGrad` included: gradients left in place add up. Thrown in `beforeBatch` ... `afterStep`. */
export class CancelBatch extends CancelSignal {}

/** Skips the backward pass only. The step still runs, as in fastai: throw {@link CancelStep} in `beforeStep` too if it shouldn't. */
export class CancelBackward extends CancelSignal {}

/** Skips `opt.step()`; gradients are zeroed all the same. Thrown in `beforeStep`. */
export class CancelStep extends CancelSignal {}

/** Skips the rest of this epoch's training; validation follows. */
export class CancelTrain extends CancelSignal {}

/** Skips the rest of this epoch's validation. */
export class CancelValid extends CancelSignal {}

/** Skips the rest of the epoch, without `afterTrain` or `afterValidate`. */
export class CancelEpoch extends CancelSignal {}

/** Ends the fit. */
export class CancelFit extends CancelSignal {}
