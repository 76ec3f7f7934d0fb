// Operators that fail while a run ends, in passes within a pass, and in metrics: who is told, and what the origin says.
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import {
  accuracy,
  Callback,
  CancelFit,
  type ErrorOrigin,
  type Learner,
  Metric,
  mark,
  type nn,
  onUnreadError,
  randn,
  scope,
  synchronize,
  type Tensor,
  type TorchLearnerError,
} from 'torch-learner'
import { endOf, failing, failureLearner, shortly, spoiling, spoilWeights } from './helpers/failures.js'

// One test after the other: they count what nobody has read.

type Fail = (learn: Learner) => unknown
const ways: Record<string, Fail> = {
  'given up': () => void failing(),
  'in place': spoiling,
  'on a parameter': spoilWeights,
  'kept by the callback': learn => Object.assign(learn, { kept: failing().keep() }),
}

class AtEnd extends Callback {
  constructor(
    readonly where: 'cleanup' | 'detach',
    readonly fail: Fail,
  ) {
    super({ name: 'Mine' })
  }
  override cleanup(): void {
    if (this.where === 'cleanup') this.fail(this.learn)
  }
  override detach(learn: Learner): void {
    super.detach(learn)
    if (this.where === 'detach') this.fail(learn)
  }
}

const runs: Record<string, (learn: Learner, cbs: Callback[]) => Promise<unknown>> = {
  fit: (learn, cbs) => learn.fit(1, { cbs }),
  validate: (learn, cbs) => learn.validate({ cbs }),
  getPreds: (learn, cbs) => learn.getPreds({ cbs }),
}

for (const where of ['cleanup', 'detach'] as const) {
  for (const [what, run] of Object.entries(runs)) {
    test.serial(`an operator that fails in ${where} rejects its own ${what}, and no later one`, async t => {
      for (const [name, fail] of Object.entries(ways)) {
        const learn = failureLearner()
        const error = await endOf(run(learn, [new AtEnd(where, fail)]))
        t.is(error?.code, 'ERR_OP_FAILED', name)
        t.deepEqual(error?.origin, { run: what, callback: 'Mine', event: where }, name)
        t.false(learn.isRunning)
        t.is(await endOf(learn.fit(1)), null, name)
        t.is(await endOf(mark()), null, name)
      }
    })
  }
}

test.serial('an operator that fails in cleanup rejects a session, predict and lrFind too', async t => {
  const others: Record<string, [(learn: Learner) => Promise<unknown>, run: string]> = {
    session: [learn => learn.session(() => 0), 'session'],
    predict: [learn => learn.predict(randn([8])), 'getPreds'],
    lrFind: [learn => learn.lrFind({ numIt: 6 }), 'fit'],
  }
  for (const [what, [run, name]] of Object.entries(others)) {
    for (const fail of Object.values(ways)) {
      const learn = failureLearner({ cbs: new AtEnd('cleanup', fail) })
      const error = await endOf(run(learn))
      t.deepEqual(error?.origin, { run: name, callback: 'Mine', event: 'cleanup' } as ErrorOrigin, what)
      learn.removeCb(AtEnd)
      t.is(await endOf(learn.fit(1)), null, what)
    }
  }
})

/** What is told by warnings and to nobody, while `body` runs and shortly after. */
async function told(body: () => Promise<unknown>): Promise<{ warnings: Error[]; unread: TorchLearnerError[] }> {
  const [warnings, unread]: [Error[], TorchLearnerError[]] = [[], []]
  const warn = (warning: Error) => void warnings.push(warning)
  const stop = onUnreadError(error => unread.push(error))
  process.on('warning', warn)
  await body()
  await synchronize()
  await shortly()
  process.off('warning', warn)
  stop()
  return { warnings, unread }
}

test.serial('after an error that ended the run it is reported, once, with its origin', async t => {
  const broken = () =>
    new Callback({
      afterBatch: () => {
        failing()
        throw new Error('of the user')
      },
    })
  for (const where of ['cleanup', 'detach'] as const) {
    for (const [name, fail] of Object.entries(ways)) {
      const learn = failureLearner()
      const { unread, warnings } = await told(async () => {
        const error = await endOf(learn.fit(1, { cbs: [new AtEnd(where, fail), broken()] }))
        t.regex(error?.message ?? '', /of the user/, name)
      })
      t.deepEqual(
        unread.map(({ origin }) => origin),
        [{ run: 'fit', callback: 'Mine', event: where }],
        name,
      )
      t.deepEqual(warnings, [])
      t.is(await endOf(learn.fit(1)), null, name)
    }
  }
  const awaited = new AtEnd('cleanup', () => undefined)
  awaited.cleanup = async () => void (await failing().data())
  const { warnings } = await told(() => endOf(failureLearner().fit(1, { cbs: [awaited, broken()] })))
  t.is(warnings.length, 1)
  t.like(warnings[0], { code: 'ERR_CALLBACK', origin: { run: 'fit', callback: 'Mine', event: 'cleanup' } })
})

