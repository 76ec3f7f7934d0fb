import { TorchLearnerError } from '../../check/index.js'
import { inputCount } from '../../data/index.js'
import type { BatchLoader, LearnerData } from './data.js'

const REMEDY = "Give its samples targets (where some of a batch's tensors are targets, nInp says how many are inputs)"

/** Whether a loader's batches have targets, where that is known before there is a batch. */
function hasTargets(loader: BatchLoader, nInp: number | undefined): boolean | undefined {
  const width = Array.isArray(loader) ? loader[0]?.length : loader.width
  return typeof width === 'number' ? width > inputCount(nInp, width) : undefined
}

/**
 * Whether it is known that validation has no targets where training has some. Where both have none, a callback may give
 * them to each batch.
 */
export function lacksTargets({ train, valid, nInp }: LearnerData): boolean {
  return valid !== undefined && hasTargets(valid, nInp) === false && hasTargets(train, nInp) === true
}

/** @param names the metrics that can't be measured */
export function noTargetsError(names: readonly string[]): TorchLearnerError {
  return new TorchLearnerError(
    'ERR_NO_DATA',
    `The validation set has no targets, so that ${names.join(', ')} can't be measured. ${REMEDY}, or leave the set out`,
  )
}

/** Tells of batches without targets, which a pass goes through for nothing. */
export function warnNoTargets(training: boolean): void {
  const message = training
    ? `The training set has no targets: no loss is computed and nothing is trained. ${REMEDY}`
    : `The validation set has no targets: no validation loss is computed. ${REMEDY}, or leave the set out`
  process.emitWarning(message, { type: 'TorchLearnerWarning', code: 'ERR_NO_DATA' })
}
