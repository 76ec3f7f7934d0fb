import { isOperators, messageOf, TorchLearnerError } from '../../check/index.js'
import { reportUnread } from '../../tensor/index.js'

/** Tells the user, through Node's own channel (`process.on('warning')`), that the loss can't be used any more. */
export function warnNanLoss(value: number, batch: number): void {
  const message =
    `The smoothed training loss became ${value} at batch ${batch}: the weights are probably lost. ` +
    'Try a smaller learning rate, and look for NaN or infinite values in the inputs; stop by throwing CancelFit.'
  process.emitWarning(message, { type: 'TorchLearnerWarning', code: 'ERR_NAN_LOSS' })
}

/** Tells the user that there is no parameter group left to train. */
export function warnAllFrozen(n: number, groups: number): void {
  process.emitWarning(
    `freezeTo(${n}) freezes all ${groups} parameter groups: nothing trains but normalisation layers, if they may.`,
    { type: 'TorchLearnerWarning', code: 'ERR_ALL_FROZEN' },
  )
}

/** Tells the user that a model was loaded without the state of its optimizer. */
export function warnOptimizerState(file: string, reason: string): void {
  process.emitWarning(`${file}: the model is loaded, the optimizer's state could not be taken over. ${reason}`, {
    type: 'TorchLearnerWarning',
    code: 'ERR_STATE_DICT',
  })
}

/** Tells of a failure that came after another one, which is what the caller is told. */
export function warnLaterFailure(error: unknown): void {
  if (isOperators(error)) {
    reportUnread(error)
    return
  }
  const { origin, operator } = error instanceof TorchLearnerError ? error : {}
  const message = `After the error that ended a run: ${messageOf(error)}`
  const warning = Object.assign(new Error(message), { name: 'TorchLearnerWarning', code: 'ERR_CALLBACK' })
  warning.stack = `${warning.name}: ${message}` // where it was thrown, ours doesn't say
  process.emitWarning(
    Object.assign(warning, { cause: error, ...(operator && { operator }), ...(origin && { origin }) }),
  )
}

/** Tells that a loader whose pass ended early failed to close. */
export function warnLoaderClose(error: unknown): void {
  process.emitWarning(`A loader failed when its pass was ended early (in return()): ${messageOf(error)}`, {
    type: 'TorchLearnerWarning',
    code: 'ERR_LOADER_CLOSE',
  })
}
