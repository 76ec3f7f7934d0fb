// The loss of a mixed batch: one native operator for cross entropies, two losses lerped for all others.
import test, { type ExecutionContext } from 'ava'
import {
  autocast,
  CrossEntropyLossFlat,
  grad,
  LabelSmoothingCrossEntropyFlat,
  type LossFunction,
  mixedLoss,
  mixup,
  ops,
  rand,
  randint,
  randn,
  type Tensor,
  tensor,
} from 'torch-learner'
import { assertClose, assertNumbers, type Fixture, golden, numbersOf, toTensor } from './helpers/golden.js'
import { analyticalGradient, numericalGradient } from './helpers/gradients.js'
import { functionLoss, type LossFixture, lossOf } from './helpers/losses.js'

interface LossCase {
  loss: LossFixture
  pred: Fixture
  y: Fixture
  y1: Fixture
  lam: Fixture
  out: Fixture
  grad_pred: Fixture
  unmixed_loss: Fixture
  reduction_after: string | null
}

interface BatchCase {
  name: string
  loss: LossFixture
  pred: Fixture
  yb: Fixture[]
  yb1: Fixture[]
  yb_out: Fixture[]
  lam: Fixture
  perm: Fixture
  stack_y: boolean
  loss_out: Fixture
  grad_pred: Fixture
  loss_not_training: Fixture
}

interface ErrorCase {
  name: string
  loss: LossFixture
  yb: Fixture[]
  yb1: Fixture[]
  lam: Fixture
  pred: Fixture
}

const fused = ops.torch_learner.mixedCrossEntropy as (...args: unknown[]) => Tensor

/** Loss and gradient of the prediction; the gradient's seed is all ones. */
async function assertLoss(
  t: ExecutionContext,
  f: (pred: Tensor) => Tensor,
  expected: { pred: Fixture; out: Fixture; grad: Fixture },
  label: string,
): Promise<void> {
  const pred = toTensor(expected.pred)
  await assertClose(t, f(pred), expected.out, {}, label)
  assertNumbers(t, await analyticalGradient(p => f(p).sum(), pred), numbersOf(expected.grad), {}, `${label}: gradient`)
}

test('every loss, reduction and kind of weight (golden)', async t => {
  for (const c of golden<{ cases: LossCase[] }>('lf_losses').cases) {
    const loss = lossOf(c.loss)
    const [y, y1, lam] = [c.y, c.y1, c.lam].map(toTensor)
    const expected = { pred: c.pred, out: c.out, grad: c.grad_pred }
    const label = JSON.stringify(c.loss)
    await assertLoss(t, pred => mixedLoss(loss, pred, y, y1, lam), expected, label)
    t.is(loss.reduction ?? null, c.reduction_after, label)
    await assertClose(t, loss(toTensor(c.pred), y), c.unmixed_loss, {}, `${label}: not mixed`)
  }
})

test('the loss of mixed batches (golden)', async t => {
  for (const c of golden<{ cases: BatchCase[] }>('mixup_batches').cases) {
    const loss = lossOf(c.loss)
    const [y, y1, lam, perm] = [c.yb[0], c.yb1[0], c.lam, c.perm].map(toTensor)
    const f = c.stack_y
      ? (pred: Tensor) => mixedLoss(loss, pred, y, y1, lam)
      : (pred: Tensor) => loss(pred, mixup(y, perm, lam))
    await assertLoss(t, f, { pred: c.pred, out: c.loss_out, grad: c.grad_pred }, c.name)
    await assertClose(t, loss(toTensor(c.pred), y), c.loss_not_training, {}, c.name)
  }
})

test('segmentation, where the reference fails: each pixel has its sample’s weight', async t => {
  const found = golden<{ reference_errors: ErrorCase[] }>('mixup_batches').reference_errors.find(
    c => c.name === 'segmentation_ce_axis1',
  )
  const { loss, lam, ...recorded } = found as ErrorCase
  const lossFunc = lossOf(loss)
  const [pred, y, y1] = [recorded.pred, recorded.yb[0], recorded.yb1[0]].map(toTensor)
  const mixed = await mixedLoss(lossFunc, pred, y, y1, toTensor(lam)).item()
  const weights = numbersOf(lam)
  let expected = 0
  for (const [i, w] of weights.entries()) {
    const row = (target: Tensor) => lossFunc(pred.narrow(0, i, 1), target.narrow(0, i, 1)).item()
    expected += (w * (await row(y)) + (1 - w) * (await row(y1))) / weights.length
  }
  assertNumbers(t, [mixed], [expected])
})

