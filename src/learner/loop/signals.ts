import { checkValue, string } from '../../check/index.js'

const messageField = string('text')

/**
 * Thrown by callbacks to skip a part of the loop; not errors. Each is caught at its own level, where the matching
 * `afterCancel...` event follows; `after...` lies outside of its level. Thrown elsewhere it travels outwards, and out of
 * `fit` if no level takes it, as in fastai: {@link CancelTrain} in a batch of validation, {@link CancelBatch} in `afterBatch`.
 * It then says where it was thrown, unless it was given a message.
 */
export abstract class CancelSignal extends Error {
  /** @param message why, for people who meet it uncaught */
  constructor(message = '', options?: ErrorOptions) {
    checkValue(messageField, message, 'message')
    super(message, options)
  }

  override get name(): string {
    return this.constructor.name
  }
}

const sources = new WeakMap<CancelSignal, string>()

/** @internal Notes where a signal was thrown: the first time that someone asks. */
export function noteSource(signal: CancelSignal, source: string): void {
  if (!sources.has(signal)) sources.set(signal, source)
}

/** @internal What comes out of a run: a signal that nothing has caught says where it was thrown. */
export function explained(error: unknown): unknown {
  const source = error instanceof CancelSignal && sources.get(error)
  if (source && error.message === '') error.message = `thrown in ${source}, where nothing catches it`
  return error
}

/** Skips the rest of the batch, `zeroGrad` included: gradients left in place add up. Thrown in `beforeBatch` ... `afterStep`. */
export class CancelBatch extends CancelSignal {}

/** Skips the backward pass only. The step still runs, as in fastai: throw {@link CancelStep} in `beforeStep` too if it shouldn't. */
export class CancelBackward extends CancelSignal {}

/** Skips `opt.step()`; gradients are zeroed all the same. Thrown in `beforeStep`. */
export class CancelStep extends CancelSignal {}

/** Skips the rest of this epoch's training; validation follows. Thrown in `beforeTrain` ... `afterBatch` of training. */
export class CancelTrain extends CancelSignal {}

/** Skips the rest of this epoch's validation. Thrown in `beforeValidate` ... `afterBatch` of validation. */
export class CancelValid extends CancelSignal {}

/** Skips the rest of the epoch, without `afterTrain` or `afterValidate`. */
export class CancelEpoch extends CancelSignal {}

/** Ends the fit. */
export class CancelFit extends CancelSignal {}
