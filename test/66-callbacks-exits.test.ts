// The callbacks leave nothing behind, however a fit ends.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import {
  BnFreeze,
  Callback,
  CancelFit,
  ChannelsLast,
  Checkpoint,
  EarlyStopping,
  type EventName,
  FetchPreds,
  GradientAccumulation,
  GradientClip,
  MixedPrecision,
  ModelEMA,
  memoryStats,
  SaveModel,
  ShortEpoch,
  StochasticWeightAveraging,
  synchronize,
  TerminateOnNaN,
} from 'torch-learner'
import { bnLearner, weightsOf } from './helpers/learning.js'

/** Fails once, at the second occasion. */
function failing(event: EventName, make: () => unknown): Callback {
  let left = 2
  return new Callback({
    name: 'failing',
    order: 1,
    [event]: () => {
      if (--left === 0) throw make()
    },
  })
}

const all: Record<string, () => Callback> = {
  GradientClip: () => new GradientClip(),
  GradientAccumulation: () => new GradientAccumulation(8),
  TerminateOnNaN: () => new TerminateOnNaN(),
  ShortEpoch: () => new ShortEpoch({ pct: 0.5 }),
  BnFreeze: () => new BnFreeze(),
  FetchPreds: () => new FetchPreds(),
  ModelEMA: () => new ModelEMA({ decay: 0.5 }),
  StochasticWeightAveraging: () => new StochasticWeightAveraging({ start: 0, everyBatches: 1 }),
  ChannelsLast: () => new ChannelsLast(),
}
const events = [
  'beforeBatch',
  'afterLoss',
  'afterBackward',
  'beforeStep',
  'afterBatch',
  'beforeValidate',
  'afterValidate',
] as const

for (const [name, make] of Object.entries(all)) {
  test(`${name}: an error or an abort anywhere leaves everything as it should be`, async t => {
    for (const event of events) {
      for (const kind of ['error', 'abort'] as const) {
        const controller = new AbortController()
        const learn = bnLearner([], false)
        learn.freeze()
        const stop = () => {
          if (kind === 'error') return new Error('of the user')
          controller.abort()
          return new CancelFit()
        }
        const { logger, lossFunc } = learn
        let weights: number[] = []
        const [own, fail] = [make(), failing(event, stop)]
        const look = new Callback({
          order: -100,
          beforeValidate: cb => {
            weights = weightsOf(cb.learn.model)
          },
        })
        await t.throwsAsync(learn.fit(3, { cbs: [own, look, fail], signal: controller.signal }), { any: true })
        t.deepEqual([learn.logger, learn.lossFunc, learn.autocast], [logger, lossFunc, null])
        t.is(learn.callback(own.name), undefined)
        if (/Validate/.test(event)) t.deepEqual(weightsOf(learn.model), weights, 'the weights of training')
        t.true(
          learn.model.modules().every(module => module.training === learn.model.training),
          `${event}: modes`,
        )
        await learn.fit(1)
        t.is(learn.recorder.values.length, 1)
        t.true(learn.model.parameters().every(({ grad }) => grad === null))
      }
    }
  })
}

test.serial('fit after fit, no tensor stays behind', async t => {
  const path = await mkdtemp(join(tmpdir(), 'leaks-'))
  const cbs = [
    new FetchPreds(),
    new ModelEMA(),
    new StochasticWeightAveraging({ start: 0 }),
    new GradientClip(),
    new GradientAccumulation(8),
    new TerminateOnNaN(),
    new EarlyStopping({ patience: 9 }),
    new SaveModel(),
    new Checkpoint({ everyBatches: 2 }),
    new MixedPrecision({ dtype: 'float16' }),
  ]
  const learn = bnLearner(cbs)
  learn.path = path
  const live: number[] = []
  for (let i = 0; i < 3; i++) {
    await learn.fit(2)
    await synchronize()
    live.push(memoryStats().tensors)
  }
  // fewer is fine: what was left to the collector may have been found meanwhile
  t.true(
    live.every(count => count <= (live[0] ?? 0)),
    `${live}`,
  )
})
