// Aborts, errors and cancels at every event, NaN, concurrency, memory: whatever happens, the Learner stays usable.
import test, { type ExecutionContext } from 'ava'
import {
  Adam,
  Callback,
  CancelBackward,
  CancelBatch,
  CancelEpoch,
  CancelFit,
  CancelSignal,
  CancelStep,
  CancelTrain,
  CancelValid,
  CrossEntropyLossFlat,
  EVENTS,
  type EventName,
  Learner,
  type Loss,
  MixUp,
  memoryStats,
  nn,
  synchronize,
  type Tensor,
  TorchLearnerError,
  tensor,
} from 'torch-learner'
import { tinyBatches, tinyLearner, tinyModel, weightsOf } from './helpers/learning.js'
import { noneLeft } from './helpers/memory.js'

// an AbortSignal's reason is a DOMException, which ava takes for anything but an error
const aborted = { any: true, name: 'AbortError' } as const

const inLoop = EVENTS.filter(event => event !== 'afterCreate')

/** Throws once at `event`. A cancelled event is first provoked by its signal. */
function failing(event: EventName, make: () => unknown): Callback {
  const provoke: Partial<Record<EventName, [EventName, new () => CancelSignal]>> = {
    afterCancelBackward: ['beforeBackward', CancelBackward],
    afterCancelStep: ['beforeStep', CancelStep],
    afterCancelBatch: ['beforeBatch', CancelBatch],
    afterCancelTrain: ['beforeTrain', CancelTrain],
    afterCancelValidate: ['beforeValidate', CancelValid],
    afterCancelEpoch: ['beforeEpoch', CancelEpoch],
    afterCancelFit: ['beforeFit', CancelFit],
  }
  let fired = false
  const handlers: Partial<Record<EventName, () => void>> = {
    [event]: () => {
      if (fired) return
      fired = true
      throw make()
    },
  }
  const [before, Signal] = provoke[event] ?? []
  if (before && Signal) {
    handlers[before] = () => {
      if (!fired) throw new Signal()
    }
  }
  return new Callback({ name: 'failing', order: 1, ...handlers })
}

async function staysUsable(t: ExecutionContext, learn: Learner, original: Loss, mixup: MixUp): Promise<void> {
  t.is(learn.lossFunc, original, 'loss function restored')
  t.false(mixup.stackY)
  t.is(learn.callback('failing'), undefined, 'callbacks of the fit removed')
  t.false(learn.isRunning)
  t.deepEqual(
    [learn.xb, learn.yb, learn.pred, learn.loss, learn.lossGrad, learn.mixed],
    [[], [], null, null, null, null],
  )
  t.is(learn.training, learn.model.training)
  await learn.fit(1)
  t.is(learn.recorder.values.length, 1)
  t.true(weightsOf(learn.model).every(Number.isFinite))
}

for (const event of inLoop) {
  test(`an error at ${event}`, async t => {
    const mixup = new MixUp(0.4)
    const learn = tinyLearner({ cbs: mixup })
    learn.model.train(false)
    const original = learn.lossFunc
    const error = await t.throwsAsync(learn.fit(2, { cbs: failing(event, () => new Error('of the user')) }))
    t.true(error instanceof TorchLearnerError && error.code === 'ERR_CALLBACK')
    t.regex(error?.message ?? '', new RegExp(`failing at ${event}: of the user`))
    await staysUsable(t, learn, original, mixup)
  })

  for (const Signal of [CancelBatch, CancelTrain, CancelValid, CancelEpoch, CancelFit]) {
    test(`${Signal.name} at ${event}`, async t => {
      const mixup = new MixUp(0.4)
      const learn = tinyLearner({ cbs: mixup })
      learn.model.train(false)
      const original = learn.lossFunc
      try {
        await learn.fit(2, { cbs: failing(event, () => new Signal()) })
      } catch (error) {
        t.true(error instanceof CancelSignal, 'signals come out as they are')
      }
      await staysUsable(t, learn, original, mixup)
    })
  }
}

test('an abort stops the fit within one batch, with events, and rejects with its reason', async t => {
  const controller = new AbortController()
  const mixup = new MixUp(0.4)
  const seen: string[] = []
  const stop = new Callback({
    name: 'failing',
    afterBatch: cb => {
      if (cb.learn.trainIter === 3) controller.abort()
    },
    afterCancelFit: () => void seen.push('afterCancelFit'),
    afterFit: () => void seen.push('afterFit'),
  })
  const learn = tinyLearner({ batches: [50, 1], cbs: mixup })
  const original = learn.lossFunc
  await t.throwsAsync(learn.fit(5, { cbs: stop, signal: controller.signal }), aborted)
  t.is(learn.trainIter, 3)
  t.deepEqual(seen, ['afterCancelFit', 'afterFit'])
  await staysUsable(t, learn, original, mixup)
})

