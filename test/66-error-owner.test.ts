import test from 'ava'
import {
  BatchTransform,
  Callback,
  type Learner,
  mark,
  onUnreadError,
  randn,
  resnet18,
  synchronize,
  type Tensor,
  TorchLearnerError,
  zeros,
} from 'torch-learner'
import { failureData as data, endOf, failing, failureLearner as learner, turn } from './helpers/failures.js'

// Runs answer for their own operators. One test after the other: they count what nobody has read.

test.serial('a handled error elsewhere never reaches a fit', async t => {
  const others: Record<string, (other: Learner) => Promise<unknown>> = {
    'read at once': () => failing().data(),
    'read later': async () => {
      const bad = failing()
      await turn()
      await bad.data()
    },
    'in place': async () => {
      const target = zeros([2])
      target.add_(zeros([3]))
      await turn()
      await target.data()
    },
    'its shape': async () => failing().shape,
    'a prediction': other => other.predict(randn([5])),
  }
  const other = learner()
  for (const [name, fail] of Object.entries(others)) {
    for (let i = 0; i < 5; i++) {
      let over = false
      const fit = endOf(learner().fit(3)).finally(() => {
        over = true
      })
      do {
        t.not(await endOf(fail(other)), null)
        await turn()
      } while (!over)
      t.is(await fit, null, name)
    }
  }
})

test.serial('two fits at once: the one that fails does so alone, whatever is predicted meanwhile', async t => {
  for (let i = 0; i < 10; i++) {
    const bad = learner({ lossFunc: pred => pred })
    const [good, idle] = [learner(), learner()]
    const ends = Promise.all([endOf(bad.fit(1)), endOf(good.fit(2)), endOf(good.model.parameters()[0].data())])
    t.is(await endOf(idle.predict(randn([8]))), null)
    const [failed, ...fine] = await ends
    t.is(failed?.code, 'ERR_OP_FAILED')
    t.deepEqual(failed?.origin, { run: 'fit', part: 'the backward pass', epoch: 0, batch: 0 })
    t.deepEqual(fine, [null, null])
    t.is(await endOf(good.validate()), null)
  }
})

class Broken extends BatchTransform {
  on = true
  override encodes(x: Tensor): Tensor {
    return this.on && x.dtype === 'float32' ? x.mm(x) : x
  }
}

test.serial('a failed fit leaves nothing for the next one, nor does a pass left early', async t => {
  for (let i = 0; i < 20; i++) {
    const transform = new Broken()
    const learn = learner({}, data({ batchTfms: [transform] }))
    const error = await endOf(learn.fit(1))
    t.is(error?.code, 'ERR_OP_FAILED')
    t.like(error?.origin, { run: 'fit', part: 'the data loader' })
    t.is(await endOf(learner().fit(1)), null, 'another Learner')
    for await (const batch of data({ batchTfms: [transform] }).train) {
      for (const tensor of batch) tensor.dispose()
      break
    }
    transform.on = false
    t.is(await endOf(learn.fit(1)), null, 'the same one')
    t.is(await endOf(mark()), null)
  }
})

test.serial('an operator that fails in a callback is told with callback, event, epoch and batch', async t => {
  const spoil = () => void zeros([2]).add_(zeros([3]))
  const places = {
    beforeFit: {},
    beforeEpoch: { epoch: 0 },
    beforeBatch: { epoch: 0, batch: 0 },
    afterPred: { epoch: 0, batch: 0 },
    afterBatch: { epoch: 0, batch: 0 },
    afterTrain: { epoch: 0 },
    afterValidate: { epoch: 0 },
    afterEpoch: { epoch: 0 },
    afterFit: {},
  }
  for (const [event, place] of Object.entries(places)) {
    for (const fail of [() => void failing(), spoil, async () => void (await failing().data())]) {
      const learn = learner({ cbs: new Callback({ name: 'Mine', [event]: fail }) })
      const error = await endOf(learn.fit(1))
      t.true(error instanceof TorchLearnerError, event)
      const own = error?.code === 'ERR_CALLBACK' ? (error.cause as TorchLearnerError) : error
      t.is(own?.code, 'ERR_OP_FAILED')
      t.deepEqual(own?.origin, { run: 'fit', callback: 'Mine', event, ...place })
      t.regex(error?.message ?? '', new RegExp(`aten::(mm|add_).*Mine at ${event}`))
      t.false(learn.isRunning)
    }
  }
})

