/** Tells the user, through Node's own channel (`process.on('warning')`), that the loss can't be used any more. */
export function warnNanLoss(value: number, batch: number): void {
  const message =
    `The smoothed training loss became ${value} at batch ${batch}: the weights are probably lost. ` +
    'Try a smaller learning rate, and look for NaN or infinite values in the inputs; stop by throwing CancelFit.'
  process.emitWarning(message, { type: 'TorchLearnerWarning', code: 'ERR_NAN_LOSS' })
}
