// Every mixing callback through the same tests: whatever happens in training, the loss is the user's again, batches of the
// loader are as they were, and seeds decide everything.
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
  CrossEntropyLossFlat,
  CutMix,
  EVENTS,
  type EventName,
  FMix,
  MixChoice,
  MixHandler,
  MixUp,
  MSELossFlat,
  manualSeed,
  memoryStats,
  nn,
  ResizeMix,
  synchronize,
  type Tensor,
  tensor,
} from 'torch-learner'
import { tinyLearner, weightsOf } from './helpers/learning.js'
import { noneLeft } from './helpers/memory.js'

/** A subclass of one's own, as fastai's page writes one. */
class Halves extends MixHandler {
  override beforeBatch(): void {
    const { learn } = this
    const perm = Int32Array.from({ length: learn.bs }, (_, i) => learn.bs - 1 - i)
    learn.xb = learn.xb.map(x => x.add(x.indexSelect(0, tensor(perm))).div(2))
    this.mixTargets(perm, tensor([0.5]))
  }
}

const callbacks: Record<string, () => Callback> = {
  MixUp: () => new MixUp(0.4),
  'MixUp by batch, now and then': () => new MixUp({ alpha: 1, mode: 'batch', prob: 0.5, lambdaFold: false }),
  CutMix: () => new CutMix(1),
  'CutMix by pair, smoothed': () => new CutMix({ mode: 'pair', minmax: [0.3, 0.9], labelSmoothing: 0.1 }),
  ResizeMix: () => new ResizeMix(),
  FMix: () => new FMix({ mode: 'elem' }),
  MixChoice: () => new MixChoice([new MixUp(0.8), new CutMix(1), new FMix(1)]),
  'a subclass': () => new Halves(),
}

const signals = [CancelBackward, CancelBatch, CancelEpoch, CancelFit, CancelStep, CancelTrain, CancelValid]
const events = EVENTS.filter(event => event !== 'afterCreate')

/** Throws once, at an event, before or after the other callbacks. */
function throwing(event: EventName, error: () => Error, order: number): Callback {
  let thrown = false
  const act = () => {
    if (thrown) return
    thrown = true
    throw error()
  }
  return new Callback({ name: 'thrower', order, [event]: act })
}

for (const [name, make] of Object.entries(callbacks)) {
  test.serial(`${name}: the loss is right after any exit`, async t => {
    const learn = tinyLearner({ batches: [2, 1] })
    const { lossFunc } = learn
    const before = await Promise.all([...(learn.dls.train as Tensor[][])].flat().map(x => x.data()))
    const errors = [...signals.map(Signal => () => new Signal()), () => new Error('an error of the user')]
    for (const event of events) {
      for (const error of errors) {
        for (const order of [-1000, 1000]) {
          const cbs = [make(), throwing(event, error, order)]
          const outcome = await learn.fit(1, { cbs }).then(
            () => 'done',
            (thrown: Error) => thrown.message,
          )
          t.is(learn.lossFunc, lossFunc, `${event}, ${error().name}: ${outcome}`)
          t.is(lossFunc.reduction, 'mean')
          t.is(learn.mixed, null)
        }
      }
    }
    // and it still trains, mixed and not
    await learn.fit(1, { cbs: make() })
    await learn.fit(1)
    t.true(Number.isFinite(learn.recorder.losses.at(-1)))
    const after = await Promise.all([...(learn.dls.train as Tensor[][])].flat().map(x => x.data()))
    t.deepEqual(after, before)
  })

  test.serial(
    `${name}: the loss is right after an abort, a failing operator, and in validation and predictions`,
    async t => {
      const learn = tinyLearner({ batches: [3, 1] })
      const { lossFunc } = learn
      const aborting = new AbortController()
      const abort = new Callback({ afterLoss: () => aborting.abort(new Error('enough')) })
      await t.throwsAsync(learn.fit(1, { cbs: [make(), abort], signal: aborting.signal }), { message: 'enough' })
      t.is(learn.lossFunc, lossFunc)
      const fail = new Callback({
        afterPred({ learn: it }) {
          it.pred = it.pred?.view([7, 7]) ?? null
        },
      })
      await t.throwsAsync(learn.fit(1, { cbs: [make(), fail] }))
      t.is(learn.lossFunc, lossFunc)
      learn.addCb(make())
      const seen = new Set<boolean>()
      const look = new Callback({
        beforeBatch: cb => void (cb.learn.training || seen.add(cb.learn.lossFunc === lossFunc)),
      })
      await learn.fit(1, { cbs: look })
      await learn.validate({ cbs: look })
      await learn.getPreds({ cbs: look })
      t.deepEqual([...seen], [true])
    },
  )

  test.serial(`${name}: the same seed, the same weights`, async t => {
    const run = async () => {
      const learn = tinyLearner({ batches: [4, 0], cbs: make() })
      await learn.fit(2)
      return weightsOf(learn.model)
    }
    t.deepEqual(await run(), await run())
  })

  test.serial(`${name}: no tensor is left over`, async t => {
    const learn = tinyLearner({ batches: [3, 1], cbs: make() })
    await learn.fit(1)
    await synchronize()
    const before = memoryStats().tensors
    await learn.fit(3)
    await synchronize()
    noneLeft(t, before)
  })

  test.serial(`${name}: one-hot and integer targets, any loss`, async t => {
    for (const lossFunc of [new nn.CrossEntropyLoss(), new CrossEntropyLossFlat()]) {
      const learn = tinyLearner({ lossFunc, cbs: make() })
      await learn.fit(1)
      t.true(Number.isFinite(learn.recorder.losses.at(-1)))
    }
    const learn = tinyLearner({ lossFunc: new MSELossFlat(), cbs: [make(), oneHot()] })
    await learn.fit(1)
    t.true(Number.isFinite(learn.recorder.losses.at(-1)))
  })
}

