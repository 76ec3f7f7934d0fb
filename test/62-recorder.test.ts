// What is recorded, and how it is shown.
import test from 'ava'
import {
  AvgMetric,
  accuracy,
  Callback,
  CancelBatch,
  CancelTrain,
  CrossEntropyLossFlat,
  errorRate,
  Learner,
  LiveRenderer,
  MixUp,
  PlainRenderer,
  ProgressCallback,
  Recorder,
  SGD,
  TrainEvalCallback,
} from 'torch-learner'
import { assertNumbers, type Fixture, golden, toTensor } from './helpers/golden.js'
import { tinyLearner, tinyModel } from './helpers/learning.js'

interface Case {
  train_metrics: boolean
  valid_metrics: boolean
  add_time: boolean
  metric_names: string[]
  values: number[][]
  losses: number[]
  lrs: number[]
  iters: number[]
  final_record: number[]
  raw_batch_losses: [training: boolean, loss: number, bs: number][]
  log_lens: number[]
  weights: Record<string, Fixture>
  train: Fixture[][]
  valid: Fixture[][]
  lr: number
}

const { cases } = golden<{ cases: Case[] }>('recorder')

for (const [i, recorded] of cases.entries()) {
  test(`recorder ${i}: train metrics ${recorded.train_metrics}, valid metrics ${recorded.valid_metrics}`, async t => {
    const batches = (list: Fixture[][]) => list.map(batch => batch.map(toTensor))
    const raw: number[] = []
    const logged: number[] = []
    const learn = new Learner(
      { train: batches(recorded.train), valid: batches(recorded.valid) },
      tinyModel(recorded.weights),
      {
        lossFunc: new CrossEntropyLossFlat(),
        optFunc: (groups, { lr }) => new SGD(groups, { lr }),
        metrics: [accuracy, errorRate],
        defaultCbs: false,
        cbs: [
          TrainEvalCallback,
          new Recorder({
            trainMetrics: recorded.train_metrics,
            validMetrics: recorded.valid_metrics,
            addTime: recorded.add_time,
          }),
          new Callback({ afterLoss: async cb => void raw.push((await cb.learn.loss?.item()) ?? Number.NaN) }),
        ],
      },
    )
    learn.logger = row => logged.push(row.length)
    await learn.fit(recorded.values.length, { lr: recorded.lr })
    const { recorder } = learn
    t.deepEqual(recorder.metricNames, recorded.metric_names)
    assertNumbers(
      t,
      raw,
      recorded.raw_batch_losses.map(([, loss]) => loss),
      {},
      'raw losses',
    )
    assertNumbers(t, recorder.losses, recorded.losses, {}, 'losses')
    assertNumbers(t, recorder.lrs, recorded.lrs, {}, 'lrs')
    assertNumbers(t, recorder.values.flat().map(Number), recorded.values.flat(), {}, 'values')
    assertNumbers(t, learn.finalRecord?.map(Number) ?? [], recorded.final_record, {}, 'final record')
    t.deepEqual(recorder.iters, recorded.iters)
    t.deepEqual(logged, recorded.log_lens)
    t.is(learn.smoothLoss, recorder.losses.at(-1) ?? null)
  })
}

test('rows keep their columns when a part is cancelled', async t => {
  const stop = new Callback({
    afterBatch(cb) {
      if (cb.learn.training) throw new CancelTrain()
    },
  })
  const learn = tinyLearner({ metrics: errorRate, cbs: stop })
  await learn.fit(1)
  const [row] = learn.recorder.values
  t.is(row?.length, 3)
  t.is(row?.[0], null)
  t.true(Number.isFinite(row?.[1]))
})

test('a batch cancelled before its loss counts for nothing', async t => {
  const skip = new Callback({
    beforeBatch(cb) {
      if (cb.learn.iter === 0) throw new CancelBatch()
    },
  })
  const learn = tinyLearner({ batches: [3, 1], cbs: skip })
  await learn.fit(1)
  t.is(learn.recorder.losses.length, 2)
  t.is(learn.recorder.lrs.length, 2)
})

