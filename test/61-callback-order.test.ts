// Which callback runs when, and the callbacks' own rules.
import test from 'ava'
import {
  Callback,
  EVENTS,
  type EventName,
  Learner,
  MixUp,
  ProgressCallback,
  Recorder,
  TorchLearnerError,
  TrainEvalCallback,
} from 'torch-learner'
import { golden } from './helpers/golden.js'
import { camelEvent, tinyLearner } from './helpers/learning.js'

type Call = [name: string, event: string, training: boolean]

interface Recording {
  defined: { name: string; order: number; attrs: { run?: boolean; run_train?: boolean; run_valid?: boolean } }[]
  sorted_names: string[]
  first_fit: Call[]
  second_fit: Call[]
  standard_callbacks: { cls: string; attr_name: string; order: number; run_train: boolean; run_valid: boolean }[]
}

const camel = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
const recording = golden<Recording>('callback_order')

test('callbacks run by order, flags and insertion, as recorded', async t => {
  let calls: Call[] = []
  // sizes of the recorded fits, by what a callback that always runs has seen
  const { name: always } = recording.defined.find(({ attrs }) => Object.keys(attrs).length === 0) ?? {}
  const count = (fit: Call[], of: string, training?: boolean) =>
    fit.filter(([name, event, flag]) => name === always && event === of && flag === (training ?? flag)).length
  const epochs = count(recording.first_fit, 'before_epoch')
  const batches = (training: boolean) => count(recording.first_fit, 'before_batch', training) / epochs
  const learn = tinyLearner({ batches: [batches(true), batches(false)] })
  for (const { name, order, attrs } of recording.defined) {
    const log = (event: EventName) => (cb: Callback) => {
      calls.push([name, event, cb.learn.training])
    }
    const handlers = Object.fromEntries(EVENTS.map(event => [event, log(event)]))
    const flags = { run: attrs.run, runTrain: attrs.run_train, runValid: attrs.run_valid }
    learn.addCb(new Callback({ name, order, ...flags, ...handlers }))
  }
  for (const recorded of [recording.first_fit, recording.second_fit]) {
    calls = []
    await learn.fit(count(recorded, 'before_epoch'))
    t.deepEqual(
      calls,
      recorded.map(([name, event, training]) => [name, camelEvent(event), training]),
    )
  }
})

test('standard callbacks have the names and orders of the reference', t => {
  const ours = [new TrainEvalCallback(), new Recorder(), new ProgressCallback(), new MixUp()]
  for (const callback of ours) {
    const recorded = recording.standard_callbacks.find(({ cls }) => cls === callback.constructor.name)
    t.truthy(recorded)
    t.like(recorded, { order: callback.order, run_train: callback.runTrain, run_valid: callback.runValid })
    t.is(callback.name, camel(recorded?.attr_name ?? ''))
  }
})

test('callbacks are found by class and by name; the last one counts', t => {
  const [first, second] = [new MixUp(0.2), new MixUp(0.4)]
  const learn = tinyLearner({ cbs: [first, second] })
  t.is(learn.callback(MixUp), second)
  t.is(learn.callback('mixUp'), second)
  t.is(learn.callback('nobody'), undefined)
  learn.removeCb(second)
  t.is(learn.callback(MixUp), first)
  learn.removeCb(MixUp)
  t.is(learn.callback(MixUp), undefined)
  t.throws(() => first.learn, { instanceOf: TorchLearnerError, code: 'ERR_STATE' })
})

test('callbacks may be classes', t => {
  t.true(tinyLearner({ cbs: MixUp }).callback(MixUp) instanceof MixUp)
})

test('callbacks for one run are removed however it ends', async t => {
  const learn = tinyLearner()
  const before = learn.cbs
  await learn.fit(1, { cbs: new Callback({ beforeEpoch: () => Promise.resolve() }) })
  t.deepEqual(learn.cbs, before)
  await t.throwsAsync(
    learn.addedCbs(new Callback(), () => Promise.reject(new Error('no'))),
    { message: 'no' },
  )
  t.deepEqual(learn.cbs, before)
  await learn.removedCbs(Recorder, () => t.is(learn.callback(Recorder), undefined))
  t.true(learn.callback(Recorder) instanceof Recorder)
})

test('async callbacks are awaited in their turn', async t => {
  const seen: string[] = []
  const slow = new Callback({
    order: 1,
    async beforeBatch() {
      await new Promise(resolve => setTimeout(resolve, 5))
      seen.push('slow')
    },
  })
  const quick = new Callback({ order: 2, beforeBatch: () => void seen.push('quick') })
  await tinyLearner({ batches: [2, 0], cbs: [quick, slow] }).fit(1)
  t.deepEqual(seen, ['slow', 'quick', 'slow', 'quick'])
})

