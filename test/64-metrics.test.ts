// Metrics, batch split, predictions and validation, as recorded.
import test from 'ava'
import {
  AvgMetric,
  accuracy,
  accuracyMulti,
  Callback,
  CrossEntropyLossFlat,
  DataLoader,
  DataLoaders,
  errorRate,
  expRmspe,
  Learner,
  Metric,
  mae,
  mse,
  nn,
  randn,
  rmse,
  type Tensor,
  TensorDataset,
  tensor,
  topKAccuracy,
} from 'torch-learner'
import { assertClose, assertNumbers, type Fixture, golden, numbersOf, toTensor } from './helpers/golden.js'
import { tinyLearner, tinyModel } from './helpers/learning.js'
import { type PredictionCase, predictionLearner } from './helpers/predictions.js'

interface MetricCase {
  metric: string
  kwargs: { k?: number; axis?: number; thresh?: number; sigmoid?: boolean }
  pred: Fixture
  targ: Fixture
  out: Fixture
}

const metrics = golden<{
  cases: MetricCase[]
  avg_metric: { name: string; seq: { pred: Fixture; targ: Fixture; value: Fixture }[] }
}>('metrics')

const computed: Record<string, (pred: Tensor, targ: Tensor, options: MetricCase['kwargs']) => Tensor> = {
  accuracy: (pred, targ, { axis = -1 }) => accuracy(pred, targ, axis),
  error_rate: (pred, targ) => errorRate(pred, targ),
  top_k_accuracy: (pred, targ, { k = 5 }) => topKAccuracy(pred, targ, k),
  accuracy_multi: (pred, targ, { thresh, sigmoid }) => accuracyMulti(pred, targ, { thresh, sigmoid }),
  mse: (pred, targ) => mse(pred, targ),
  mae: (pred, targ) => mae(pred, targ),
  rmse: (pred, targ) => rmse(pred, targ),
  exp_rmspe: (pred, targ) => expRmspe(pred, targ),
}

for (const [i, recorded] of metrics.cases.entries()) {
  test(`${recorded.metric} ${i}`, async t => {
    const metric = computed[recorded.metric]
    if (!metric) return t.fail('an unknown metric was recorded')
    const value = metric(toTensor(recorded.pred), toTensor(recorded.targ), recorded.kwargs)
    await assertClose(t, value, recorded.out)
  })
}

test('the average over uneven batches weighs samples alike', async t => {
  const metric = new AvgMetric(accuracy)
  t.is(metric.name, metrics.avg_metric.name)
  t.is(await metric.value(), null)
  const learn = tinyLearner()
  for (const { pred, targ, value } of metrics.avg_metric.seq) {
    learn.split([tensor([0]), toTensor(targ)])
    learn.pred = toTensor(pred)
    metric.accumulate(learn)
    assertNumbers(t, [Number(await metric.value())], numbersOf(value))
  }
})

