import test from 'ava'
import {
  BaseLoss,
  BCEWithLogitsLossFlat,
  CrossEntropyLossFlat,
  FocalLoss,
  FocalLossFlat,
  L1LossFlat,
  LabelSmoothingCrossEntropy,
  LabelSmoothingCrossEntropyFlat,
  MSELossFlat,
  nn,
  ones,
  randint,
  randn,
  type Tensor,
  tensor,
  zeros,
} from 'torch-learner'
import { assertClose, type Fixture, golden, isFixture, toTensor } from './helpers/golden.js'

interface LossCase {
  loss: { name: string; kwargs: Record<string, unknown> }
  pred: Fixture
  y: Fixture
  y_int: boolean | null
  out: Fixture
  grad_pred: Fixture
  activation: Fixture
  decodes_of_activation: Fixture
}

const classes: Record<string, new (options: Record<string, unknown>) => BaseLoss> = {
  BCEWithLogitsLossFlat,
  CrossEntropyLossFlat,
  FocalLoss,
  FocalLossFlat,
  L1LossFlat,
  LabelSmoothingCrossEntropy,
  LabelSmoothingCrossEntropyFlat,
  MSELossFlat,
}

/** Python's keyword arguments as an options object. */
function optionsOf(kwargs: Record<string, unknown> = {}): Record<string, unknown> {
  const camel = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
  return Object.fromEntries(
    Object.entries(kwargs).map(([name, value]) => [camel(name), isFixture(value) ? toTensor(value) : value]),
  )
}

const fixtures = golden<{ cases: LossCase[] }>('losses').cases

fixtures.forEach((fixture, i) => {
  const { name, kwargs } = fixture.loss
  const shown = Object.entries(kwargs ?? {}).map(([key, value]) => `${key}=${isFixture(value) ? 'tensor' : value}`)
  test(`golden losses ${i}: ${name}(${shown.join(', ')}) of ${fixture.y.dtype} targets`, async t => {
    const loss = new classes[name](optionsOf(kwargs))
    const pred = toTensor(fixture.pred)
    pred.requiresGrad = true
    const out = loss(pred, toTensor(fixture.y))
    await assertClose(t, out, fixture.out, {}, 'out')
    out.sum().backward()
    const { grad } = pred
    await assertClose(t, grad ?? zeros([0]), fixture.grad_pred, {}, 'grad_pred')
    const activated = loss.activation(pred)
    await assertClose(t, activated, fixture.activation, {}, 'activation')
    await assertClose(t, loss.decodes(activated), fixture.decodes_of_activation, {}, 'decodes')
    t.is(Reflect.get(loss, 'yInt') ?? null, fixture.y_int)
  })
})

const invalid = { code: 'ERR_INVALID_ARG' }

test('reduction can be read and switched', async t => {
  const loss = new CrossEntropyLossFlat()
  const pred = randn([6, 3])
  const y = randint(0, 3, [6])
  t.is(loss.reduction, 'mean')
  loss.reduction = 'none'
  const each = loss(pred, y)
  t.deepEqual(each.shape, [6])
  loss.reduction = 'sum'
  t.true(Math.abs((await loss(pred, y).item()) - (await each.sum().item())) < 1e-5)
  t.throws(() => Reflect.set(loss, 'reduction', 'median'), invalid)
  t.is(loss.reduction, 'sum')
})

test('a loss is a function, and says what the native mixed loss needs', t => {
  const weight = tensor([1, 2, 3])
  const loss = new CrossEntropyLossFlat({ weight, ignoreIndex: 2, labelSmoothing: 0.1, axis: 1 })
  t.is(typeof loss, 'function')
  t.true(loss instanceof BaseLoss)
  t.is(loss.weight, weight)
  t.is(loss.ignoreIndex, 2)
  t.is(loss.labelSmoothing, 0.1)
  t.is(loss.axis, 1)
  t.is(new CrossEntropyLossFlat().weight, null)
})

test('class weights may be plain numbers, and move with the loss', async t => {
  const loss = new CrossEntropyLossFlat({ weight: [1, 2, 3] })
  t.deepEqual(await loss.weight?.toArray(), [1, 2, 3])
  loss.to('float64')
  t.is(loss.weight?.dtype, 'float64')
})

test("torch's cross entropy takes soft targets and label smoothing", async t => {
  const pred = randn([5, 4])
  const y = randint(0, 4, [5])
  const soft = nn.functional.crossEntropy(pred, y, { labelSmoothing: 0.2 })
  const eps = 0.2
  const hot = zeros([5, 4])
    .scatter(1, y.unsqueeze(1), 1 - eps)
    .add(eps / 4)
  const expected = await new nn.CrossEntropyLoss()(pred, hot).item()
  t.true(Math.abs((await soft.item()) - expected) < 1e-6)
  const smoothed = new nn.CrossEntropyLoss({ labelSmoothing: eps })
  t.true(Math.abs((await smoothed(pred, y).item()) - expected) < 1e-6)
  const fastai = new LabelSmoothingCrossEntropy({ eps })
  t.true(Math.abs((await fastai(pred, y).item()) - expected) < 1e-6)
})