test('afterCreate runs with the Learner complete, and an async failure surfaces in the first fit', async t => {
  const seen: number[] = []
  const learn = tinyLearner({ cbs: new Callback({ afterCreate: cb => void seen.push(cb.learn.cbs.length) }) })
  t.deepEqual(seen, [4])
  t.is(learn.nEpoch, 1)
  const failing = tinyLearner({ cbs: new Callback({ afterCreate: () => Promise.reject(new Error('late')) }) })
  await t.throwsAsync(failing.fit(1), { code: 'ERR_CALLBACK', message: /afterCreate: late/ })
})

test('an error names the callback and the event, and keeps the original as cause', async t => {
  class Brittle extends Callback {
    override afterLoss(): void {
      throw new RangeError('too much')
    }
  }
  const error = await t.throwsAsync(tinyLearner({ cbs: Brittle }).fit(1), { instanceOf: TorchLearnerError })
  t.is(error?.code, 'ERR_CALLBACK')
  t.is(error?.message, 'Error in Brittle at afterLoss: too much')
  t.true(error?.cause instanceof RangeError)
})

test('unknown events and options are refused', async t => {
  t.throws(() => new Callback({ before_batch: () => undefined } as object), {
    code: 'ERR_INVALID_ARG',
    message: /before_batch/,
  })
  t.throws(() => new Callback({ beforeBatch: 3 } as object), { code: 'ERR_INVALID_ARG' })
  const learn = tinyLearner()
  await t.throwsAsync(learn.emit('beforeLunch' as EventName), { code: 'ERR_INVALID_ARG' })
  await t.throwsAsync(learn.fit(-1), { code: 'ERR_INVALID_ARG' })
  await t.throwsAsync(learn.fit(1, { epochs: 3 } as object), { code: 'ERR_INVALID_ARG' })
  await t.throwsAsync(learn.fit(1, { lr: 'fast' } as object), { code: 'ERR_INVALID_ARG' })
  await t.throwsAsync(learn.fit(1, { cbs: [3] } as object), { code: 'ERR_INVALID_ARG' })
  await t.throwsAsync(learn.fitOneCycle(1, { pctStart: 1.5 }), { code: 'ERR_INVALID_ARG' })
  t.throws(() => new Learner({} as never, learn.model), { code: 'ERR_INVALID_ARG' })
  t.throws(() => new Learner(learn.dls, learn.model), { code: 'ERR_INVALID_ARG', message: /lossFunc/ })
  t.throws(() => tinyLearner({ metrics: [3] } as object), { code: 'ERR_INVALID_ARG' })
})

test('a callback at work in one Learner is refused by another; between runs it moves', async t => {
  const shared = new MixUp(0.4)
  const other = tinyLearner()
  const learn = tinyLearner({
    cbs: [shared, new Callback({ beforeEpoch: async () => other.fit(1, { cbs: shared }) })],
  })
  await t.throwsAsync(learn.fit(1), { code: 'ERR_CALLBACK', message: /at work in another Learner/ })
  t.false(other.isRunning)
  await other.fit(1, { cbs: shared })
  t.throws(() => shared.learn, { code: 'ERR_STATE' })
})

class Late extends Callback {
  override order = 55
  override runTrain = false
  override removeOnFetch = true
  calls: string[] = []
  override afterBatch(): void {
    this.calls.push('class')
  }
}

test('what a constructor is given counts over fields of the class', async t => {
  const learn = tinyLearner()
  const [own, given] = [new Late(), new Late({ order: 3, runTrain: true, runValid: false })]
  const handled = new Late({ runTrain: true, afterBatch: cb => void (cb instanceof Late && cb.calls.push('given')) })
  learn.addCb([own, given, handled])
  t.deepEqual([own.order, given.order, handled.order], [55, 3, 55])
  await learn.fit(1)
  t.deepEqual([own.calls, given.calls, handled.calls], [['class'], ['class', 'class'], Array(3).fill('given')])
  given.order = 7 // later on it is the owner's to change
  await learn.fit(1)
  t.is(given.order, 7)
})

test('a subclass of a standard callback may have another order of its own', t => {
  class Early extends Recorder {
    override order = -20
  }
  t.is(tinyLearner({ defaultCbs: false, cbs: new Early() }).callback(Early)?.order, -20)
  t.is(tinyLearner({ defaultCbs: false, cbs: new Early({ order: 4 }) }).callback(Early)?.order, 4)
  t.is(tinyLearner({ defaultCbs: false, cbs: new Recorder({ order: 4 }) }).callback(Recorder)?.order, 4)
})
