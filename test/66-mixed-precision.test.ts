// Half precision: autocast as PyTorch's, weights cast once a block, losses scaled, steps skipped without anybody waiting.
import test from 'ava'
import {
  Adam,
  accuracy,
  autocast,
  Callback,
  CrossEntropyLossFlat,
  type DType,
  enableGrad,
  GradientAccumulation,
  GradientClip,
  Learner,
  MixedPrecision,
  MixUp,
  manualSeed,
  nn,
  noGrad,
  ProgressCallback,
  randn,
  SGD,
  type Tensor,
  tensor,
} from 'torch-learner'
import { tinyLearner, weightsOf } from './helpers/learning.js'

const parameter = (values: number[][]) => tensor(values, { requiresGrad: true })

test('operators choose their dtype as under torch.autocast', t => {
  const [x, w] = [randn([2, 3]), randn([3, 2])]
  for (const dtype of ['bfloat16', 'float16'] as const) {
    const seen = autocast({ dtype }, () => [
      x.matmul(w).dtype,
      x.add(x).dtype,
      nn.functional.crossEntropy(x.matmul(w), tensor([0, 1], { dtype: 'int64' })).dtype,
      x.to({ dtype: 'float64' }).matmul(w.to({ dtype: 'float64' })).dtype,
      autocast({ enabled: false }, () => x.matmul(w).dtype),
    ])
    t.deepEqual(seen, [dtype, 'float32', 'float32', 'float64', 'float32'] satisfies DType[])
  }
  t.is(x.matmul(w).dtype, 'float32')
})

test('a weight is cast once in a block, and anew in the next', t => {
  const w = parameter([[1]])
  const x = tensor([[1]])
  const values = autocast({}, () => {
    const first = x.matmul(w)
    w.detach().mul_(2)
    return [first, x.matmul(w)].map(y => y.itemSync())
  })
  t.deepEqual(values, [1, 1], 'as PyTorch: the cast is kept to the end of the block')
  t.is(autocast({}, () => x.matmul(w)).itemSync(), 2)
  autocast({}, () => {
    x.matmul(w)
    autocast({}, () => x.matmul(w))
    w.detach().mul_(2)
  })
  t.is(autocast({}, () => x.matmul(w)).itemSync(), 4)
})

test.serial('a cast made without gradients doesn’t cost the next one its gradient', t => {
  const gradient = (use: (x: Tensor, w: Tensor) => Tensor) => {
    const w = parameter([[3]])
    use(tensor([[2]]), w).backward()
    return w.grad?.itemSync()
  }
  const twoBlocks = gradient((x, w) => {
    autocast({}, () => noGrad(() => x.matmul(w)))
    return autocast({}, () => x.matmul(w))
  })
  const oneBlock = gradient((x, w) =>
    autocast({}, () => {
      noGrad(() => x.matmul(w))
      return enableGrad(() => x.matmul(w))
    }),
  )
  t.deepEqual([twoBlocks, oneBlock], [2, 2])
})

/** Bright squares on the left or the right. */
function squares(count: number): Tensor[][] {
  manualSeed(5)
  return Array.from({ length: count }, (_, i) => {
    const y = Array.from({ length: 16 }, (_, k) => (i + k) % 2)
    const x = randn([16, 1, 8, 8]).mul(0.3)
    for (const [k, side] of y.entries())
      x.select(0, k)
        .narrow(2, side * 4, 4)
        .add_(1)
    return [x, tensor(y, { dtype: 'int64' })]
  })
}

function learner(cbs: Callback[]): Learner {
  const train = squares(12)
  manualSeed(1)
  const model = new nn.Sequential(
    new nn.Conv2d(1, 8, 3, { padding: 1 }),
    new nn.BatchNorm2d(8),
    new nn.ReLU(),
    new nn.AdaptiveAvgPool2d(2),
    new nn.Flatten(),
    new nn.Linear(32, 2),
  )
  const learn = new Learner({ train, valid: train.slice(0, 4) }, model, {
    lossFunc: new CrossEntropyLossFlat(),
    optFunc: (groups, { lr }) => new Adam(groups, { lr }),
    metrics: accuracy,
    cbs,
  })
  learn.logger = () => undefined
  return learn.removeCb(ProgressCallback)
}

