// CutMix as a callback: batches, losses and gradients as recorded, and what the reference gets wrong.
import test, { type ExecutionContext } from 'ava'
import {
  BCEWithLogitsLossFlat,
  type Box,
  Callback,
  CrossEntropyLossFlat,
  CutMix,
  cutmix,
  DataLoader,
  DataLoaders,
  LabelSmoothingCrossEntropyFlat,
  Learner,
  type Loss,
  MSELossFlat,
  nn,
  randint,
  randn,
  type Tensor,
  TensorDataset,
  tensor,
} from 'torch-learner'
import { assertClose, assertNumbers, type Fixture, golden, numbersOf, toTensor } from './helpers/golden.js'
import { tinyModel } from './helpers/learning.js'

interface Case {
  name: string
  alpha: number | null
  loss: { name: string; kwargs?: { reduction?: 'mean' | 'sum' | 'none'; axis?: number } }
  xb: Fixture[]
  yb: Fixture[]
  stack_y: boolean
  beta_sample: Fixture
  perm: Fixture
  cx: number
  cy: number
  lam: Fixture
  yb1: Fixture[]
  xb_out: Fixture[]
  yb_out: Fixture[]
  pred: Fixture
  loss_out: Fixture
  grad_pred: Fixture
  loss_not_training: Fixture
}

const losses: Record<string, (options?: object) => Loss> = {
  CrossEntropyLossFlat: options => new CrossEntropyLossFlat(options),
  LabelSmoothingCrossEntropyFlat: options => new LabelSmoothingCrossEntropyFlat(options),
  BCEWithLogitsLossFlat: options => new BCEWithLogitsLossFlat(options),
  MSELossFlat: options => new MSELossFlat(options),
}

function fixedRandom(beta: number[], perm: number[], integers: number[]) {
  const left = [...integers]
  return {
    beta: () => Float32Array.from(beta),
    permutation: () => Int32Array.from(perm),
    integer: () => left.shift() ?? 0,
  }
}