test('metrics may be functions, objects, classes, and numbers', async t => {
  class Rows extends Metric {
    readonly name = 'rows'
    #rows = 0
    reset(): void {
      this.#rows = 0
    }
    accumulate(learn: Learner): void {
      this.#rows += learn.bs
    }
    value(): Promise<number> {
      return Promise.resolve(this.#rows)
    }
  }
  const half = () => 0.5
  const learn = tinyLearner({ batches: [1, 3], metrics: [half, Rows, new AvgMetric(errorRate, 'wrong')] })
  await learn.fit(1)
  t.deepEqual(learn.recorder.metricNames.slice(3, -1), ['half', 'rows', 'wrong'])
  t.deepEqual(learn.recorder.values[0]?.slice(2, 4), [0.5, 12])
})

const misc = golden<PredictionCase>('misc_learner')

test('a batch is split into inputs and targets', t => {
  for (const { n_inp, batch_len, xb, yb, x } of misc.split) {
    const batch = Array.from({ length: batch_len }, (_, i) => tensor([i]))
    const learn = new Learner({ train: [], nInp: n_inp ?? undefined }, tinyModel(), {
      lossFunc: new CrossEntropyLossFlat(),
    })
    learn.split(batch)
    const ids = (tensors: Tensor[]) => tensors.map(part => batch.indexOf(part))
    t.deepEqual(ids(learn.xb), xb)
    t.deepEqual(ids(learn.yb), yb)
    t.deepEqual(Array.isArray(learn.x) ? ids(learn.x) : learn.x === null ? null : batch.indexOf(learn.x), x)
  }
})

test('validate', async t => {
  assertNumbers(t, (await predictionLearner(misc.get_preds).validate())?.map(Number) ?? [], misc.validate)
})

// The reference puts a loader of ready batches "back in order" by its one index, which leaves the first row only: as many
// rows are compared as were recorded.
test('getPreds', async t => {
  const recorded = misc.get_preds
  const learn = predictionLearner(misc.get_preds)
  const [count = 0] = recorded.preds.shape
  const first = (rows: Tensor) => rows.narrow(0, 0, count)
  const result = await learn.getPreds({ withLoss: true, withDecoded: true, withInput: true })
  await assertClose(t, first(result.preds), recorded.preds)
  if (!result.targs || !result.losses || !result.decoded || !result.inputs) return t.fail('a part is missing')
  await assertClose(t, first(result.targs), recorded.targs)
  await assertClose(t, first(result.losses), recorded.losses)
  await assertClose(t, first(result.decoded), recorded.decoded)
  const inputs = recorded.valid.map(([x]) => x.shape)
  t.deepEqual(result.inputs.shape, [inputs.reduce((sum, [n]) => sum + n, 0), ...inputs[0].slice(1)])
  const raw = await learn.getPreds({ act: pred => pred })
  await assertClose(t, first(raw.preds), misc.noact)
  t.is(raw.losses, undefined)
  t.is(learn.lossFunc.reduction, 'mean')
})

test('getPreds: losses of a plain function, own loader, errors', async t => {
  const learn = tinyLearner({
    batches: [1, 2],
    lossFunc: (pred: Tensor, y: Tensor, options?: { reduction?: 'none' | 'mean' }) =>
      new nn.CrossEntropyLoss(options)(pred, y),
  } as object)
  const original = learn.lossFunc
  const { losses } = await learn.getPreds({ withLoss: true })
  t.deepEqual(losses?.shape, [8])
  t.is(learn.lossFunc, original)
  t.deepEqual((await learn.getPreds({ dsIdx: 0 })).preds.shape, [4, 3])
  await t.throwsAsync(learn.getPreds({ dl: [] }), { code: 'ERR_NO_DATA' })
  await t.throwsAsync(learn.getPreds({ dsIdx: 2 } as object), { code: 'ERR_INVALID_ARG' })
  await t.throwsAsync(learn.validate({ what: 1 } as object), { code: 'ERR_INVALID_ARG' })
})

test('predictions inside a fit leave the training as it was', async t => {
  const look = new Callback({
    async afterEpoch(cb) {
      const { preds } = await cb.learn.getPreds({ inner: true })
      t.deepEqual(preds.shape, [4, 3])
    },
    async beforeStep(cb) {
      if (cb.learn.iter !== 0) return
      await cb.learn.getPreds({ inner: true })
      t.true(cb.learn.training && cb.learn.model.training)
    },
  })
  const learn = tinyLearner({ cbs: look })
  await learn.fit(2)
  t.is(learn.recorder.losses.length, 4)
})

test('predictions of a shuffled training set come in its own order, and complete', async t => {
  const y = Array.from({ length: 10 }, (_, i) => i % 3)
  const set = new TensorDataset(randn([10, 18]), tensor(y, { dtype: 'int64' }))
  const dls = new DataLoaders(new DataLoader(set, { bs: 4, shuffle: true, dropLast: true }))
  const learn = new Learner(dls, new nn.Sequential(new nn.Linear(18, 3)), { lossFunc: new CrossEntropyLossFlat() })
  const { preds, targs } = await learn.getPreds({ dsIdx: 0 })
  t.deepEqual(preds.shape, [10, 3])
  t.deepEqual(await targs?.toArray(), y)
})