test.serial('callbacks added or removed for a while: what fails in attach and detach is told', async t => {
  class Attached extends AtEnd {
    override attach(learn: Learner): void {
      super.attach(learn)
      failing()
    }
  }
  t.deepEqual((await endOf(failureLearner().fit(1, { cbs: new Attached('cleanup', () => undefined) })))?.origin, {
    run: 'fit',
    callback: 'Mine',
    event: 'attach',
  })
  const within = new Callback({
    name: 'Outer',
    afterEpoch: ({ learn }) => learn.addedCbs(new AtEnd('detach', failing), () => undefined),
  })
  t.deepEqual((await endOf(failureLearner({ cbs: within }).fit(1)))?.origin, {
    run: 'fit',
    callback: 'Mine',
    event: 'detach',
    epoch: 0,
  })
})

/** Fails in every batch, each time by an operator of its own. */
class Failing extends Callback {
  override afterPred(): void {
    failing()
  }
}

const passes: Record<string, (learn: Learner) => Promise<unknown>> = {
  'an operator of a callback': learn => learn.getPreds({ inner: true, cbs: Failing }),
  'the loader': learn => {
    const dl = {
      length: 3,
      *[Symbol.iterator]() {
        for (let i = 0; i < 3; i++) yield [failing()]
      },
    }
    return learn.getPreds({ inner: true, dl })
  },
  'what is made of predictions': learn => learn.getPreds({ inner: true, act: pred => pred.mm(pred) }),
  'an error of a callback': learn =>
    learn.getPreds({
      inner: true,
      cbs: new Callback({
        afterBatch: ({ learn }) => {
          failing()
          if (learn.iter === 1) throw new Error('of the user')
        },
      }),
    }),
  'cancelled from within': learn =>
    learn.getPreds({
      inner: true,
      cbs: new Callback({
        afterBatch: () => {
          failing()
          throw new CancelFit()
        },
      }),
    }),
}

for (const [name, pass] of Object.entries(passes)) {
  test.serial(`an inner pass that rejects and is caught stays caught: ${name}`, async t => {
    const caught: unknown[] = []
    const attempt = async (learn: Learner) => void caught.push(await endOf(pass(learn)))
    const { unread, warnings } = await told(async () => {
      for (const event of ['beforeTrain', 'afterBatch', 'afterEpoch', 'afterFit'] as const) {
        const tries = new Callback({ runValid: false, [event]: ({ learn }: Callback) => attempt(learn) })
        const learn = failureLearner({ cbs: tries })
        t.is(await endOf(learn.fit(2)), null, event)
        t.is(learn.recorder.values.length, 2)
      }
      t.is(await endOf(failureLearner().session(learn => attempt(learn))), null, 'session')
    })
    t.false(caught.includes(null))
    t.deepEqual([unread, warnings], [[], []])
  })
}

test.serial('an inner pass that is not caught says where; the outer one keeps its own failures', async t => {
  const uncaught = new Callback({
    name: 'Outer',
    afterEpoch: async ({ learn }) => void (await learn.getPreds({ inner: true, cbs: Failing })),
  })
  const error = await endOf(failureLearner({ cbs: uncaught }).fit(1))
  t.like(error, { code: 'ERR_CALLBACK', operator: 'aten::mm', cause: { code: 'ERR_OP_FAILED' } })
  t.like(error?.origin, { run: 'fit', callback: 'Failing', event: 'afterPred', validation: true })
  const careful = new Callback({
    name: 'Careful',
    afterEpoch: async ({ learn }) => {
      failing()
      t.is(await endOf(learn.getPreds({ inner: true })), null)
    },
  })
  t.like((await endOf(failureLearner({ cbs: careful }).fit(1)))?.origin, { callback: 'Careful', event: 'afterEpoch' })
})

test.serial('an inner pass that its own signal ends is not an abort of the fit', async t => {
  const seen: unknown[] = []
  const learn = failureLearner({
    cbs: new Callback({
      async afterEpoch({ learn }) {
        const controller = new AbortController()
        const stop = new Callback({ afterBatch: () => controller.abort(new Error('enough')) })
        seen.push((await endOf(learn.getPreds({ inner: true, cbs: stop, signal: controller.signal })))?.message)
        seen.push(learn.fitting)
      },
    }),
  })
  t.is(await endOf(learn.fit(1)), null)
  t.deepEqual(seen, ['enough', 'yes'])
})

test.serial('the error of a callback carries operator and origin, also when it is no operator’s', async t => {
  const mine = (afterBatch: () => unknown) =>
    failureLearner({ cbs: new Callback({ name: 'Mine', afterBatch: async () => void (await afterBatch()) }) })
  const place = { run: 'fit', callback: 'Mine', event: 'afterBatch', epoch: 0, batch: 0 }
  const awaited = await endOf(mine(() => failing().data()).fit(1))
  t.like(awaited, { code: 'ERR_CALLBACK', operator: 'aten::mm' })
  t.deepEqual(awaited?.origin, place)
  const thrown = await endOf(mine(() => Promise.reject(new Error('of the user'))).fit(1))
  t.is(thrown?.operator, undefined)
  t.deepEqual(thrown?.origin, place)
})