for (const dtype of ['bfloat16', 'float16'] as const) {
  test.serial(`${dtype} learns what float32 learns, with MixUp, clipping and accumulation too`, async t => {
    const seen = new Set<string>()
    const look = new Callback({
      beforeBatch: () => void seen.add('batch'),
      afterPred: ({ learn }) => void seen.add(`pred ${learn.pred?.dtype}`),
      afterBackward: ({ learn }) => void seen.add(`grad ${learn.model.parameters()[0]?.grad?.dtype}`),
      order: 20,
    })
    const mixed = learner([new MixedPrecision({ dtype })])
    const plain = learner([])
    for (const learn of [mixed, plain]) await learn.fitOneCycle(4, { lrMax: 0.02, cbs: look })
    t.deepEqual([...seen].sort(), ['batch', 'grad float32', 'pred float32'])
    const [half, full] = [mixed, plain].map(learn => learn.recorder.values.at(-1) ?? [])
    t.is(half?.[2], 1)
    t.true(Math.abs(Number(half?.[1]) - Number(full?.[1])) < 0.02, `${half} against ${full}`)
    t.true(mixed.model.parameters().every(weight => weight.dtype === 'float32'))
    t.notDeepEqual(weightsOf(mixed.model), weightsOf(plain.model))

    const all = learner([
      new MixedPrecision({ dtype }),
      new GradientClip(1),
      new GradientAccumulation(32),
      new MixUp(0.4),
    ])
    await all.fitOneCycle(6, { lrMax: 0.05 })
    t.is(all.recorder.values.at(-1)?.[2], 1)
  })
}

test('a scale that overflows costs steps, not weights', async t => {
  const precision = new MixedPrecision({ dtype: 'float16', initScale: 2 ** 100, backoffFactor: 2 ** -45 })
  const scales: number[] = []
  const weights: number[][] = []
  const look = new Callback({
    order: 100,
    afterStep: async ({ learn }) => {
      scales.push(Math.log2(await precision.scale()))
      weights.push(weightsOf(learn.model))
    },
  })
  const learn = tinyLearner({ batches: [5, 0], cbs: [precision, look] })
  const before = weightsOf(learn.model)
  await learn.fit(1)
  t.deepEqual(scales, [55, 10, 10, 10, 10])
  t.deepEqual(weights.slice(0, 2), [before, before])
  t.notDeepEqual(weights[2], before)
  t.true(weightsOf(learn.model).every(Number.isFinite))
  t.is(await precision.scale(), 1, 'outside of a fit')
})

test('the scale grows again', async t => {
  const precision = new MixedPrecision({ dtype: 'float16', initScale: 4, growthInterval: 2 })
  const scales: number[] = []
  const look = new Callback({ order: 100, afterStep: async () => void scales.push(await precision.scale()) })
  await tinyLearner({ batches: [5, 0], cbs: [precision, look] }).fit(1)
  t.deepEqual(scales, [4, 8, 8, 16, 16])
})

test('float16 steps are those of float32 while nothing overflows', async t => {
  const [mixed, plain] = [tinyLearner({ cbs: new MixedPrecision({ dtype: 'float16' }) }), tinyLearner()]
  for (const learn of [mixed, plain]) await learn.fit(1)
  const [a, b] = [weightsOf(mixed.model), weightsOf(plain.model)]
  t.true(a.every((value, i) => Math.abs(value - (b[i] ?? 0)) < 2e-3))
})

test('errors and aborts leave full precision', async t => {
  for (const dtype of ['bfloat16', 'float16'] as const) {
    for (const event of ['beforeBatch', 'afterPred', 'beforeBackward', 'beforeStep', 'beforeValidate'] as const) {
      const learn = tinyLearner({ optFunc: (groups, { lr }) => new SGD(groups, { lr }) })
      const fail = new Callback({ name: 'failing', order: 30, [event]: () => Promise.reject(new Error('of the user')) })
      await t.throwsAsync(learn.fit(1, { cbs: [new MixedPrecision({ dtype }), fail] }), { message: /of the user/ })
      t.is(learn.autocast, null)
      await learn.fit(1, { cbs: new Callback({ afterPred: cb => void t.is(cb.learn.pred?.dtype, 'float32') }) })
    }
  }
})

test('options are checked', t => {
  t.throws(() => new MixedPrecision({ dtype: 'float32' as 'float16' }), { message: /bfloat16 or float16/ })
  t.throws(() => new MixedPrecision({ growthInterval: 0 }), { message: /a whole number of at least 1/ })
  t.is(new MixedPrecision().order, 10)
})
