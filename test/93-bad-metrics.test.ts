// Metrics, losses and saved states that are called by hand with anything at all: every error has a code.
import test, { type ExecutionContext } from 'ava'
import * as api from 'torch-learner'
import { type SavedCallbackState, Tensor, TorchLearnerError } from 'torch-learner'
import { tinyLearner } from './helpers/learning.js'

const { nn } = api

const junk = (): unknown[] => [
  undefined,
  null,
  5,
  Number.NaN,
  'x',
  true,
  {},
  [],
  [1],
  () => 1,
  Symbol('s'),
  new Date(0),
  api.ones([3]),
  api.tensor(1),
]

/** Whatever it returns is read; whatever it throws has to be an error of this package. */
async function coded(t: ExecutionContext, what: string, call: () => unknown): Promise<void> {
  try {
    const result = await call()
    for (const one of [result].flat()) if (one instanceof Tensor) await one.data()
  } catch (error) {
    t.true(error instanceof TorchLearnerError, `${what}: ${error}`)
  }
  t.pass()
}

type Func = (...args: unknown[]) => unknown

function functionsOf(name: string, value: object): [string, Func][] {
  const own = Object.entries(value).filter(([, part]) => typeof part === 'function' && !(part instanceof nn.Module))
  return [[name, value as Func], ...own.map(([key, part]): [string, Func] => [`${name}.${key}`, part])]
}

const metrics = Object.entries({
  accuracy: api.accuracy,
  errorRate: api.errorRate,
  topKAccuracy: api.topKAccuracy,
  accuracyMulti: api.accuracyMulti,
  mse: api.mse,
  mae: api.mae,
  rmse: api.rmse,
  expRmspe: api.expRmspe,
  rocAuc: api.rocAuc,
  confusionMatrix: api.confusionMatrix,
}).flatMap(([name, func]) => functionsOf(name, func))

const losses = [
  new api.CrossEntropyLossFlat(),
  new api.BCEWithLogitsLossFlat(),
  new api.MSELossFlat(),
  new api.L1LossFlat(),
  new api.FocalLossFlat(),
  new api.FocalLoss(),
  new api.LabelSmoothingCrossEntropyFlat(),
  new api.LabelSmoothingCrossEntropy(),
  new nn.CrossEntropyLoss(),
  new nn.BCEWithLogitsLoss(),
  new nn.MSELoss(),
  new nn.L1Loss(),
].flatMap((loss): [string, Func][] => {
  const methods = loss instanceof nn.BaseLoss ? (['activation', 'decodes'] as const) : []
  const { name } = loss.constructor
  return [
    [name, (...args) => Reflect.apply(loss, undefined, args)],
    ...methods.map((method): [string, Func] => [
      `${name}.${method}`,
      (...args) => Reflect.apply(Reflect.get(loss, method), loss, args),
    ]),
  ]
})

for (const [name, func] of [...metrics, ...losses]) {
  test(`${name} called with anything`, async t => {
    for (const a of junk()) {
      await coded(t, name, () => func(a))
      for (const b of junk()) {
        await coded(t, name, () => func(a, b))
        await coded(t, name, () => func(api.ones([2, 3]), api.tensor([0, 1]), a, b))
      }
    }
  })
}

const states = (): unknown[] => [
  ...junk(),
  { values: 5, tensors: {} },
  { values: {}, tensors: { counts: 5, total: 'x', sum: 1, scale: null } },
  { values: { count: 'x', parts: 7 }, tensors: { 0: api.tensor(1) } },
  { values: { count: 3, parts: {} }, tensors: {} },
  { values: { count: 1e12, parts: {} }, tensors: { 0: api.tensor(1) } },
  { values: { count: 1, parts: { 0: { outputs: 1, targets: 1, mixed: true } } }, tensors: { '0/0': api.tensor(1) } },
  { values: { iters: 1, values: 'x', count: -1 }, tensors: {} },
]

const stateful = {
  AvgMetric: () => new api.AvgMetric(api.accuracy),
  AccumMetric: () => new api.AccumMetric(api.rmse),
  Precision: () => new api.Precision(),
  F1ScoreMulti: () => new api.F1ScoreMulti(),
  RocAuc: () => new api.RocAuc(),
  RocAucBinary: () => new api.RocAucBinary(),
  AvgLoss: () => new api.AvgLoss(),
}
for (const [name, make] of Object.entries(stateful)) {
  test(`${name}: loadState and accumulate with anything`, async t => {
    const metric: api.Metric = make()
    for (const state of states()) {
      await coded(t, `${name}.loadState`, () => metric.loadState?.(state as SavedCallbackState))
      await coded(t, `${name}.value`, () => metric.value())
      await coded(t, `${name}.accumulate`, () => metric.accumulate(state as api.Learner))
      await coded(t, `${name}.reset`, () => metric.reset())
    }
  })
}

const callbacks = {
  Recorder: () => new api.Recorder({ trainMetrics: true }),
  GradientAccumulation: () => new api.GradientAccumulation(4),
  MixedPrecision: () => new api.MixedPrecision({ dtype: 'float16' }),
  ParamScheduler: () => new api.ParamScheduler({ lr: api.schedLin(0, 1) }),
  MixUp: () => new api.MixUp(),
  MixChoice: () => new api.MixChoice([new api.MixUp()]),
  SaveModel: () => new api.SaveModel(),
  EarlyStopping: () => new api.EarlyStopping(),
  ModelEMA: () => new api.ModelEMA(),
  StochasticWeightAveraging: () => new api.StochasticWeightAveraging(),
}
for (const [name, make] of Object.entries(callbacks)) {
  test(`${name}: loadState with anything`, async t => {
    for (const state of states()) {
      const callback: api.Callback = make()
      tinyLearner({ metrics: api.accuracy }).addCb(callback)
      await coded(t, name, () => callback.loadState?.(state as SavedCallbackState))
    }
  })
}
