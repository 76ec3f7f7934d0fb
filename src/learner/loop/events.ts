/**
 * The training loop, and the events at which callbacks act. `after...` always follows, also after a cancel.
 *
 * ```text
 * afterCreate                                  once, at the end of `new Learner(...)`
 * beforeFit
 *   for each epoch:
 *     beforeEpoch
 *       beforeTrain
 *         for each batch:
 *           beforeBatch
 *             pred = model(...xb)              afterPred
 *             loss = lossFunc(pred, ...yb)     afterLoss
 *             beforeBackward; backward;        [afterCancelBackward]  afterBackward
 *             beforeStep; opt.step();          [afterCancelStep]      afterStep
 *             opt.zeroGrad()
 *           [afterCancelBatch] afterBatch
 *       [afterCancelTrain] afterTrain
 *       beforeValidate                         without gradients, events included
 *         for each batch: beforeBatch, afterPred, afterLoss, [afterCancelBatch], afterBatch
 *       [afterCancelValidate] afterValidate
 *     [afterCancelEpoch] afterEpoch
 * [afterCancelFit] afterFit
 * ```
 */
export const EVENTS = [
  'afterCreate',
  'beforeFit',
  'beforeEpoch',
  'beforeTrain',
  'beforeBatch',
  'afterPred',
  'afterLoss',
  'beforeBackward',
  'afterCancelBackward',
  'afterBackward',
  'beforeStep',
  'afterCancelStep',
  'afterStep',
  'afterCancelBatch',
  'afterBatch',
  'afterCancelTrain',
  'afterTrain',
  'beforeValidate',
  'afterCancelValidate',
  'afterValidate',
  'afterCancelEpoch',
  'afterEpoch',
  'afterCancelFit',
  'afterFit',
] as const

/** One of the 24 events: see {@link EVENTS}. */
export type EventName = (typeof EVENTS)[number]

const names: ReadonlySet<string> = new Set(EVENTS)

/** Whether `name` is one of the 24 events. */
export function isEventName(name: unknown): name is EventName {
  return typeof name === 'string' && names.has(name)
}

/**
 * The events inside the loop over batches: only these depend on `runTrain` and `runValid`.
 * `afterCancelStep` isn't among them, as in fastai.
 */
export const INNER_EVENTS: ReadonlySet<EventName> = new Set<EventName>([
  'beforeBatch',
  'afterPred',
  'afterLoss',
  'beforeBackward',
  'afterCancelBackward',
  'afterBackward',
  'beforeStep',
  'afterStep',
  'afterCancelBatch',
  'afterBatch',
])

/** A value, or a promise of it: what callback methods may return. */
export type Awaitable<T> = T | Promise<T>
