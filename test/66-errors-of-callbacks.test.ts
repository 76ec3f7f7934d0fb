// Errors of callbacks where nobody expects them: while the Learner is made, after an abort, and after the run has ended.
import test from 'ava'
import { Callback, type Learner, mark, type TorchLearnerError } from 'torch-learner'
import { endOf, failing, failureLearner } from './helpers/failures.js'
import { weightsOf } from './helpers/learning.js'

test.serial('afterCreate that fails: an origin, told once, and the Learner is usable', async t => {
  const origin = { run: 'create', callback: 'Mine', event: 'afterCreate' }
  const make = (afterCreate: () => Promise<void> | void) =>
    failureLearner({ cbs: new Callback({ name: 'Mine', afterCreate }) })
  const later = make(async () => void (await failing().data()))
  const told = await endOf(later.fit(1))
  t.like(told, { code: 'ERR_CALLBACK', operator: 'aten::mm', origin })
  t.is(await endOf(later.fit(1)), null)
  const rejecting = make(() => Promise.reject(new Error('of the user')))
  t.like(await endOf(rejecting.validate()), { message: 'Error in Mine at afterCreate: of the user', origin })
  t.is(await endOf(rejecting.fit(1)), null)
  const at = t.throws<TorchLearnerError>(() => make(() => void failing().shape))
  t.like(at, { code: 'ERR_CALLBACK', origin })
  let kept = failing()
  make(() => {
    kept = failing()
  })
  t.like(await endOf(kept.data()), { code: 'ERR_OP_FAILED', origin })
  const two = () => new Callback({ afterCreate: () => Promise.reject(new Error('of the user')) })
  const both = failureLearner({ cbs: [two(), two()] })
  t.regex((await endOf(both.fit(1)))?.message ?? '', /of the user/)
  t.is(await endOf(both.fit(1)), null)
})

test.serial('afterCreate that never settles: the signal ends the first run, and the next one is not kept', async t => {
  let wake = (): void => undefined
  let late: unknown
  class Hung extends Callback {
    override abortGrace = 10
    override async afterCreate() {
      await new Promise<void>(resolve => {
        wake = resolve
      })
      late = await endOf(Promise.resolve().then(() => this.learn))
    }
  }
  const learn = failureLearner({ cbs: new Hung() })
  const controller = new AbortController()
  setTimeout(() => controller.abort(new Error('enough')), 20)
  t.like(await endOf(learn.fit(1, { signal: controller.signal })), {
    code: 'ERR_CALLBACK',
    cause: { message: 'enough' },
  })
  t.is(await endOf(learn.fit(1)), null)
  wake()
  await new Promise(resolve => setImmediate(resolve))
  t.like(late, { code: 'ERR_STATE' })
})

test.serial('after an abort the reason is told, whatever has failed', async t => {
  const events = [
    'beforeFit',
    'beforeTrain',
    'afterBatch',
    'afterTrain',
    'afterValidate',
    'afterEpoch',
    'afterFit',
  ] as const
  for (const event of events) {
    for (const fail of [failing, () => failing().keep(), () => undefined]) {
      const reason = new Error('enough')
      const controller = new AbortController()
      const abort = new Callback({
        [event]: () => {
          fail()
          controller.abort(reason)
        },
      })
      const learn = failureLearner({ cbs: abort })
      t.is(await endOf(learn.fit(1, { signal: controller.signal })), reason as TorchLearnerError, event)
      learn.removeCb(abort)
      t.is(await endOf(learn.fit(1)), null, event)
      t.is(await endOf(mark()), null)
    }
  }
  const reason = new Error('enough')
  for (const run of ['validate', 'getPreds'] as const) {
    const controller = new AbortController()
    const abort = new Callback({
      afterFit: () => {
        failing()
        controller.abort(reason)
      },
    })
    t.is(
      await endOf(failureLearner({ cbs: abort })[run]({ signal: controller.signal })),
      reason as TorchLearnerError,
      run,
    )
  }
})

test.serial('what a callback kept for itself changes nothing once its run has ended without it', async t => {
  let wake = (): void => undefined
  const late: Record<string, unknown> = {}
  class Hung extends Callback {
    override abortGrace = 10
    override async afterBatch() {
      const { learn } = this
      const [weight] = learn.model.parameters()
      await new Promise<void>(resolve => {
        wake = resolve
      })
      const attempts: Record<string, (learn: Learner) => unknown> = {
        'a field': it => {
          it.xb = []
        },
        event: it => it.emit('beforeFit'),
        operator: () => weight.detach().fill_(0),
        step: it => it.opt?.step(),
        optimizer: it => it.createOpt(),
        run: it => it.fit(1),
        batch: it => it.oneBatch(0, [failing()]),
      }
      for (const [name, attempt] of Object.entries(attempts)) {
        late[name] = (await endOf(Promise.resolve().then(() => attempt(learn))))?.code
      }
    }
  }
  const learn = failureLearner()
  const controller = new AbortController()
  setTimeout(() => controller.abort(new Error('enough')), 20)
  t.like(await endOf(learn.fit(1, { cbs: new Hung(), signal: controller.signal })), { code: 'ERR_CALLBACK' })
  const before = weightsOf(learn.model)
  const { opt } = learn
  wake()
  while (!('batch' in late)) await new Promise(resolve => setImmediate(resolve))
  t.deepEqual(new Set(Object.values(late)), new Set(['ERR_STATE']), JSON.stringify(late))
  t.deepEqual(weightsOf(learn.model), before)
  t.is(learn.opt, opt)
  t.is(await endOf(learn.fit(1)), null)
})
