// MixUp as a callback: batches, losses and gradients as recorded, and what the reference gets wrong.
import test, { type ExecutionContext } from 'ava'
import {
  BCEWithLogitsLossFlat,
  Callback,
  CrossEntropyLossFlat,
  FocalLossFlat,
  hostRandom,
  L1LossFlat,
  LabelSmoothingCrossEntropyFlat,
  Learner,
  type Loss,
  MixHandler,
  MixUp,
  MSELossFlat,
  manualSeed,
  nn,
  randn,
  type Tensor,
  tensor,
} from 'torch-learner'
import { assertClose, assertNumbers, type Fixture, golden, numbersOf, toTensor } from './helpers/golden.js'
import { tinyLearner, tinyModel } from './helpers/learning.js'

interface Case {
  name: string
  alpha: number | null
  loss: { name: string; kwargs?: { reduction?: 'mean' | 'sum' | 'none' } }
  n_inp: number
  xb: Fixture[]
  yb: Fixture[]
  stack_y: boolean
  beta_sample: Fixture
  perm: Fixture
  lam: Fixture
  yb1: Fixture[]
  xb_out: Fixture[]
  yb_out: Fixture[]
  pred: Fixture
  loss_out: Fixture
  grad_pred: Fixture
  loss_not_training: Fixture
}

const recording = golden<{ cases: Case[]; reference_errors: Case[] }>('mixup_batches')

const losses: Record<string, (options?: object) => Loss> = {
  CrossEntropyLossFlat: options => new CrossEntropyLossFlat(options),
  LabelSmoothingCrossEntropyFlat: options => new LabelSmoothingCrossEntropyFlat(options),
  FocalLossFlat: options => new FocalLossFlat(options),
  BCEWithLogitsLossFlat: options => new BCEWithLogitsLossFlat(options),
  MSELossFlat: options => new MSELossFlat(options),
  L1LossFlat: options => new L1LossFlat(options),
  'nn.CrossEntropyLoss': options => new nn.CrossEntropyLoss(options),
}

function fixedRandom(beta: number[], perm: number[]) {
  return { beta: () => Float32Array.from(beta), permutation: () => Int32Array.from(perm), integer: () => 0 }
}

function learnerFor(lossFunc: Loss, mixup: MixUp, nInp?: number): Learner {
  const learn = new Learner({ train: [], nInp }, tinyModel(), { lossFunc, defaultCbs: false, cbs: mixup })
  learn.training = true
  return learn
}

async function allClose(t: ExecutionContext, actual: Tensor[], expected: Fixture[], label: string): Promise<void> {
  t.is(actual.length, expected.length, label)
  for (const [i, tensor] of actual.entries()) await assertClose(t, tensor, expected[i] as Fixture, {}, label)
}

for (const recorded of recording.cases) {
  test(recorded.name, async t => {
    const lossFunc = (losses[recorded.loss.name] as (typeof losses)[string])(recorded.loss.kwargs)
    const random = fixedRandom(numbersOf(recorded.beta_sample), numbersOf(recorded.perm))
    const mixup = new MixUp({ alpha: recorded.alpha ?? undefined, random })
    const learn = learnerFor(lossFunc, mixup, recorded.n_inp)
    const batch = [...recorded.xb, ...recorded.yb].map(toTensor)
    await learn.session(async () => {
      learn.split(batch)
      await learn.emit('beforeTrain')
      await learn.emit('beforeBatch')
      t.is(mixup.stackY, recorded.stack_y)
      t.is(learn.lossFunc !== lossFunc, recorded.stack_y)
      await assertClose(t, mixup.lam as Tensor, recorded.lam)
      await allClose(t, learn.xb, recorded.xb_out, 'xb')
      await allClose(t, learn.yb, recorded.yb_out, 'yb')
      await allClose(t, mixup.yb1, recorded.yb1, 'yb1')
      await allClose(t, batch, [...recorded.xb, ...recorded.yb], 'the loader’s batch')

      const pred = toTensor(recorded.pred).requiresGrad_(true)
      const loss = learn.lossFunc(pred, ...learn.yb)
      await assertClose(t, loss, recorded.loss_out, {}, 'loss')
      loss.sum().backward()
      await assertClose(t, pred.grad as Tensor, recorded.grad_pred, {}, 'gradient')
      learn.training = false
      await assertClose(
        t,
        learn.lossFunc(pred, ...batch.slice(recorded.n_inp)),
        recorded.loss_not_training,
        {},
        'loss outside of training',
      )
    })
    t.is(learn.lossFunc, lossFunc)
    t.is(lossFunc.reduction, recorded.loss.kwargs?.reduction ?? 'mean')
  })
}