test.serial('what a callback catches itself is nobody else’s', async t => {
  const careful = new Callback({
    async afterBatch() {
      const target = zeros([2])
      target.add_(zeros([3]))
      await failing()
        .data()
        .catch(() => undefined)
      await target.data().catch(() => undefined)
    },
  })
  t.is(await endOf(learner({ cbs: careful }).fit(2)), null)
})

test.serial('a run within a run answers for itself', async t => {
  const inner = learner({ lossFunc: pred => pred })
  let told: TorchLearnerError | null = null
  const outer = learner({
    cbs: new Callback({
      async afterEpoch() {
        told = await endOf(inner.fit(1))
      },
    }),
  })
  t.is(await endOf(outer.fit(1)), null)
  t.like(told, { code: 'ERR_OP_FAILED', origin: { run: 'fit', part: 'the backward pass' } })
  const uncaught = learner({ cbs: new Callback({ name: 'Outer', afterEpoch: () => inner.fit(1) }) })
  t.like(await endOf(uncaught.fit(1)), { code: 'ERR_CALLBACK', cause: { code: 'ERR_OP_FAILED' } })
  t.is(await endOf(learner().lrFind({ numIt: 8 })), null)
})

test.serial('runs that reject or are aborted leave no warnings', async t => {
  const unread: string[] = []
  const stop = onUnreadError(error => unread.push(error.message))
  for (let i = 0; i < 10; i++) {
    t.not(await endOf(learner({}, data({ batchTfms: [new Broken()] })).fit(1)), null)
    t.not(await endOf(learner({ lossFunc: pred => pred }).fit(1)), null)
    const controller = new AbortController()
    const abort = new Callback({
      afterBatch: () => {
        failing()
        controller.abort(new Error('enough'))
      },
    })
    t.not(await endOf(learner({ cbs: abort }).fit(2, { signal: controller.signal })), null)
  }
  await synchronize()
  await turn()
  stop()
  t.deepEqual(unread, [])
})

test.serial('train mode and a batch of one, caught: evaluation is as it was', async t => {
  const learn = learner()
  for (let i = 0; i < 10; i++) {
    learn.model.train()
    t.not(await endOf(learn.model(randn([1, 8])).data()), null)
    learn.model.eval()
    t.is(await endOf(learn.model(randn([1, 8])).data()), null)
  }
})

test.serial('the same in a network with branches', async t => {
  const net = resnet18({ pretrained: false })
  for (let i = 0; i < 2; i++) {
    net.train()
    t.regex((await endOf(net(randn([1, 3, 32, 32])).data()))?.message ?? '', /more than one value per channel/)
    net.eval()
    t.is(await endOf(net(randn([1, 3, 32, 32])).data()), null)
  }
})

test.serial('a callback that never settles: the signal ends the fit, and the Learner is usable', async t => {
  for (const event of ['beforeFit', 'beforeBatch', 'afterBatch', 'afterEpoch', 'afterFit', 'cleanup'] as const) {
    const controller = new AbortController()
    let wake = (): void => undefined
    let late: unknown
    class Hung extends Callback {
      override abortGrace = 20
      async hang() {
        setTimeout(() => controller.abort(new Error('enough')), 10)
        await new Promise<void>(resolve => {
          wake = resolve
        })
        try {
          this.learn.xb = []
        } catch (error) {
          late = error
        }
      }
    }
    Object.defineProperty(Hung.prototype, event, { value: Hung.prototype.hang })
    const learn = learner()
    const error = await endOf(learn.fit(2, { cbs: new Hung(), signal: controller.signal }))
    t.is(error?.code, 'ERR_CALLBACK', event)
    t.regex(error?.message ?? '', new RegExp(`Hung at ${event}`))
    t.like(error?.cause, { message: 'enough' })
    t.false(learn.isRunning)
    const next = learn.fit(1)
    wake()
    t.is(await endOf(next), null, event)
    t.like(late, { code: 'ERR_STATE' })
  }
})