test('an abort ends the wait for a loader that hangs; one before the fit lets nothing run', async t => {
  const hanging = {
    length: 2,
    async *[Symbol.asyncIterator](): AsyncGenerator<Tensor[]> {
      yield tinyBatches(1)[0] ?? []
      await new Promise(() => undefined)
    },
  }
  const learn = new Learner({ train: hanging }, tinyModel(), {
    lossFunc: new CrossEntropyLossFlat(),
    defaultCbs: false,
  })
  await t.throwsAsync(learn.fit(1, { signal: AbortSignal.timeout(30) }), { ...aborted, name: 'TimeoutError' })
  await t.throwsAsync(learn.fit(1, { signal: AbortSignal.abort() }), aborted)
  t.false(learn.isRunning)
})

test('an abort during validation', async t => {
  const controller = new AbortController()
  const learn = tinyLearner({ batches: [1, 9] })
  const stop = new Callback({ beforeValidate: () => controller.abort() })
  await t.throwsAsync(learn.validate({ cbs: stop, signal: controller.signal }), aborted)
  t.false(learn.isRunning)
  await learn.fit(1)
})

test('an error on the native stream surfaces within a few batches, with the operator named', async t => {
  const bad = tinyBatches(20)
  bad[2] = [tensor([[1, 2]]), tensor([1])] // (1, 2) doesn't fit Linear(18, 3)
  const seen: number[] = []
  const learn = new Learner({ train: bad, valid: [] }, tinyModel(), {
    lossFunc: new CrossEntropyLossFlat(),
    cbs: new Callback({ afterBatch: cb => void seen.push(cb.learn.iter ?? -1) }),
  })
  await learn.removedCbs(learn.callback('progress') ?? [], async () => {
    const error = await t.throwsAsync(learn.fit(1))
    t.regex(error?.message ?? '', /linear|addmm|mat1/)
    t.true((seen.at(-1) ?? 99) <= 5, `batches until then: ${seen.length}`)
  })
  bad[2] = bad[3] ?? []
  learn.removeCb(learn.callback('progress') ?? [])
  learn.logger = () => undefined
  await t.notThrowsAsync(learn.fit(1))
})

test('a NaN loss is warned of once, recorded, and ends nothing by itself', async t => {
  const warnings: Error[] = []
  const listen = (warning: Error) => void warnings.push(warning)
  process.on('warning', listen)
  const learn = tinyLearner({
    batches: [5, 1],
    cbs: new Callback({
      beforeBatch({ learn: it }) {
        if (it.trainIter === 2) it.xb = it.xb.map(x => x.mul(Number.NaN))
      },
    }),
  })
  await learn.fit(2)
  await new Promise(resolve => setImmediate(resolve))
  process.off('warning', listen)
  t.true(learn.recorder.losses.some(Number.isNaN))
  t.true(Number.isNaN(learn.recorder.values.at(-1)?.[0]))
  const ours = warnings.filter(warning => 'code' in warning && warning.code === 'ERR_NAN_LOSS')
  t.is(ours.length, 1)
  t.regex(ours[0]?.message ?? '', /smaller learning rate/)
})

test('one Learner runs one thing at a time', async t => {
  const learn = tinyLearner()
  const first = learn.fit(1)
  await t.throwsAsync(learn.fit(1), { code: 'ERR_STATE' })
  await t.throwsAsync(learn.validate(), { code: 'ERR_STATE' })
  await first
  await learn.validate()
})

test('two Learners train side by side as they would one after the other', async t => {
  const make = (seed: number) => {
    const learn = tinyLearner({ batches: [6, 2] })
    const scale = new Callback({
      beforeBatch: async cb => {
        await new Promise(resolve => setTimeout(resolve, seed))
        cb.learn.xb = cb.learn.xb.map(x => x.mul(seed))
      },
    })
    return learn.addCb(scale)
  }
  const alone = [make(1), make(2)]
  for (const learn of alone) await learn.fit(2)
  const together = [make(1), make(2)]
  await Promise.all(together.map(learn => learn.fit(2)))
  t.deepEqual(
    together.map(learn => learn.recorder.values),
    alone.map(learn => learn.recorder.values),
  )
  t.deepEqual(
    together.map(learn => weightsOf(learn.model)),
    alone.map(learn => weightsOf(learn.model)),
  )
})