/** One mixed training batch by hand. */
async function mixOnce(learn: Learner, batch: Tensor[], check: () => Promise<void> | void): Promise<void> {
  await learn.session(async () => {
    learn.training = true
    learn.split(batch)
    await learn.emit(['beforeTrain', 'beforeBatch'])
    await check()
  })
}

const classes = (labels: number[]) => tensor(labels, { dtype: 'int64' })
const half = fixedRandom([0.75, 0.25], [1, 0])

test('a batch of one is its own partner', async t => {
  const mixup = new MixUp(0.4)
  const x = randn([1, 3, 4, 4])
  await mixOnce(learnerFor(new CrossEntropyLossFlat(), mixup), [x, classes([2])], async () => {
    assertNumbers(t, (await mixup.x.data()) as Float32Array, x.dataSync() as Float32Array)
  })
})

test('integer targets with a loss that says nothing of itself: losses are mixed', async t => {
  const mixup = new MixUp({ random: half })
  const lossFunc = new nn.CrossEntropyLoss()
  const [x, y] = [randn([2, 3]), classes([0, 2])]
  const learn = learnerFor(lossFunc, mixup)
  await mixOnce(learn, [x, y], async () => {
    t.true(mixup.stackY)
    const pred = randn([2, 3])
    const expected = (await lossFunc(pred, y).item()) * 0.75 + (await lossFunc(pred, classes([2, 0])).item()) * 0.25
    assertNumbers(t, [await learn.lossFunc(pred, y).item()], [expected], { rtol: 1e-5 })
  })
  t.is(learn.lossFunc, lossFunc)
})

test('several inputs and targets: each is mixed, integers among the inputs stay', async t => {
  const mixup = new MixUp({ random: half })
  const [a, b, ids, y, z] = [
    tensor([[1], [3]]),
    tensor([[0], [8]]),
    classes([7, 9]),
    tensor([0, 4]),
    tensor([[2], [6]]),
  ]
  const learn = learnerFor((pred, y1, y2) => pred.sub(y1).add(y2).mean(), mixup, 3)
  const floats = [y, z].map(part => part.to({ dtype: 'float32' }))
  await mixOnce(learn, [...[a, b].map(part => part.to({ dtype: 'float32' })), ids, ...floats], async () => {
    const values = async (part: Tensor | undefined) => (await part?.flatten().toArray()) ?? null
    t.deepEqual(await values(learn.xb[0]), [1.5, 2.5])
    t.deepEqual(await values(learn.xb[1]), [2, 6])
    t.is(learn.xb[2], ids)
    t.deepEqual(await values(learn.yb[0]), [1, 3])
    t.deepEqual(await values(learn.yb[1]), [3, 5])
  })
})

for (const dtype of ['float64', 'float16', 'bfloat16'] as const) {
  test(`inputs of ${dtype} stay so`, async t => {
    const mixup = new MixUp({ random: half })
    const x = tensor([[1], [3]], { dtype })
    await mixOnce(learnerFor(new CrossEntropyLossFlat(), mixup), [x, classes([0, 1])], async () => {
      t.is(mixup.x.dtype, dtype)
      t.deepEqual(await mixup.x.flatten().toArray(), [1.5, 2.5])
    })
  })
}