test.serial('a named scope in a callback adds a part to the place', async t => {
  const place = { run: 'fit', callback: 'Mine', event: 'afterBatch', epoch: 0, batch: 0 }
  const nested = {
    'scope here': () => scope(() => void failing(), { name: 'scope here' }),
    'inner in outer': () => scope(() => scope(() => void failing(), { name: 'inner' }), { name: 'outer' }),
  }
  for (const [part, afterBatch] of Object.entries(nested)) {
    const error = await endOf(failureLearner({ cbs: new Callback({ name: 'Mine', afterBatch }) }).fit(1))
    t.deepEqual(error?.origin, { ...place, part })
    t.regex(error?.message ?? '', new RegExp(`, in ${part}, Mine at afterBatch, batch 0 of epoch 0 \\(fit\\)$`))
  }
  const lossFunc = (pred: Tensor) => scope(() => pred.mm(failing()).sum(), { name: 'mine' })
  const error = await endOf(failureLearner({ lossFunc }).fit(1))
  t.deepEqual(error?.origin, { run: 'fit', part: 'mine in the loss', epoch: 0, batch: 0 })
})

test.serial('metrics that fail are named', async t => {
  class Counted extends Metric {
    readonly name = 'counted'
    override reset = () => undefined
    override accumulate = () => undefined
    override async value(): Promise<number> {
      return await failing().sum().item()
    }
  }
  const throwing = (): number => {
    throw new Error('of the user')
  }
  const cases = {
    spoilt: (pred: Tensor) => pred.mm(pred).mean(),
    throwing,
    counted: Counted,
    wrong: () => 'much' as unknown as number,
  }
  for (const [name, metric] of Object.entries(cases)) {
    const learn = failureLearner({ metrics: [accuracy, metric] })
    const error = await endOf(learn.fit(1))
    t.like(error?.origin, { run: 'fit', part: `the metric ${name}`, callback: 'Recorder' }, name)
    t.regex(error?.message ?? '', new RegExp(`the metric ${name}, Recorder at after(Batch|Validate|Epoch)`), name)
    learn.metrics = accuracy
    t.is(await endOf(learn.fit(1)), null, name)
  }
})

test.serial('a session that await using closes answers for its events and batches, too', async t => {
  const learn = failureLearner({ cbs: new Callback({ name: 'Mine', beforeTrain: () => void failing() }) })
  const session = await learn.session()
  await learn.emit('beforeTrain')
  const error = await endOf(Promise.resolve(session[Symbol.asyncDispose]()))
  t.like(error?.origin, { run: 'session', callback: 'Mine', event: 'beforeTrain' })
  t.is(await endOf(learn.session(() => 0)), null)
})

test.serial('what a callback hands over is its own; making the optimizer is a place, too', async t => {
  const sink = () => {
    throw new Error('of the user')
  }
  const observing = new Callback({
    name: 'Mine',
    afterBatch: ({ learn }) => void (learn.loss && learn.observe(learn.loss.mean(), sink)),
  })
  const error = await endOf(failureLearner({ cbs: observing }).fit(1))
  t.like(error, { code: 'ERR_CALLBACK', message: 'Error in Mine at afterBatch: of the user' })
  t.deepEqual(error?.origin, { run: 'fit', callback: 'Mine', event: 'afterBatch', epoch: 0, batch: 0 })
  const splitter = (model: nn.Module) => {
    failing()
    return [model.parameters()]
  }
  t.deepEqual((await endOf(failureLearner({ splitter }).fit(1)))?.origin, { run: 'fit', part: 'the optimizer' })
})

test.serial('files of predictions that fail after the pass hide neither its error nor their own', async t => {
  const savePreds = join(await mkdtemp(join(tmpdir(), 'preds-')), 'preds')
  const { warnings, unread } = await told(async () => {
    const learn = failureLearner()
    const bad = [[randn([4, 5]), randn([4])]]
    const error = await endOf(learn.getPreds({ dl: bad, savePreds }))
    t.like(error, { code: 'ERR_OP_FAILED', operator: 'aten::linear' })
  })
  t.deepEqual([warnings, unread], [[], []])
  await writeFile(join(savePreds, '..', 'file'), '')
  const nowhere = join(savePreds, '..', 'file', 'preds')
  const throwing = new Callback({
    order: 10,
    afterBatch: () => {
      throw new Error('of the user')
    },
  })
  const both = await told(async () => {
    const error = await endOf(failureLearner().getPreds({ savePreds: nowhere, cbs: throwing }))
    t.regex(error?.message ?? '', /of the user/)
  })
  t.deepEqual(
    both.warnings.map(({ message }) => /^After the error that ended a run: .*preds/.test(message)),
    [true],
  )
})