test('a session sends its events around the body, and puts back what callbacks changed', async t => {
  const seen: string[] = []
  const note = Object.fromEntries(inLoop.map(event => [event, () => void seen.push(event)]))
  const mixup = new MixUp(1)
  const learn = tinyLearner({ cbs: [mixup, new Callback(note)] })
  const original = learn.lossFunc
  const [batch = []] = learn.dls.train as Tensor[][]
  const answer = await learn.session(async it => {
    it.epoch = 0
    it.training = true
    it.split(batch)
    await it.emit('beforeTrain')
    await it.emit('beforeBatch')
    t.deepEqual(mixup.x.shape, [4, 2, 3, 3])
    t.not(mixup.x, batch[0])
    t.is(mixup.y, batch[1])
    t.not(it.lossFunc, original)
    return 42
  })
  t.is(answer, 42)
  t.is(learn.lossFunc, original)
  t.deepEqual(seen, ['beforeFit', 'beforeEpoch', 'beforeTrain', 'beforeBatch', 'afterEpoch', 'afterFit'])
  await t.throwsAsync(
    learn.session(() => Promise.reject(new Error('body'))),
    { message: 'body' },
  )
  t.false(learn.isRunning)
})

test('await using a session', async t => {
  const seen: string[] = []
  const note = Object.fromEntries(inLoop.map(event => [event, () => void seen.push(event)]))
  const learn = tinyLearner({ cbs: new Callback(note) })
  {
    await using _session = await learn.session()
    t.true(learn.isRunning)
    seen.push('body')
  }
  t.false(learn.isRunning)
  t.deepEqual(seen, ['beforeFit', 'beforeEpoch', 'body', 'afterEpoch', 'afterFit'])
})

test.serial('no tensor is left over after a fit', async t => {
  const learn = tinyLearner({
    batches: [10, 2],
    cbs: new MixUp(0.4),
    optFunc: (groups, { lr }) => new Adam(groups, { lr }),
  })
  const model = new nn.Sequential(new nn.Flatten(), new nn.Linear(18, 3), new nn.Dropout(0.5))
  const dropping = new Learner(learn.dls, model, { lossFunc: learn.lossFunc, defaultCbs: false })
  await learn.fit(1)
  await dropping.fit(1)
  await synchronize()
  const before = memoryStats().tensors
  await learn.fit(3)
  await dropping.fit(3)
  await synchronize()
  noneLeft(t, before)
})

test('batches made for the Learner are freed after use, stored ones are not', async t => {
  const made: Tensor[] = []
  const fresh = {
    length: 3,
    fresh: true,
    *[Symbol.iterator]() {
      for (const batch of tinyBatches(3)) {
        made.push(...batch)
        yield batch
      }
    },
  }
  const stored = tinyBatches(2)
  const learn = new Learner({ train: fresh, valid: stored }, tinyModel(), {
    lossFunc: new CrossEntropyLossFlat(),
    defaultCbs: false,
  })
  await learn.fit(1)
  t.is(made.length, 6)
  t.true(made.every(tensor => tensor.isDisposed))
  t.false(stored.flat().some(tensor => tensor.isDisposed))
})

test('convolutional models are laid out channels-last unless told otherwise', async t => {
  const make = () => new nn.Sequential(new nn.Conv2d(3, 4, 3), new nn.AdaptiveAvgPool2d(1), new nn.Flatten())
  const options = { lossFunc: new CrossEntropyLossFlat() }
  const layout = (model: nn.Module) => model.parameters()[0]?.memoryFormat
  t.is(layout(new Learner({ train: [] }, make(), options).model), 'channels_last')
  t.is(layout(new Learner({ train: [] }, make(), { ...options, channelsLast: false }).model), 'contiguous')
})

test('freezing', async t => {
  const model = new nn.Sequential(new nn.Flatten(), new nn.BatchNorm1d(18), new nn.Linear(18, 18), new nn.Linear(18, 3))
  const splitter = () => [
    model
      .children()
      .slice(0, 3)
      .flatMap(layer => layer.parameters()),
    model.at(3)?.parameters() ?? [],
  ]
  const learn = new Learner({ train: tinyBatches(2) }, model, {
    lossFunc: new CrossEntropyLossFlat(),
    splitter,
    defaultCbs: false,
  })
  const trainable = () => [...model.namedParameters()].filter(([, p]) => p.requiresGrad).map(([name]) => name)
  learn.freeze()
  t.deepEqual(trainable(), ['1.weight', '1.bias', '3.weight', '3.bias'])
  learn.unfreeze()
  t.is(trainable().length, 6)
  learn.freezeTo(5)
  t.deepEqual(trainable(), ['1.weight', '1.bias'])
  t.throws(() => learn.freezeTo(0.5), { code: 'ERR_INVALID_ARG' })
})