test('integer pictures are refused with a sentence', async t => {
  const mixup = new MixUp({ random: half })
  const learn = learnerFor(new CrossEntropyLossFlat(), mixup)
  await mixOnce(learn, [tensor([[1], [3]], { dtype: 'uint8' }), classes([0, 1])], async () => {
    await t.throwsAsync(mixup.x.data(), { message: /mixup.*float|float.*mixup/is })
  })
})

test('alpha must be a finite number above 0; 1 and 1.0 are alike', t => {
  for (const alpha of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, '0.4', null]) {
    t.throws(() => new MixUp(alpha as number), { code: 'ERR_INVALID_ARG' })
  }
  t.throws(() => new MixUp({ alhpa: 1 } as object), { code: 'ERR_INVALID_ARG' })
  t.throws(() => new MixUp({ random: 3 } as object), { code: 'ERR_INVALID_ARG' })
  t.is(new MixUp().alpha, 0.4)
  t.is(new MixUp(1).alpha, 1)
})

test.serial('by default a seed gives the numbers of libtorch’s generator: weights first, then partners', async t => {
  const mixup = new MixUp(0.4)
  const learn = learnerFor(new CrossEntropyLossFlat(), mixup)
  const batch = [randn([6, 2]), classes([0, 1, 2, 0, 1, 2])]
  manualSeed(42)
  const b = hostRandom.beta(0.4, 6)
  const perm = hostRandom.permutation(6)
  manualSeed(42)
  await mixOnce(learn, batch, async () => {
    const lam = (await mixup.lam?.data()) as Float32Array
    assertNumbers(
      t,
      lam,
      b.map(value => Math.max(value, 1 - value)),
      { atol: 0, rtol: 0 },
    )
    t.deepEqual(
      await mixup.yb1[0]?.toArray(),
      Array.from(perm, i => i % 3),
    )
  })
})

test('two callbacks that mix are told apart', async t => {
  const learn = tinyLearner({ cbs: [new MixUp(0.4), new MixUp(0.4)] })
  await t.throwsAsync(learn.fit(1), { code: 'ERR_CALLBACK', message: /use one of them/ })
  learn.removeCb(MixUp).addCb(new MixUp(0.4))
  await learn.fit(1)
})

test('outside of a batch there is nothing to see, and it says so', t => {
  const mixup = new MixUp(0.4)
  t.throws(() => mixup.x, { code: 'ERR_STATE' })
  tinyLearner({ cbs: mixup })
  t.throws(() => mixup.x, { code: 'ERR_STATE', message: /no input at hand/ })
})

test('a mixing callback of your own', async t => {
  class Halves extends MixHandler {
    override beforeBatch(): void {
      const { learn } = this
      const n = learn.bs
      const perm = tensor(Int32Array.from({ length: n }, (_, i) => n - 1 - i))
      learn.xb = learn.xb.map(x => x.add(x.indexSelect(0, perm)).div(2))
      this.mixTargets(perm, tensor([0.5]))
    }
  }
  const weights: number[] = []
  const halves = new Halves()
  const watch = new Callback({ afterLoss: async () => void weights.push((await halves.lam?.item()) ?? Number.NaN) })
  const learn = tinyLearner({ batches: [2, 0], cbs: [halves, watch] })
  await learn.fit(1)
  t.is(halves.alpha, 0.5)
  t.deepEqual(weights, [0.5, 0.5])
})

test('inference during training uses the loss’s own activation', async t => {
  const sums: number[] = []
  const look = new Callback({
    order: 1,
    async afterPred({ learn }) {
      const pred = learn.pred?.detach()
      sums.push((await (pred && learn.lossFunc.activation?.(pred))?.sum().item()) ?? Number.NaN)
    },
  })
  await tinyLearner({ batches: [1, 0], cbs: [new MixUp(0.4), look] }).fit(1)
  assertNumbers(t, sums, [4])
})
