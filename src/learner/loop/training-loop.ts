import { Learner } from '../learner.js'
import type { Callback } from './callback.js'
import type { EventName } from './events.js'

/** A line of the loop: an event, or what the Learner itself does; `always: false` is shown only if someone acts there. */
type Line = readonly [depth: number, what: EventName | string, always?: boolean]

const batch = (depth: number): Line[] => [
  [depth, 'for each batch:'],
  [depth + 1, 'beforeBatch'],
  [depth + 1, 'pred = model(...xb)'],
  [depth + 1, 'afterPred'],
  [depth + 1, 'loss = lossFunc(pred, ...yb)'],
  [depth + 1, 'afterLoss'],
]

const batchEnd = (depth: number): Line[] => [
  [depth, 'afterCancelBatch', false],
  [depth, 'afterBatch'],
]

const TRAIN: readonly Line[] = [
  [2, 'beforeTrain'],
  ...batch(2),
  [3, 'beforeBackward'],
  [3, 'backward'],
  [3, 'afterCancelBackward', false],
  [3, 'afterBackward'],
  [3, 'beforeStep'],
  [3, 'opt.step()'],
  [3, 'afterCancelStep', false],
  [3, 'afterStep'],
  [3, 'opt.zeroGrad()'],
  ...batchEnd(3),
  [2, 'afterCancelTrain', false],
  [2, 'afterTrain'],
]

const VALIDATE: readonly Line[] = [
  [2, 'beforeValidate'],
  ...batch(2),
  ...batchEnd(3),
  [2, 'afterCancelValidate', false],
  [2, 'afterValidate'],
]

const START: readonly Line[] = [
  [0, 'beforeFit'],
  [0, 'for each epoch:'],
  [1, 'beforeEpoch'],
]

const END: readonly Line[] = [
  [1, 'afterCancelEpoch', false],
  [1, 'afterEpoch'],
  [0, 'afterCancelFit', false],
  [0, 'afterFit'],
]

declare module '../learner.js' {
  interface Learner {
    /**
     * The training loop as text, with the callbacks that act at each event, in their order. Those that are switched off
     * are left out, and at the batches of validation those that don't take part in it.
     *
     * @example console.log(learn.showTrainingLoop())
     */
    showTrainingLoop(): string
  }
}

Learner.prototype.showTrainingLoop = function (this: Learner) {
  const ordered = this.cbs.toSorted((a, b) => a.order - b.order)
  const rows = [
    ...START.flatMap(line => render(line, ordered, true)),
    '  training:',
    ...TRAIN.flatMap(line => render(line, ordered, true)),
    '  validation, without gradients:',
    ...VALIDATE.flatMap(line => render(line, ordered, false)),
    ...END.flatMap(line => render(line, ordered, false)),
  ]
  return rows.join('\n')
}

const COLUMN = 30

function render([depth, what, always = true]: Line, callbacks: readonly Callback[], training: boolean): string[] {
  const acting = callbacks.filter(callback => actsAt(callback, what, training)).map(({ label }) => label)
  if (!always && acting.length === 0) return []
  const start = `${'  '.repeat(depth)}${what}`
  return [acting.length > 0 ? `${start.padEnd(COLUMN)} ${acting.join(', ')}` : start]
}

function actsAt(callback: Callback, what: string, training: boolean): boolean {
  const handler: unknown = Reflect.get(callback, what)
  return typeof handler === 'function' && callback.takesPart(what as EventName, training)
}