test('without validation data there is no validation loss', async t => {
  const learn = tinyLearner({ batches: [2, 0], metrics: accuracy })
  await learn.fit(1)
  t.deepEqual(learn.recorder.values[0]?.slice(1), [null, null])
})

test('metrics of training under MixUp are measured against both targets', async t => {
  const always = new AvgMetric((pred, y) => y.to({ dtype: 'float32' }).mean().add(pred.mean().mul(0)), 'mean_target')
  const mixup = new MixUp({
    alpha: 1,
    random: {
      beta: (_, n) => new Float32Array(n).fill(0.75),
      permutation: n => Int32Array.from({ length: n }, (_, i) => n - 1 - i),
      integer: () => 0,
    },
  })
  const truth: number[] = []
  const learn = tinyLearner({
    batches: [1, 0],
    defaultCbs: false,
    metrics: [always, accuracy],
    cbs: [TrainEvalCallback, new Recorder({ trainMetrics: true }), mixup],
  })
  learn.addCb(
    new Callback({
      order: 5,
      async afterPred(cb) {
        const [y, y1] = [cb.learn.yb[0], mixup.yb1[0]]
        const hits = cb.learn.pred?.argmax(1)
        if (!y || !y1 || !hits) return
        const own = await hits.eq(y).to({ dtype: 'float32' }).mean().item()
        const partner = await hits.eq(y1).to({ dtype: 'float32' }).mean().item()
        truth.push(0.75 * own + 0.25 * partner)
      },
    }),
  )
  await learn.fit(1)
  const [row] = learn.recorder.values
  assertNumbers(t, [Number(row?.[2])], truth)
})

class Sink {
  text = ''
  constructor(readonly isTTY: boolean) {}
  readonly columns = 100
  write(text: string): void {
    this.text += text
  }
}

test('plain progress: a table, and lines now and then', async t => {
  const sink = new Sink(false)
  const learn = tinyLearner({ metrics: errorRate })
  learn.addCb(new ProgressCallback({ renderer: new PlainRenderer(sink) }))
  const { logger } = learn
  await learn.fit(2)
  const lines = sink.text.trimEnd().split('\n')
  t.is(lines.length, 3)
  t.regex(lines[0], /^epoch \| train_loss \| valid_loss \| error_rate \| +time$/)
  t.regex(lines[1], /^ +0 \| +\d\.\d{6} \| +\d\.\d{6} \| +\d\.\d{6} \| 00:0\d$/)
  t.is(learn.logger, logger)
})

test('live progress: a bar that gives way to the rows', async t => {
  const sink = new Sink(true)
  const renderer = new LiveRenderer(sink)
  const learn = tinyLearner().addCb(new ProgressCallback({ renderer }))
  await learn.fit(1)
  t.true(sink.text.startsWith('epoch | train_loss'))
  renderer.progress({ epoch: 0, nEpoch: 2, part: 'train', done: 5, total: 10, loss: 1.25, rate: 512, eta: 65 })
  t.regex(sink.text, /epoch 1\/2 train █{12}░{12} {2}5\/10 {2}loss 1\.2500 {2}512 samples\/s {2}ETA 01:05/)
  const plain = new Sink(false)
  const lines = new PlainRenderer(plain)
  lines.progress({ epoch: 0, nEpoch: 2, part: 'valid', done: 5, total: 10, loss: null, rate: 512, eta: 5 })
  t.is(plain.text, 'epoch 1/2 valid  50 %  512 samples/s  ETA 00:05\n')
})

test('the logger is restored after an error too', async t => {
  const broken = new Callback({
    afterBatch() {
      throw new Error('broken')
    },
  })
  const renderer = new PlainRenderer(new Sink(false))
  const learn = tinyLearner().addCb([new ProgressCallback({ renderer }), broken])
  const { logger } = learn
  await t.throwsAsync(learn.fit(1))
  t.is(learn.logger, logger)
})

test('validation shows nothing', async t => {
  const sink = new Sink(false)
  const learn = tinyLearner().addCb(new ProgressCallback({ renderer: new PlainRenderer(sink) }))
  await learn.validate()
  t.is(sink.text, '')
})
