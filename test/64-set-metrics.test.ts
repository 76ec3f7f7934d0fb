// Metrics over whole sets: counts of classes and labels, areas under curves, roots of means.
import test from 'ava'
import {
  AccumMetric,
  accuracy,
  BCEWithLogitsLossFlat,
  confusionMatrix,
  F1Score,
  F1ScoreMulti,
  FBeta,
  Learner,
  type Metric,
  MixUp,
  MSELossFlat,
  manualSeed,
  mse,
  nn,
  Precision,
  PrecisionMulti,
  Recall,
  RecallMulti,
  Recorder,
  RocAuc,
  RocAucBinary,
  randint,
  randn,
  rmse,
  rocAuc,
  type Tensor,
  tensor,
  zeros,
} from 'torch-learner'
import { assertNumbers } from './helpers/golden.js'
import { tinyLearner } from './helpers/learning.js'

/** Feeds a metric with batches, as the Recorder does. */
async function measure(metric: Metric, batches: [pred: Tensor, targ: Tensor][]): Promise<number | null> {
  const learn = tinyLearner()
  metric.reset()
  for (const [pred, targ] of batches) {
    learn.split([tensor([0]), targ])
    learn.pred = pred
    metric.accumulate(learn)
  }
  return metric.value()
}

/** Scores of which the one of class `c` is the highest. */
const scores = (classes: number[], count: number) =>
  tensor(classes.map(c => Array.from({ length: count }, (_, i) => (i === c ? 2 : 0.5 * i - 3))))

// truth:      0 0 0 0 1 1 1 2 2 2     predicted as below; class 3 never occurs
const truth = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
const guess = [0, 0, 1, 2, 1, 1, 0, 2, 2, 2]
const batches = (count = 4): [Tensor, Tensor][] =>
  [truth.slice(0, 4), truth.slice(4)].map((targ, i) => [
    scores(i === 0 ? guess.slice(0, 4) : guess.slice(4), count),
    tensor(targ, { dtype: 'int64' }),
  ])

const P = [2 / 3, 2 / 3, 3 / 4]
const R = [2 / 4, 2 / 3, 3 / 3]
const F = P.map((p, i) => (2 * p * R[i]) / (p + R[i]))
const mean = (values: number[], weights = values.map(() => 1)) =>
  values.reduce((sum, value, i) => sum + value * weights[i], 0) / weights.reduce((a, b) => a + b, 0)

test('precision, recall and F scores of several classes', async t => {
  const support = [4, 3, 3]
  const cases: [Metric, number][] = [
    [new Precision({ average: 'macro' }), mean(P)],
    [new Recall({ average: 'macro' }), mean(R)],
    [new F1Score({ average: 'macro' }), mean(F)],
    [new Precision({ average: 'weighted' }), mean(P, support)],
    [new F1Score({ average: 'weighted' }), mean(F, support)],
    [new Recall({ average: 'micro' }), 0.7],
    [new F1Score({ average: 'micro' }), 0.7],
    [new FBeta({ beta: 2, average: 'macro' }), mean(P.map((p, i) => (5 * p * R[i]) / (4 * p + R[i])))],
  ]
  for (const [metric, expected] of cases)
    assertNumbers(t, [(await measure(metric, batches())) ?? Number.NaN], [expected])
  const metric = new Precision({ average: 'macro' })
  t.is(await metric.value(), null)
  await measure(metric, batches(3))
  t.deepEqual(await metric.counts(), [
    [2, 1, 1],
    [1, 2, 0],
    [0, 0, 3],
  ])
})

test('confusion matrix, also of pictures', async t => {
  const [[pred, targ]] = batches(3)
  const expected = [
    [2, 1, 1],
    [0, 0, 0],
    [0, 0, 0],
  ]
  t.deepEqual(await confusionMatrix(pred, targ).toArray(), expected)
  const picture = pred.view([1, 2, 2, 3]).permute([0, 3, 1, 2])
  t.deepEqual(await confusionMatrix(picture, targ.view([1, 2, 2]), 1).toArray(), expected)
})

