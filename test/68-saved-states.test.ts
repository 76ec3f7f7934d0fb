// loadState called by hand, with anything: one clear error, and nothing changed.
import test from 'ava'
import {
  Callback,
  CSVLogger,
  EarlyStopping,
  F1Score,
  GradientAccumulation,
  MixChoice,
  MixedPrecision,
  MixUp,
  ModelEMA,
  ParamScheduler,
  Recorder,
  ReduceLROnPlateau,
  RocAuc,
  SaveModel,
  StochasticWeightAveraging,
  tensor,
} from 'torch-learner'
import { tinyLearner } from './helpers/learning.js'

const junk: unknown[] = [
  null,
  undefined,
  7,
  'state',
  [],
  () => 1,
  { values: 7 },
  { tensors: [] },
  { values: null, tensors: {} },
  { values: {}, tensors: { x: 1 } },
  { values: { lines: 7, best: 'x', wait: 'x', seen: 'x', steps: null, count: -1, parts: 3 }, tensors: { x: 'y' } },
]

const holders: Record<string, () => { loadState?(state: never): unknown }> = {
  CSVLogger: () => new CSVLogger(),
  EarlyStopping: () => new EarlyStopping(),
  ReduceLROnPlateau: () => new ReduceLROnPlateau(),
  SaveModel: () => new SaveModel(),
  GradientAccumulation: () => new GradientAccumulation(),
  MixedPrecision: () => new MixedPrecision(),
  MixUp: () => new MixUp(),
  MixChoice: () => new MixChoice([new MixUp()]),
  ModelEMA: () => new ModelEMA(),
  StochasticWeightAveraging: () => new StochasticWeightAveraging(),
  ParamScheduler: () => new ParamScheduler({ lr: () => 1 }),
  Recorder: () => new Recorder(),
  F1Score: () => new F1Score(),
  RocAuc: () => new RocAuc(),
}

for (const [name, make] of Object.entries(holders)) {
  test(`${name} refuses what no saveState gave`, async t => {
    for (const state of junk) {
      const holder = make()
      if (holder instanceof Callback) tinyLearner({ cbs: holder })
      const error = await t.throwsAsync(async () => await holder.loadState?.(state as never), undefined, String(state))
      t.is(Reflect.get(Object(error), 'code'), 'ERR_INVALID_ARG', String(error))
      t.regex(String(error), /for the state of .* but received/)
    }
  })
}

test('what saveState gave is taken back', async t => {
  const tracker = new EarlyStopping({ patience: 3 })
  tracker.best = 0.5
  tracker.wait = 2
  const other = new EarlyStopping({ patience: 3 })
  other.loadState({ tensors: {}, ...tracker.saveState() } as never)
  t.deepEqual([other.best, other.wait], [0.5, 2])
  const scheduler = new ParamScheduler({ lr: () => 1 })
  await scheduler.loadState({ values: {}, tensors: { lr: tensor([1, 2]) } })
  t.deepEqual(scheduler.hps, { lr: [1, 2] })
})