/** The long way: two losses with reduction "none". */
function twoLosses(loss: LossFunction, pred: Tensor, y: Tensor, y1: Tensor, lam: Tensor): Tensor {
  const before = loss.reduction
  loss.reduction = 'none'
  const mixed = loss(pred, y1).lerp(loss(pred, y), lam)
  loss.reduction = before
  return before === 'none' ? mixed : before === 'sum' ? mixed.sum() : mixed.mean()
}

const classWeights = tensor([0.5, 1, 2, 0, 1.5], { dtype: 'float64' })
const variants = [
  new CrossEntropyLossFlat(),
  new CrossEntropyLossFlat({ weight: classWeights, labelSmoothing: 0.2, ignoreIndex: 3 }),
  new CrossEntropyLossFlat({ labelSmoothing: 1, reduction: 'sum' }),
  new LabelSmoothingCrossEntropyFlat({ eps: 0.3, weight: classWeights }),
  new LabelSmoothingCrossEntropyFlat({ reduction: 'none' }),
]

test('fused and long way agree in float64, values and gradients, ignored samples included', async t => {
  const lam = rand([8], { dtype: 'float64' })
  const pred = randn([8, 5], { dtype: 'float64' })
  const tolerance = { atol: 1e-13, rtol: 1e-13 }
  for (const loss of variants) {
    const ignored = loss instanceof CrossEntropyLossFlat ? loss.ignoreIndex : -100
    const y = tensor([0, 1, 3, ignored, 4, 2, ignored, 1], { dtype: 'int64' })
    const y1 = tensor([3, 1, 3, 2, ignored, 0, ignored, 4], { dtype: 'int64' })
    const one = (p: Tensor) => mixedLoss(loss, p, y, y1, lam)
    const two = (p: Tensor) => twoLosses(loss, p, y, y1, lam)
    const values = async (f: (p: Tensor) => Tensor) => (await f(pred).data()) as Float64Array
    assertNumbers(t, await values(one), await values(two), tolerance)
    const seeded = (f: (p: Tensor) => Tensor) => analyticalGradient(p => f(p).sum(), pred)
    assertNumbers(t, await seeded(one), await seeded(two), tolerance)
  }
})

test('the gradient is that of finite differences', async t => {
  const [y, y1] = [randint(0, 5, [6], { dtype: 'int64' }), randint(0, 5, [6], { dtype: 'int64' })]
  const lam = rand([6], { dtype: 'float64' })
  const seed = rand([6], { dtype: 'float64' })
  for (const loss of variants) {
    const f = (p: Tensor) => {
      const mixed = mixedLoss(loss, p, y, y1, lam)
      return loss.reduction === 'none' ? mixed.mul(seed).sum() : mixed
    }
    const pred = randn([6, 5], { dtype: 'float64' })
    assertNumbers(t, await analyticalGradient(f, pred), await numericalGradient(f, pred), { atol: 1e-8, rtol: 1e-6 })
  }
})

test('second derivatives', async t => {
  const pred = randn([4, 3], { dtype: 'float64' })
  const [y, y1] = [
    [0, 1, 2, 1],
    [1, 1, 0, 2],
  ].map(rows => tensor(rows, { dtype: 'int64' }))
  const lam = rand([4], { dtype: 'float64' })
  const penalty = async (f: (p: Tensor) => Tensor) => {
    const leaf = pred.clone()
    leaf.requiresGrad = true
    const [first] = grad([f(leaf)], [leaf], { createGraph: true })
    const [second] = grad([first.pow(2).sum()], [leaf])
    return (await second.data()) as Float64Array
  }
  const loss = new CrossEntropyLossFlat({ labelSmoothing: 0.1 })
  const one = await penalty(p => mixedLoss(loss, p, y, y1, lam))
  const two = await penalty(p => twoLosses(loss, p, y, y1, lam))
  assertNumbers(t, one, two, { atol: 1e-12, rtol: 1e-12 })
})

test('half precision, and float32 under autocast', async t => {
  const [y, y1] = [randint(0, 5, [6], { dtype: 'int64' }), randint(0, 5, [6], { dtype: 'int64' })]
  const [pred, lam] = [randn([6, 5]), rand([6])]
  const loss = new CrossEntropyLossFlat()
  const expected = await mixedLoss(loss, pred, y, y1, lam).item()
  const half = mixedLoss(loss, pred.to({ dtype: 'bfloat16' }), y, y1, lam)
  t.is(half.dtype, 'bfloat16')
  assertNumbers(t, [await half.item()], [expected], { atol: 0.02, rtol: 0.02 })
  const cast = autocast({ dtype: 'bfloat16' }, () => mixedLoss(loss, pred.to({ dtype: 'bfloat16' }), y, y1, lam))
  t.is(cast.dtype, 'float32')
})

