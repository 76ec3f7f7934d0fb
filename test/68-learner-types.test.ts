// What compiles, and what doesn't: checked by tsc with the rest of the tests.
import test from 'ava'
import {
  type Awaitable,
  accuracy,
  Callback,
  CrossEntropyLossFlat,
  DataLoaders,
  errorRate,
  F1Score,
  Learner,
  type Metric,
  type MetricFunction,
  MixHandler,
  MixUp,
  nn,
  type Prediction,
  Recorder,
  RocAuc,
  resnet18,
  rmse,
  slice,
  type Tensor,
} from 'torch-learner'
import { tinyBatches, tinyModel } from './helpers/learning.js'

test('types of a Learner', t => {
  const metrics: MetricFunction[] = [accuracy, errorRate, (pred: Tensor, y: Tensor) => pred.sub(y).mean(), () => 1]
  const dls = new DataLoaders(tinyBatches(1), tinyBatches(1))
  const learn = new Learner(dls, tinyModel(), {
    lossFunc: (pred: Tensor, y: Tensor) => pred.sub(y).mean(),
    metrics,
    cbs: [MixUp, new Recorder({ trainMetrics: true }), new Callback({ order: 3, beforeBatch: async () => undefined })],
    lr: slice(1e-4, 1e-3),
  })
  const mixup: MixUp | undefined = learn.callback(MixUp)
  const base: MixHandler | undefined = learn.callback(MixHandler)
  const weight: Tensor | null | undefined = mixup?.lam
  const fit: (nEpoch: number) => Promise<void> = n => learn.fitOneCycle(n, { lrMax: [1e-3], moms: [0.9, 0.8, 0.9] })
  const found: Metric[] = learn.metrics
  t.is(base, mixup)
  t.is(weight, null)
  t.is(found.length, 4)
  t.is(typeof fit, 'function')
  t.notThrows(() => new Learner(dls, resnet18({ numClasses: 3 }), { lossFunc: new CrossEntropyLossFlat() }))
})

test('what the compiler refuses', t => {
  const refused: (() => Awaitable<unknown>)[] = [
    // @ts-expect-error there is no such event
    () => new Callback({ beforeLunch: () => undefined }),
    // @ts-expect-error alpha is a number
    () => new MixUp({ alpha: '0.4' }),
    // @ts-expect-error there is no such option
    () => new Learner({ train: [] }, tinyModel(), { lossFunc: accuracy, learningRate: 1 }),
    // @ts-expect-error a model is a Module
    () => new Learner({ train: [] }, (x: Tensor) => x, { lossFunc: accuracy }),
    // @ts-expect-error momentums are three
    () => new Learner({ train: [] }, new nn.Linear(1, 1), { lossFunc: accuracy, moms: [0.9, 0.8] }),
  ]
  for (const make of refused) t.throws(make, { code: 'ERR_INVALID_ARG' })
})

test('what entry points return', async t => {
  const learn = new Learner({ train: tinyBatches(2) }, tinyModel(), {
    lossFunc: new CrossEntropyLossFlat(),
    metrics: [new F1Score({ average: 'macro' }), RocAuc, rmse],
  })
  const { valley, losses }: { valley: number; losses: number[] } = await learn.lrFind({ numIt: 6 })
  const { label, probs }: Prediction = await learn.predict(tinyBatches(1, 1)[0][0].select(0, 0))
  const text: string = learn.showTrainingLoop()
  const reduced: number = learn.lossNotReduced(() => 1)
  const awaited: string = await learn.lossNotReduced(async () => 'x')
  t.true(valley > 0 && losses.length === 6 && probs.numel === 3 && label !== null)
  t.deepEqual([typeof text, reduced, awaited], ['string', 1, 'x'])
  // @ts-expect-error metrics know no such average
  t.throws(() => new F1Score({ average: 'mean' }), { code: 'ERR_INVALID_ARG' })
})