test('focal loss without focus is cross entropy', async t => {
  const pred = randn([5, 4])
  const y = randint(0, 4, [5])
  const expected = await new CrossEntropyLossFlat()(pred, y).item()
  t.true(Math.abs((await new FocalLoss({ gamma: 0 })(pred, y).item()) - expected) < 1e-6)
})

test('the plain losses of nn', async t => {
  const pred = tensor([1, -1])
  t.is(await new nn.MSELoss()(pred, zeros([2])).item(), 1)
  t.is(await new nn.L1Loss({ reduction: 'sum' })(pred, zeros([2])).item(), 2)
  const expected = (Math.log1p(Math.exp(-1)) + Math.log1p(Math.exp(-1))) / 2
  t.true(Math.abs((await new nn.BCEWithLogitsLoss()(pred, tensor([1, 0])).item()) - expected) < 1e-6)
  const positive = await new nn.BCEWithLogitsLoss({ posWeight: [3] })(tensor([[1], [-1]]), tensor([[1], [0]])).item()
  t.true(Math.abs(positive - expected * 2) < 1e-6)
})

test('gradients agree with finite differences', async t => {
  const y = tensor([0, 2, 1], { dtype: 'int64' })
  const losses: ((pred: Tensor) => Tensor)[] = [
    pred => new CrossEntropyLossFlat({ weight: [1, 2, 3] }).to('float64')(pred, y),
    pred => new LabelSmoothingCrossEntropyFlat({ eps: 0.3 })(pred, y),
    pred => new FocalLossFlat({ gamma: 1.5 })(pred, y),
    pred => new MSELossFlat()(pred, ones([3, 3])),
  ]
  const start = Float64Array.from([0.1, -0.4, 0.7, 1.2, 0.3, -0.8, 0.5, 0.9, -0.2])
  const at = (data: Float64Array) => tensor(data, { shape: [3, 3], dtype: 'float64' })
  for (const loss of losses) {
    const pred = at(start)
    pred.requiresGrad = true
    loss(pred).backward()
    const gradient = (await pred.grad?.data()) as Float64Array
    for (let i = 0; i < start.length; i++) {
      const moved = async (step: number) => loss(at(start.map((value, j) => (i === j ? value + step : value)))).item()
      const slope = ((await moved(1e-5)) - (await moved(-1e-5))) / 2e-5
      t.true(Math.abs(slope - gradient[i]) < 1e-7, `${slope} ${gradient[i]}`)
    }
  }
})

const wrong: [string, () => unknown][] = [
  ['reduction', () => new CrossEntropyLossFlat(optionsOf({ reduction: 'avg' }))],
  ['option name', () => new CrossEntropyLossFlat(optionsOf({ label_smooth: 0.1 }))],
  ['label smoothing', () => new CrossEntropyLossFlat({ labelSmoothing: 1.5 })],
  ['ignoreIndex', () => new CrossEntropyLossFlat({ ignoreIndex: 0.5 })],
  ['axis', () => new CrossEntropyLossFlat({ axis: 1.5 })],
  ['weight', () => new CrossEntropyLossFlat(optionsOf({ weight: 'heavy' }))],
  ['eps', () => new LabelSmoothingCrossEntropy({ eps: -0.1 })],
  ['gamma', () => new FocalLossFlat({ gamma: -1 })],
  ['axis of a loss that has none', () => new FocalLoss(optionsOf({ axis: 1 }))],
  ['thresh', () => new BCEWithLogitsLossFlat({ thresh: 2 })],
  ['floatify', () => new MSELossFlat(optionsOf({ floatify: 1 }))],
  ['options', () => Reflect.construct(nn.MSELoss, ['mean'])],
]

for (const [name, make] of wrong) test(`refuses a wrong ${name} at construction`, t => void t.throws(make, invalid))

test('targets that do not fit are reported where the loss is read', async t => {
  const failed = { code: 'ERR_OP_FAILED' }
  await t.throwsAsync(new CrossEntropyLossFlat()(randn([4, 3]), randint(0, 3, [5])).item(), failed)
  await t.throwsAsync(
    new CrossEntropyLossFlat()(randn([4, 3]), tensor([0, 1, 2, 3], { dtype: 'int64' })).item(),
    failed,
  )
  await t.throwsAsync(new CrossEntropyLossFlat()(randn([4, 3]), tensor([0, 1, 2, 0])).item(), failed)
  await t.throwsAsync(new MSELossFlat()(randn([4, 3]), randn([4])).item(), failed)
  await t.throwsAsync(new nn.MSELoss()(randn([4, 1]), randn([4])).item(), { ...failed, message: /one target for each/ })
})