test('targets of any integer dtype; one weight for all; plain numbers', async t => {
  const [pred, y, y1] = [randn([3, 4]), tensor([0, 1, 2], { dtype: 'int64' }), tensor([3, 3, 0], { dtype: 'int64' })]
  const loss = new CrossEntropyLossFlat()
  const expected = await mixedLoss(loss, pred, y, y1, tensor([0.7, 0.7, 0.7])).item()
  for (const dtype of ['uint8', 'int32', 'int16'] as const) {
    t.is(await mixedLoss(loss, pred, y.to({ dtype }), y1.to({ dtype }), 0.7).item(), expected)
  }
  t.is(await mixedLoss(loss, pred, [y], [y1], [0.7]).item(), expected)
  t.is(await mixedLoss(loss, pred, y, y1, Float32Array.of(0.7, 0.7, 0.7)).item(), expected)
})

test('a subclass that measures differently isn’t taken for its parent', async t => {
  class Doubled extends CrossEntropyLossFlat {
    protected override measure(pred: Tensor, target: Tensor): Tensor {
      return super.measure(pred, target).mul(2)
    }
  }
  const [pred, y, y1] = [randn([3, 4]), tensor([0, 1, 2], { dtype: 'int64' }), tensor([3, 3, 0], { dtype: 'int64' })]
  const single = await mixedLoss(new CrossEntropyLossFlat(), pred, y, y1, 0.7).item()
  assertNumbers(t, [await mixedLoss(new Doubled(), pred, y, y1, 0.7).item()], [2 * single])
})

test('a loss of several targets', async t => {
  const both = (pred: Tensor, a: Tensor, b: Tensor, options: { reduction?: 'none' } = {}) =>
    functionLoss(pred, a, options).add(functionLoss(pred, b, options))
  const pred = randn([2, 3])
  const [a, b] = [tensor([0, 1], { dtype: 'int64' }), tensor([2, 2], { dtype: 'int64' })]
  const mixed = await mixedLoss(both, pred, [a, b], [a.flip([0]), b], 0.8).item()
  const expected =
    (await mixedLoss(functionLoss, pred, a, a.flip([0]), 0.8).item()) + (await functionLoss(pred, b).item())
  assertNumbers(t, [mixed], [expected])
})

test('a loss that reduces all the same is found out, not averaged', async t => {
  const stubborn = (pred: Tensor, y: Tensor) => functionLoss(pred, y)
  const [pred, y] = [randn([3, 4]), tensor([0, 1, 2], { dtype: 'int64' })]
  const mixed = mixedLoss(stubborn, pred, y, y.flip([0]), [0.5, 0.6, 0.7])
  await t.throwsAsync(mixed.item(), { code: 'ERR_OP_FAILED', message: /honour the reduction "none"/ })
})

test('what doesn’t fit', async t => {
  const loss = new CrossEntropyLossFlat()
  const [pred, y] = [randn([3, 4]), tensor([0, 1, 2], { dtype: 'int64' })]
  const fails = async (mixed: Tensor, message: RegExp) => {
    await t.throwsAsync(mixed.item(), { code: 'ERR_OP_FAILED', message })
  }
  await fails(mixedLoss(loss, pred, y.add(2), y, 0.5), /Target 4 is out of bounds for 4 classes/)
  await fails(mixedLoss(loss, pred, y, y.sub(1), 0.5), /Target -1 is out of bounds/)
  await fails(mixedLoss(loss, pred, y, y, [0.5, 0.5]), /lam of shape \[3\] or \[1\]/)
  await fails(mixedLoss(loss, pred, y, tensor([0, 1, 2]), 0.5), /target1 of an integer dtype/)
  await fails(mixedLoss(loss, pred, y.narrow(0, 0, 2), y.narrow(0, 0, 2), 0.5), /one class for each prediction/)
  await fails(mixedLoss(new CrossEntropyLossFlat({ weight: [1, 2] }), pred, y, y, 0.5), /weight of shape \[4\]/)
  await fails(fused(pred, y, y, tensor([0.5]), { reduction: 'most' }), /"mean", "sum" or "none" for reduction/)
  await fails(fused(pred, y, y, tensor([0.5]), { labelSmoothing: 2 }), /label_smoothing between 0 and 1/)
  const code = 'ERR_INVALID_ARG'
  t.throws(() => Reflect.apply(mixedLoss, null, [null, pred, y, y, 0.5]), { code, message: /a loss for lossFunc/ })
  t.throws(() => mixedLoss(loss, pred, [y], [y, y], 0.5), { code, message: /as many targets as yb has \(1\) for yb1/ })
})