function learnerFor(lossFunc: Loss, callback: Callback, nInp?: number): Learner {
  return new Learner({ train: [], nInp }, tinyModel(), { lossFunc, defaultCbs: false, cbs: callback })
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

async function allClose(t: ExecutionContext, actual: Tensor[], expected: Fixture[], label: string): Promise<void> {
  t.is(actual.length, expected.length, label)
  for (const [i, part] of actual.entries()) await assertClose(t, part, expected[i] as Fixture, {}, label)
}

async function assertEqual(t: ExecutionContext, actual: Tensor | undefined, expected: Tensor): Promise<void> {
  t.deepEqual(await actual?.data(), await expected.data())
}

const recording = golden<{ cases: Case[]; reference_errors: Case[] }>('cutmix_batches')

for (const recorded of [...recording.cases, ...recording.reference_errors.filter(({ xb_out }) => xb_out)]) {
  test(recorded.name, async t => {
    const lossFunc = (losses[recorded.loss.name] as (typeof losses)[string])(recorded.loss.kwargs)
    const random = fixedRandom(numbersOf(recorded.beta_sample), numbersOf(recorded.perm), [recorded.cx, recorded.cy])
    const callback = new CutMix({ alpha: recorded.alpha ?? undefined, random })
    const learn = learnerFor(lossFunc, callback)
    const batch = [...recorded.xb, ...recorded.yb].map(toTensor)
    await mixOnce(learn, batch, async () => {
      t.is(callback.stackY, recorded.stack_y)
      t.deepEqual(await flat(callback.lam as Tensor), numbersOf(recorded.lam).map(Math.fround))
      await allClose(t, learn.xb, recorded.xb_out, 'xb')
      await allClose(t, learn.yb, recorded.yb_out, 'yb')
      await allClose(t, callback.yb1, recorded.yb1, 'yb1')
      await allClose(t, batch, [...recorded.xb, ...recorded.yb], 'the loader’s batch')
      if (!recorded.pred) return
      const pred = toTensor(recorded.pred).requiresGrad_(true)
      const loss = learn.lossFunc(pred, ...learn.yb)
      await assertClose(t, loss, recorded.loss_out, {}, 'loss')
      loss.sum().backward()
      await assertClose(t, pred.grad as Tensor, recorded.grad_pred, {}, 'gradient')
      learn.training = false
      await assertClose(
        t,
        learn.lossFunc(pred, ...batch.slice(1)),
        recorded.loss_not_training,
        {},
        'outside of training',
      )
    })
    t.is(learn.lossFunc, lossFunc)
    t.is(lossFunc.reduction, recorded.loss.kwargs?.reduction ?? 'mean')
  })
}

/** A box of columns 2 to 5 and rows 1 to 4 in 6 x 6 pixels. */
const fixed = () => fixedRandom([0.5], [1, 2, 0], [4, 3])
const box: Box = [2, 1, 6, 5]
const perm = [1, 2, 0]
const classes = tensor([0, 2, 1], { dtype: 'int64' })

test('several inputs: pictures are cut alike, others stay', async t => {
  const [a, row, b] = [randn([3, 2, 6, 6]), randn([3, 7]), randint(0, 9, [3, 1, 6, 6], { dtype: 'uint8' })]
  const learn = learnerFor(new CrossEntropyLossFlat(), new CutMix({ random: fixed() }), 3)
  await mixOnce(learn, [a, row, b, classes], async () => {
    await assertEqual(t, learn.xb[0], cutmix(a, perm, box))
    t.is(learn.xb[1], row)
    await assertEqual(t, learn.xb[2], cutmix(b, perm, box))
  })
  for (const wrong of [[randn([3, 5])], [a, randn([3, 2, 5, 6])]]) {
    const other = learnerFor(new CrossEntropyLossFlat(), new CutMix({ random: fixed() }), wrong.length)
    await t.throwsAsync(
      mixOnce(other, [...wrong, classes], () => undefined),
      { code: 'ERR_CALLBACK', message: /CutMix at beforeBatch: Expected pictures of/ },
    )
  }
})

test('several targets, and frames', async t => {
  const x = randn([3, 2, 4, 6, 6])
  const shares = randn([3, 5])
  const callback = new CutMix({ random: fixed() })
  const lossFunc: Loss = (pred, y1, y2) =>
    pred
      .sub(y1 as Tensor)
      .add(y2 as Tensor)
      .mean()
  const learn = learnerFor(lossFunc, callback, 1)
  await mixOnce(learn, [x, randn([3]), shares], async () => {
    await assertEqual(t, learn.xb[0], cutmix(x, perm, box))
    const lam = 1 - 16 / 36
    const partner = shares.indexSelect(0, tensor(Int32Array.from(perm)))
    assertNumbers(t, await flat(learn.yb[1]), await flat(shares.mul(lam).add(partner.mul(1 - lam))), { atol: 1e-6 })
  })
})

const flat = async (x: Tensor | undefined) => Array.from((await x?.to({ dtype: 'float64' }).data()) ?? [], Number)

test('masks are cut with their pictures when asked for, and their loss is the plain one', async t => {
  const [x, mask] = [randn([3, 2, 6, 6]), randint(0, 4, [3, 6, 6])]
  const lossFunc = new CrossEntropyLossFlat({ axis: 1 })
  const learn = learnerFor(lossFunc, new CutMix({ random: fixed(), masks: true }))
  await mixOnce(learn, [x, mask], async () => {
    await assertEqual(t, learn.xb[0], cutmix(x, perm, box))
    await assertEqual(t, learn.yb[0], cutmix(mask, perm, box))
    t.is(learn.mixed, null)
    const pred = randn([3, 4, 6, 6])
    assertNumbers(t, await flat(learn.lossFunc(pred, ...learn.yb)), await flat(lossFunc(pred, cutmix(mask, perm, box))))
  })
})

/** Notes the memory that batches lie in, before and after they are mixed, and how much was changed. */
async function trainOn(t: ExecutionContext, train: ConstructorParameters<typeof DataLoaders>[0]) {
  const before: Tensor[] = []
  const same: boolean[] = []
  const look = new Callback({ order: -1, beforeBatch: cb => void before.push(cb.learn.xb[0] as Tensor) })
  const compare = new Callback({ order: 1, beforeBatch: cb => void same.push(cb.learn.xb[0] === before.at(-1)) })
  const model = new nn.Sequential(new nn.Flatten(), new nn.Linear(72, 3))
  const learn = new Learner(new DataLoaders(train), model, {
    lossFunc: new CrossEntropyLossFlat(),
    defaultCbs: false,
    cbs: [look, compare, new CutMix({ alpha: 1, minmax: [0.4, 0.6] })],
  })
  learn.training = true
  await learn.fit(2)
  t.true(same.length > 0)
  return same
}

test('in place only where the batch is the Learner’s own; stored tensors are never damaged', async t => {
  const [x, y] = [randn([12, 2, 6, 6]), randint(0, 3, [12])]
  const original = x.clone()
  const own = await trainOn(t, new DataLoader(new TensorDataset(x, y), { bs: 4 }))
  t.true(own.every(Boolean))
  const stored = await trainOn(t, [[x, y]])
  t.false(stored.some(Boolean))
  const views = { length: 3, load: (rows: Int32Array) => () => [x.narrow(0, rows[0] ?? 0, 4), y.narrow(0, 0, 4)] }
  t.false((await trainOn(t, new DataLoader({ ...views, length: 12 }, { bs: 4 }))).some(Boolean))
  await assertEqual(t, x, original)
})

test('minmax, and the other options, checked', t => {
  const code = 'ERR_INVALID_ARG'
  for (const wrong of [{ minmax: [0.5, 0.2] }, { minmax: 1 }, { minmax: [0, 2] }, { masks: 1 }, { prob: 2 }]) {
    t.throws(() => new CutMix(wrong as object), { code })
  }
  for (const wrong of [{ mode: 'all' }, { offEpoch: -1 }, { labelSmoothing: 2 }, { lambdaFold: true }, { alpha: 0 }]) {
    t.throws(() => new CutMix(wrong as object), { code })
  }
  t.is(new CutMix().alpha, 1)
  t.is(new CutMix(0.3).mode, 'batch')
})
