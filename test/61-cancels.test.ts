// Every cancel at every event: who takes it, what follows, and what comes out of `fit`.
import test from 'ava'
import {
  Callback,
  CancelBackward,
  CancelBatch,
  CancelEpoch,
  CancelFit,
  CancelStep,
  CancelTrain,
  CancelValid,
  EVENTS,
  type EventName,
} from 'torch-learner'
import { spy, tinyLearner } from './helpers/learning.js'

// The rules of the reference, written down a second time. A level is: try { before; body } catch its own signal
// { afterCancel }, and then `after`, outside of the try. Nothing else catches anything.
const levels = {
  Fit: CancelFit,
  Epoch: CancelEpoch,
  Train: CancelTrain,
  Validate: CancelValid,
  Batch: CancelBatch,
  Backward: CancelBackward,
  Step: CancelStep,
}
type Level = keyof typeof levels
type Part = 'train' | 'valid'
/** What is thrown: the n-th of these events. */
type Plan = readonly { event: EventName; part: Part | null; signal: new () => Error }[]

/** Throws what is planned, one after the other, each once. */
function thrower(plan: Plan): (event: EventName, part: Part) => void {
  const left = [...plan]
  return (event, part) => {
    const [next] = left
    if (next?.event !== event || (next.part ?? part) !== part) return
    left.shift()
    throw new next.signal()
  }
}

/** The events of a fit of one epoch, and what comes out of it, as the reference has it. */
function expected(plan: Plan): { events: string[]; out: string | null } {
  const events: string[] = []
  let part: Part = 'valid' // before the first epoch nothing is in training
  const act = thrower(plan)
  const emit = (event: EventName): void => {
    if (event === 'beforeTrain') part = 'train'
    if (event === 'beforeValidate') part = 'valid'
    events.push(event)
    act(event, part)
  }
  const around = (level: Level, body: () => void): void => {
    try {
      emit(`before${level}`)
      body()
    } catch (error) {
      if (!(error instanceof levels[level])) throw error
      emit(`afterCancel${level}`)
    }
    emit(`after${level}`)
  }
  const batch = (): void => {
    emit('afterPred')
    emit('afterLoss')
    if (part === 'valid') return
    around('Backward', () => undefined)
    around('Step', () => undefined)
  }
  const pass = (batches: number) => (): void => {
    for (let i = 0; i < batches; i++) around('Batch', batch)
  }
  const epoch = (): void => {
    around('Train', pass(2))
    around('Validate', pass(1))
  }
  try {
    around('Fit', () => around('Epoch', epoch))
  } catch (error) {
    return { events, out: (error as Error).name }
  }
  return { events, out: null }
}

const cancelled = (event: EventName): Level | null => (/^afterCancel(.*)$/.exec(event)?.[1] as Level) ?? null

/** All events at which something can be thrown, in training and in validation where they are of both. */
function* places(): Generator<{ event: EventName; part: Part | null }> {
  const both = ['beforeBatch', 'afterPred', 'afterLoss', 'afterCancelBatch', 'afterBatch']
  for (const event of EVENTS) {
    if (event === 'afterCreate') continue
    if (both.includes(event))
      yield* [
        { event, part: 'train' as const },
        { event, part: 'valid' as const },
      ]
    else yield { event, part: null }
  }
}

for (const signal of Object.values(levels)) {
  test(`${signal.name} at each event, as the reference takes it`, async t => {
    for (const { event, part } of places()) {
      const level = cancelled(event)
      const first = level ? [{ event: `before${level}` as EventName, part, signal: levels[level] }] : []
      const plan: Plan = [...first, { event, part, signal }]
      const seen: string[] = []
      const learn = tinyLearner({ batches: [2, 1] })
      const act = thrower(plan)
      const see = spy((name, { training }) => {
        seen.push(name)
        act(name, training ? 'train' : 'valid')
      }, 20)
      const error = await learn.fit(1, { cbs: see }).then(
        () => null,
        thrown => thrown,
      )
      const { events, out } = expected(plan)
      const where = `${event}${part ? ` (${part})` : ''}`
      t.deepEqual(seen, events, where)
      t.is(error?.name ?? null, out, where)
      if (error) {
        t.true(error instanceof signal)
        t.regex(error.message, new RegExp(`^thrown in spy at ${event}[^]* \\(fit\\), where nothing catches it$`))
      }
      t.false(learn.isRunning)
      await t.notThrowsAsync(learn.fit(1), where)
    }
  })
}

test('a cancel says why it was thrown, if it was given a reason', async t => {
  const cb = new Callback({
    afterFit: () => {
      throw new CancelFit('enough')
    },
  })
  await t.throwsAsync(tinyLearner().fit(1, { cbs: cb }), { instanceOf: CancelFit, message: 'enough' })
})