/** Class numbers as shares of three classes, before anything is mixed. */
function oneHot(): Callback {
  const shares = (y: Tensor) => y.oneHot(3).to({ dtype: 'float32' })
  return new Callback({
    order: -5,
    beforeBatch({ learn }) {
      learn.yb = learn.yb.map(shares)
    },
  })
}

/** What each training batch was mixed with: the mean of lambda, 1 where it wasn't. */
async function lambdas(callback: MixHandler | MixChoice, epochs: number, batches = 4): Promise<number[]> {
  const seen: number[] = []
  const watch = new Callback({
    order: 1,
    runValid: false,
    beforeBatch: async () => void seen.push((await callback.lam?.mean().item()) ?? 1),
  })
  await tinyLearner({ batches: [batches, 0], cbs: [callback, watch] }).fit(epochs)
  return seen
}

test.serial('offEpoch: from then on nothing is mixed', async t => {
  for (const callback of [new MixUp({ offEpoch: 1 }), new FMix({ offEpoch: 1, alpha: 5 })]) {
    const seen = await lambdas(callback, 3)
    t.true(seen.slice(0, 4).every(lam => lam < 1))
    t.deepEqual(seen.slice(4), new Array(8).fill(1))
  }
})

test.serial('alpha over the course of training; 0 mixes nothing', async t => {
  const asked: number[] = []
  const alpha = (pct: number) => {
    asked.push(pct)
    return pct < 0.5 ? 0 : 1
  }
  const seen = await lambdas(new MixUp({ alpha, mode: 'batch' }), 2)
  t.deepEqual(
    asked.map(pct => Math.round(8 * pct)),
    [0, 1, 2, 3, 4, 5, 6, 7],
  )
  t.deepEqual(
    seen.map(lam => lam < 1),
    [false, false, false, false, true, true, true, true],
  )
  await t.throwsAsync(lambdas(new MixUp({ alpha: () => -1 }), 1), { code: 'ERR_CALLBACK', message: /alpha/ })
})

test.serial('lambdaFold: false lets partners outweigh samples', async t => {
  const folded = await lambdas(new MixUp({ alpha: 1, mode: 'batch' }), 10)
  const plain = await lambdas(new MixUp({ alpha: 1, mode: 'batch', lambdaFold: false }), 10)
  t.true(folded.every(lam => lam >= 0.5))
  t.true(plain.some(lam => lam < 0.3))
})

test.serial('prob: some batches stay, with the plain loss', async t => {
  const seen = await lambdas(new MixUp({ alpha: 8, mode: 'batch', prob: 0.5 }), 10)
  const mixed = seen.filter(lam => lam < 1).length
  t.true(mixed > 8 && mixed < 32, String(mixed))
  const run = async (cbs: Callback[]) => {
    const weight = [0.2, 1, 3]
    const learn = tinyLearner({ batches: [4, 0], lossFunc: new CrossEntropyLossFlat({ weight }), cbs })
    await learn.fit(1)
    return weightsOf(learn.model)
  }
  t.deepEqual(await run([new MixUp({ prob: 0 })]), await run([]))
})

