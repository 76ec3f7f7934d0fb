// No metric and no loss broadcasts: targets of the same number go with predictions whatever their dimensions, as in
// fastai; any other number is an error.
import test, { type ExecutionContext } from 'ava'
import {
  AccumMetric,
  AvgMetric,
  accuracy,
  accuracyMulti,
  BCEWithLogitsLossFlat,
  CrossEntropyLossFlat,
  confusionMatrix,
  errorRate,
  expRmspe,
  F1Score,
  F1ScoreMulti,
  FocalLossFlat,
  L1LossFlat,
  LabelSmoothingCrossEntropyFlat,
  type Metric,
  type MetricFunction,
  MSELossFlat,
  mae,
  mse,
  nn,
  ones,
  PrecisionMulti,
  RocAuc,
  RocAucBinary,
  randn,
  rmse,
  rocAuc,
  type Tensor,
  tensor,
  topKAccuracy,
  zeros,
} from 'torch-learner'
import { tinyLearner } from './helpers/learning.js'

const long = (values: Parameters<typeof tensor>[0]) => tensor(values, { dtype: 'int64' })

async function refused(t: ExecutionContext, make: () => unknown, why: string): Promise<void> {
  await t.throwsAsync(
    async () => {
      const made = await make()
      return made instanceof Object && 'data' in made ? (made as Tensor).data() : made
    },
    { code: 'ERR_OP_FAILED', message: /one target for each prediction|doesn't match|size of tensor/ },
    why,
  )
}

/** Three rows of three classes: the first two are right. */
const scores = () =>
  tensor([
    [9, 1, 0],
    [0, 9, 1],
    [1, 9, 0],
  ])
const classes = [0, 1, 2]

const byClass: Record<string, [MetricFunction, number]> = {
  accuracy: [accuracy, 2 / 3],
  errorRate: [errorRate, 1 / 3],
  top2: [(pred, targ) => topKAccuracy(pred, targ, 2), 2 / 3],
  'accuracy row by row': [(pred, targ) => accuracy.perSample(pred, targ).mean(), 2 / 3],
  'errorRate row by row': [(pred, targ) => errorRate.perSample(pred, targ).mean(), 1 / 3],
  confusionMatrix: [(pred, targ) => confusionMatrix(pred, targ).trace().div(3), 2 / 3],
}

for (const [name, [metric, right]] of Object.entries(byClass)) {
  test.serial(`${name}: targets (N) and (N, 1), and no other number of them`, async t => {
    for (const targ of [long(classes), long(classes).unsqueeze(1), long(classes).unsqueeze(0)]) {
      t.true(Math.abs((await (metric(scores(), targ) as Tensor).item()) - right) < 1e-6)
    }
    for (const wrong of [long([0]), long(0), long([0, 1]), long([0, 1, 2, 0]), zeros([3, 3], { dtype: 'int64' })]) {
      await refused(t, () => metric(scores(), wrong), `${wrong.shape}`)
    }
  })
}

test.serial('one prediction for each class and eight rows: a single target is refused', async t => {
  for (const metric of [accuracy, errorRate, topKAccuracy]) {
    await refused(t, () => metric(randn([8, 8]), long([3])), metric.name)
    await refused(t, () => metric(randn([8, 8]), zeros([8, 8], { dtype: 'int64' })), metric.name)
  }
})

test.serial('masks (N, H, W) and (N, 1, H, W) with axis 1', async t => {
  const pred = randn([2, 3, 4, 5])
  const best = await pred.argmax(1).toArray()
  const mask = long(best as number[][][])
  const changed = mask.clone()
  changed.select(0, 0).select(0, 0).fill_(7) // a row of five pixels
  for (const targ of [changed, changed.unsqueeze(1)]) {
    t.true(Math.abs((await accuracy(pred, targ, 1).item()) - 35 / 40) < 1e-6)
    t.true(Math.abs((await errorRate(pred, targ, 1).item()) - 5 / 40) < 1e-6)
  }
  for (const targ of [mask, mask.unsqueeze(1)]) {
    t.is(await confusionMatrix(pred, targ, 1).sum().item(), 40)
    t.is(await confusionMatrix(pred, targ, 1).trace().item(), 40)
  }
  await refused(t, () => accuracy(pred, mask.select(0, 0), 1), 'one mask for two pictures')
  await refused(t, () => confusionMatrix(pred, mask.select(0, 0), 1), 'one mask for two pictures')
})

const elementwise: Record<string, MetricFunction> = { mse, mae, rmse, expRmspe, accuracyMulti }
for (const [name, metric] of Object.entries(elementwise)) {
  test.serial(`${name}: as many targets as predictions`, async t => {
    const pred = tensor([0.5, 2, -1])
    const targ = tensor([1, 0, 1])
    const right = await (metric(pred, targ) as Tensor).item()
    const row = (y: Tensor) => y.unsqueeze(1)
    for (const [p, y] of [
      [row(pred), targ],
      [pred, row(targ)],
      [row(pred), targ.unsqueeze(0)],
    ]) {
      t.is(await (metric(p, y) as Tensor).item(), right)
      if (metric.perSample) t.deepEqual((await metric.perSample(p, y)).shape, [3])
      if (metric.weighted) {
        t.true(Math.abs((await metric.weighted(p, ones([3]), y).item()) - right) < 1e-6)
      }
    }
    const more: MetricFunction[] = [metric]
    if (metric.perSample) more.push(metric.perSample)
    if (metric.weighted) more.push((p, y) => metric.weighted?.(p, ones([3]), y) ?? 0)
    for (const func of more) {
      for (const wrong of [ones([1]), ones([2]), ones([3, 3]), tensor(1)]) {
        await refused(t, () => func(pred, wrong), `${wrong.shape}`)
        await refused(t, () => func(wrong, pred), `${wrong.shape}`)
      }
      await refused(t, () => func(ones([3, 1]), ones([3, 4])), '(3, 1) and (3, 4)')
    }
  })
}

test.serial('rocAuc: scores, labels and weights are as many', async t => {
  const [values, labels] = [tensor([0.1, 0.4, 0.35, 0.8]), tensor([0, 0, 1, 1])]
  const right = 0.75
  for (const y of [labels, labels.unsqueeze(1), labels.view([2, 2])]) {
    t.is(await rocAuc(values, y).item(), right)
    t.is(await rocAuc(values.unsqueeze(1), y, ones([4, 1])).item(), right)
  }
  for (const wrong of [ones([1]), ones([3]), ones([4, 2])]) {
    await refused(t, () => rocAuc(values, wrong), 'labels')
    await refused(t, () => rocAuc(values, labels, wrong), 'weights')
  }
})

/** A metric's value for one batch, as the Recorder measures it. */
async function measure(metric: Metric, pred: Tensor, targ: Tensor): Promise<number | null> {
  const learn = tinyLearner()
  learn.split([tensor([0]), targ])
  learn.pred = pred
  metric.accumulate(learn)
  return metric.value()
}

const metrics: Record<string, () => Metric> = {
  AvgMetric: () => new AvgMetric(accuracy),
  F1Score: () => new F1Score({ average: 'macro' }),
  RocAuc: () => new RocAuc(),
  AccumMetric: () => new AccumMetric(accuracy),
}
for (const [name, make] of Object.entries(metrics)) {
  test.serial(`${name}: targets (N, 1) as (N), another number is refused`, async t => {
    const right = await measure(make(), scores(), long(classes))
    t.is(await measure(make(), scores(), long(classes).unsqueeze(1)), right)
    await refused(t, () => measure(make(), scores(), long([1])), 'one')
    await refused(t, () => measure(make(), scores(), long([0, 1])), 'two of three')
  })
}

test.serial('RocAucBinary: (N, 2), (N) and (N, 1) against (N) and (N, 1)', async t => {
  const labels = tensor([0, 0, 1, 1])
  const second = tensor([0.1, 0.4, 0.35, 0.8])
  const both = tensor([
    [0, 0.1],
    [0, 0.4],
    [0, 0.35],
    [0, 0.8],
  ])
  for (const pred of [second, second.unsqueeze(1), both]) {
    for (const targ of [labels, labels.unsqueeze(1)]) t.is(await measure(new RocAucBinary(), pred, targ), 0.75)
    await refused(t, () => measure(new RocAucBinary(), pred, tensor([1])), 'one')
  }
  await refused(t, () => measure(new RocAucBinary(), randn([4, 3]), labels), 'three classes')
})

test.serial('several labels: targets of the shape of the predictions only', async t => {
  for (const make of [() => new F1ScoreMulti(), () => new PrecisionMulti({ average: 'micro' })]) {
    const targ = tensor([
      [1, 0],
      [1, 1],
      [0, 1],
    ])
    t.is(await measure(make(), targ.sub(0.5).mul(8), targ), 1)
    for (const wrong of [ones([3]), ones([3, 1]), ones([1, 2]), ones([6])]) {
      await refused(t, () => measure(make(), randn([3, 2]), wrong), `${wrong.shape}`)
    }
    t.is(await measure(make(), tensor([9, -9]), tensor([1, 0])), 1) // one label a sample
  }
})

test.serial('a metric that gives a column for its rows is mixed row by row', async t => {
  const columns: MetricFunction = Object.assign((pred: Tensor, targ: Tensor) => mse(pred, targ), {
    perSample: (pred: Tensor, targ: Tensor) => mse.perSample(pred, targ).unsqueeze(1),
  })
  const mixed = async (func: MetricFunction) => {
    const learn = tinyLearner()
    learn.split([tensor([0, 0, 0]), tensor([1, 2, 3])])
    learn.pred = tensor([1, 1, 1])
    learn.mixed = { yb1: [tensor([3, 1, 2])], lam: tensor([0.9, 0.5, 0.7]) }
    const metric = new AvgMetric(func)
    metric.accumulate(learn)
    return metric.value()
  }
  t.is(await mixed(columns), await mixed(mse))
})

const losses: Record<string, [(pred: Tensor, targ: Tensor) => Tensor, Tensor, Tensor]> = {
  CrossEntropyLossFlat: [new CrossEntropyLossFlat(), randn([3, 4]), long([0, 1, 2])],
  LabelSmoothing: [new LabelSmoothingCrossEntropyFlat(), randn([3, 4]), long([0, 1, 2])],
  FocalLossFlat: [new FocalLossFlat(), randn([3, 4]), long([0, 1, 2])],
  BCEWithLogitsLossFlat: [new BCEWithLogitsLossFlat(), randn([3, 1]), tensor([0, 1, 1])],
  MSELossFlat: [new MSELossFlat(), randn([3, 1]), tensor([0, 1, 1])],
  L1LossFlat: [new L1LossFlat(), randn([3, 1]), tensor([0, 1, 1])],
}
for (const [name, [loss, pred, targ]] of Object.entries(losses)) {
  test.serial(`${name} flattens (N, 1), and refuses another number`, async t => {
    t.is(await loss(pred, targ.unsqueeze(1)).item(), await loss(pred, targ).item())
    for (const wrong of [targ.narrow(0, 0, 1), targ.narrow(0, 0, 2)]) await refused(t, () => loss(pred, wrong), name)
  })
}

test.serial('losses of elements and their functions take one shape only', async t => {
  const { functional: F } = nn
  for (const loss of [
    new nn.MSELoss(),
    new nn.L1Loss(),
    new nn.BCEWithLogitsLoss(),
    F.mseLoss,
    F.l1Loss,
    F.bceWithLogits,
  ]) {
    t.true(Number.isFinite(await loss(randn([3, 2]), ones([3, 2])).item()))
    for (const wrong of [ones([3]), ones([3, 1]), ones([1, 2]), ones([6])]) {
      await refused(t, () => loss(randn([3, 2]), wrong), `${wrong.shape}`)
    }
  }
})