test('two classes', async t => {
  const pairs: [Tensor, Tensor][] = [[scores([1, 1, 0, 0, 1], 2), tensor([1, 0, 1, 0, 1], { dtype: 'int64' })]]
  assertNumbers(t, [Number(await measure(new Precision(), pairs))], [2 / 3])
  assertNumbers(t, [Number(await measure(new Recall({ posLabel: 0 }), pairs))], [1 / 2])
  const none: [Tensor, Tensor][] = [[scores([0, 0], 2), tensor([0, 0], { dtype: 'int64' })]]
  t.is(await measure(new F1Score(), none), 0)
  await t.throwsAsync(measure(new F1Score(), batches()), { code: 'ERR_INVALID_ARG', message: /f1_score's average/ })
  t.throws(() => new F1Score({ average: 'samples' } as object), { code: 'ERR_INVALID_ARG' })
  t.throws(() => new FBeta({ beta: 0 }), { code: 'ERR_INVALID_ARG' })
})

test('several labels per sample', async t => {
  const pred = tensor([
    [3, -3, 3],
    [3, 3, -3],
    [-3, -3, -3],
  ])
  const targ = tensor([
    [1, 0, 0],
    [0, 1, 0],
    [1, 0, 0],
  ])
  const rows: [Tensor, Tensor][] = [[pred, targ]]
  assertNumbers(t, [Number(await measure(new PrecisionMulti(), rows))], [mean([1 / 2, 1, 0])])
  assertNumbers(t, [Number(await measure(new RecallMulti(), rows))], [mean([1 / 2, 1, 0])])
  assertNumbers(t, [Number(await measure(new F1ScoreMulti({ average: 'micro' }), rows))], [4 / 7])
  assertNumbers(
    t,
    [Number(await measure(new F1ScoreMulti({ average: 'weighted', sigmoid: false, thresh: 3 }), rows))],
    [0],
  )
  const learn = tinyLearner({ metrics: new F1ScoreMulti(), lossFunc: new BCEWithLogitsLossFlat() })
  learn.dls = { train: [], valid: [[randn([4, 2, 3, 3]), randint(0, 2, [4, 3]).to({ dtype: 'float32' })]] }
  t.is((await learn.validate())?.length, 2)
})

/** By all pairs. */
function areaByPairs(values: number[], positive: number[]): number {
  let wins = 0
  let pairs = 0
  values.forEach((a, i) => {
    values.forEach((b, j) => {
      if (positive[i] === 0 || positive[j] !== 0) return
      pairs += 1
      wins += a > b ? 1 : a === b ? 0.5 : 0
    })
  })
  return wins / pairs
}

test.serial('area under the ROC curve, ties included', async t => {
  manualSeed(2)
  for (const n of [5, 40]) {
    const values = await randint(0, 7, [n]).to({ dtype: 'float32' }).data()
    const labels = await randint(0, 2, [n]).data()
    const [v, l] = [Array.from(values, Number), Array.from(labels, Number)]
    l[0] = 1
    l[1] = 0
    assertNumbers(t, [await rocAuc(tensor(v), tensor(l)).item()], [areaByPairs(v, l)], { atol: 1e-12 })
  }
  t.true(Number.isNaN(await rocAuc(tensor([0.1, 0.2]), tensor([1, 1])).item()))
})

test.serial('ROC AUC as a metric', async t => {
  manualSeed(4)
  const [pred, targ] = [randn([30, 2]), randint(0, 2, [30])]
  const rows: [Tensor, Tensor][] = [
    [pred.narrow(0, 0, 20), targ.narrow(0, 0, 20)],
    [pred.narrow(0, 20, 10), targ.narrow(0, 20, 10)],
  ]
  const margin = Array.from(await pred.select(1, 1).sub(pred.select(1, 0)).data(), Number)
  const truth = Array.from(await targ.data(), Number)
  const area = areaByPairs(margin, truth)
  assertNumbers(t, [Number(await measure(new RocAucBinary(), rows))], [area])
  assertNumbers(t, [Number(await measure(new RocAuc(), rows))], [area])
  const column: [Tensor, Tensor][] = [[pred.narrow(1, 1, 1), targ]]
  const single = areaByPairs(Array.from(await pred.select(1, 1).data(), Number), truth)
  assertNumbers(t, [Number(await measure(new RocAucBinary(), column))], [single])
  t.is(await measure(new RocAuc(), [[randn([4, 3]), zeros([4], { dtype: 'int64' })]]), null)
  t.is(await new RocAucBinary().value(), null)
})

test.serial('a root over a set is not the mean of its batches roots', async t => {
  const rows: [Tensor, Tensor][] = [
    [tensor([1, 2]), tensor([0, 0])],
    [tensor([9]), tensor([0])],
  ]
  assertNumbers(t, [Number(await measure(new AccumMetric(rmse), rows))], [Math.sqrt(86 / 3)])
  const metric = new AccumMetric(
    async (pred, targ) => (await pred.flatten().sub(targ.flatten()).abs().max().item()) * 2,
  )
  t.is(metric.name, 'metric')
  t.is(await measure(metric, [[tensor([1, 2]), tensor([0, 0])]]), 4)
  const learn = tinyLearner({ metrics: [rmse, mse], lossFunc: new MSELossFlat(), batches: [1, 0] })
  learn.dls = {
    train: learn.dls.train,
    valid: [3, 1].map(n => [randn([n, 2, 3, 3]), randn([n, 3])]),
  }
  const row = await learn.validate()
  assertNumbers(t, [Number(row?.[1]) ** 2], [Number(row?.[2])], { rtol: 1e-5 })
  t.deepEqual(learn.recorder.metricNames.slice(-3, -1), ['rmse', 'mse'])
})

test.serial('in training under MixUp both classes of a sample count, each by its weight', async t => {
  const half = {
    beta: (_: number, n: number) => new Float32Array(n).fill(0.75),
    permutation: (n: number) => {
      return Int32Array.from({ length: n }, (_, i) => (i + 1) % n)
    },
    integer: () => 0,
  }
  class Fixed extends nn.Module {
    weight = new nn.Parameter(zeros([1]))
    forward(x: Tensor): Tensor {
      return scores([0, 1, 0, 1], 2).add(this.weight).add(x.sum().mul(0))
    }
  }
  const recall = new Recall({ average: 'micro' })
  const learn = tinyLearner({ metrics: [accuracy, recall], cbs: new MixUp({ alpha: 1, random: half }) })
  const batch = [randn([4, 2, 3, 3]), tensor([0, 0, 1, 1], { dtype: 'int64' })]
  const own = new Learner({ train: [batch], valid: [] }, new Fixed(), {
    lossFunc: learn.lossFunc,
    metrics: [accuracy, recall],
    cbs: new MixUp({ alpha: 1, random: half }),
    defaultCbs: false,
  })
  own.addCb(learn.cbs.filter(cb => cb.name === 'trainEval'))
  own.addCb(new Recorder({ trainMetrics: true, validMetrics: false }))
  own.logger = () => undefined
  await own.fit(1)
  // own labels 0 0 1 1, partners' 0 1 1 0, predicted 0 1 0 1: rows right by 1, .25, 0, .75
  const [, acc, rec] = own.recorder.values[0] ?? []
  assertNumbers(t, [Number(acc), Number(rec)], [0.5, 0.5])
  t.deepEqual(await recall.counts(), [
    [1 + 0.25 * 0, 0.75 + 0.25],
    [1, 1],
  ])
})