test.serial('labelSmoothing: as the loss of the smoothed, mixed targets', async t => {
  const own: number[] = []
  const expected: number[] = []
  const smoothing = 0.2
  for (const prob of [0, 1]) {
    const mixup = new MixUp({ alpha: 1, prob, labelSmoothing: smoothing })
    const watch = new Callback({
      runValid: false,
      async afterLoss({ learn }) {
        const { loss, pred, yb } = learn
        const shares = (y: Tensor) => y.oneHot(3).to({ dtype: 'float32' })
        const y = shares(yb[0] as Tensor)
        const soft = mixup.lam ? shares(mixup.yb1[0] as Tensor).lerp(y, mixup.lam.view([-1, 1])) : y
        const target = soft.mul(1 - smoothing).add(smoothing / 3)
        own.push((await loss?.item()) ?? Number.NaN)
        const logs = (pred as Tensor).detach().logSoftmax(-1)
        expected.push(await target.mul(logs).sum(1).mean().neg().item())
      },
    })
    await tinyLearner({ batches: [2, 0], cbs: [mixup, watch] }).fit(1)
  }
  t.is(own.length, 4)
  for (const [i, loss] of own.entries()) t.true(Math.abs(loss - (expected[i] as number)) < 1e-5)

  const refused = tinyLearner({ lossFunc: new CrossEntropyLossFlat({ labelSmoothing: 0.1 }) })
  const cbs = new MixUp({ labelSmoothing: 0.1 })
  await t.throwsAsync(refused.fit(1, { cbs }), { code: 'ERR_CALLBACK', message: /smooths no labels itself/ })
  t.is(refused.lossFunc.yInt, true)

  const seen: number[][] = []
  const look = new Callback({
    order: 1,
    runValid: false,
    beforeBatch: async cb => void seen.push(await sums(cb.learn.yb)),
  })
  const dense = tinyLearner({ batches: [1, 0], lossFunc: new MSELossFlat() })
  await dense.fit(1, { cbs: [oneHot(), new MixUp({ labelSmoothing: 0.3 }), look] })
  t.true(seen.flat().every(sum => Math.abs(sum - 1) < 1e-5))
})

async function sums(yb: Tensor[]): Promise<number[]> {
  return (await yb[0]?.sum(1).toArray()) as number[]
}

test.serial('MixChoice: by probability, each with its own options', async t => {
  const [mixup, cutmix] = [new MixUp(1), new CutMix(1)]
  const count = async (choice: MixChoice) => {
    const seen: unknown[] = []
    const watch = new Callback({ order: 1, runValid: false, beforeBatch: () => void seen.push(choice.current) })
    await tinyLearner({ batches: [20, 0], cbs: [choice, watch] }).fit(5)
    return seen.filter(current => current === cutmix).length
  }
  const few = await count(new MixChoice([mixup, cutmix], { switchProb: 0.2 }))
  t.true(few > 8 && few < 34, String(few))
  t.is(await count(new MixChoice([mixup, cutmix], { probs: [1, 0] })), 0)
  t.is(await count(new MixChoice([mixup, cutmix], { switchProb: 1 })), 100)
  const code = 'ERR_INVALID_ARG'
  for (const [choices, options] of [
    [[], {}],
    [[mixup, mixup], {}],
    [[mixup], { switchProb: 0.5 }],
    [[mixup, cutmix], { probs: [0.5, 0.6] }],
    [[mixup, cutmix], { probs: [1] }],
    [[mixup, cutmix], { probs: [0.5, 0.5], switchProb: 0.5 }],
    [[new Callback()], {}],
  ]) {
    t.throws(() => Reflect.construct(MixChoice, [choices, options]), { code })
  }
  manualSeed(0)
})

test.serial('two that mix side by side are refused, whatever the targets', async t => {
  const pairs: [string, () => Callback[]][] = [
    ['MixUp and CutMix', () => [new MixUp(1), new CutMix(1)]],
    ['MixUp twice', () => [new MixUp(1), new MixUp(1)]],
    ['MixChoice, MixUp', () => [new MixChoice([new MixUp(1)]), new MixUp(1)]],
    ['MixUp, MixChoice', () => [new MixUp(1), new MixChoice([new CutMix(1), new FMix(1)])]],
  ]
  const expected = { code: 'ERR_CALLBACK', message: /use one of them, or MixChoice/ }
  for (const [name, make] of pairs) {
    for (const dense of [false, true]) {
      const lossFunc = dense ? new MSELossFlat() : new CrossEntropyLossFlat()
      const learn = tinyLearner({ lossFunc, cbs: dense ? oneHot() : [] })
      await t.throwsAsync(learn.fit(1, { cbs: make() }), expected, `${name}, dense ${dense}`)
      t.is(learn.lossFunc, lossFunc)
      await learn.fit(1, { cbs: new MixUp(1) })
      // by hand, without beforeTrain
      await learn.session(async () => {
        learn.training = true
        const both = make()
        learn.addCb(both)
        learn.split((learn.dls.train as Tensor[][])[0] as Tensor[])
        await t.throwsAsync(learn.emit('beforeBatch'), expected)
        learn.removeCb(both)
      })
    }
  }
})

test.serial('one that is taken out in the middle of training leaves the user’s loss', async t => {
  const learn = tinyLearner({ batches: [4, 1] })
  const { lossFunc } = learn
  const mixup = new MixUp(1)
  learn.addCb(mixup)
  const seen: boolean[] = []
  const leave = new Callback({
    afterBatch({ learn: it }) {
      if (!it.training) return
      seen.push(it.lossFunc === lossFunc)
      if (it.iter === 1) it.removeCb(mixup)
    },
  })
  await learn.fit(1, { cbs: leave })
  t.deepEqual(seen, [false, false, true, true])
  await learn.fit(1, { cbs: new CutMix(1) })
  t.is(learn.lossFunc, lossFunc)
})
