// The callbacks: what each does.
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import {
  accuracy,
  BnFreeze,
  Callback,
  CancelFit,
  CancelTrain,
  ChannelsLast,
  CrossEntropyLossFlat,
  CSVLogger,
  EarlyStopping,
  FetchPreds,
  GradientAccumulation,
  GradientClip,
  Learner,
  ModelEMA,
  ProgressCallback,
  ReduceLROnPlateau,
  SGD,
  ShortEpoch,
  type Tensor,
  TerminateOnNaN,
  tensor,
} from 'torch-learner'
import { bnLearner, tinyLearner, tinyModel, weightsOf } from './helpers/learning.js'

const numbers = (x: Tensor | null | undefined) => Array.from(x?.dataSync() ?? [], Number)

test('orders are the reference’s', t => {
  const orders = [
    [new TerminateOnNaN(), -9],
    [new ChannelsLast(), -1],
    [new ShortEpoch(), 0],
    [new BnFreeze(), 0],
    [new FetchPreds(), 0],
    [new GradientAccumulation(), 6],
    [new GradientClip(), 11],
    [new CSVLogger(), 60],
    [new ReduceLROnPlateau(), 62],
    [new EarlyStopping(), 63],
  ] as const
  for (const [callback, order] of orders) t.is(callback.order, order, callback.label)
  t.false(new GradientAccumulation().runValid)
  t.deepEqual(
    orders.filter(([callback]) => callback.removeOnFetch).map(([callback]) => callback.label),
    ['FetchPreds', 'ReduceLROnPlateau', 'EarlyStopping'],
  )
})

test('options are checked', t => {
  t.throws(() => new GradientClip(0), { message: /a number above 0 for GradientClip's maxNorm/ })
  t.throws(() => new GradientClip({ normType: -1 }), { message: /GradientClip's normType/ })
  t.throws(() => new GradientAccumulation(1.5), { message: /a whole number of at least 1/ })
  t.throws(() => new ShortEpoch({ pct: 0 }), { message: /ShortEpoch's pct/ })
  t.throws(() => new CSVLogger(''), { message: /CSVLogger's fname/ })
  t.throws(() => new ModelEMA({ decay: 1 }), { message: /ModelEMA's decay/ })
  t.throws(() => new ModelEMA({ decoy: 1 } as object), { message: /only decay, warmup/ })
  for (const make of [
    (o: object) => new GradientClip(o),
    (o: object) => new GradientAccumulation(o),
    (o: object) => new ShortEpoch(o),
    (o: object) => new CSVLogger(o),
    (o: object) => new ModelEMA(o),
    (o: object) => new FetchPreds(o),
    (o: object) => new EarlyStopping(o),
    (o: object) => new ReduceLROnPlateau(o),
  ]) {
    t.throws(() => make([]), { code: 'ERR_INVALID_ARG' })
    t.throws(() => make(JSON.parse('null')), { code: 'ERR_INVALID_ARG' })
  }
  t.throws(() => new FetchPreds({ dsIdx: 3 as 1 }), { message: /FetchPreds's dsIdx/ })
})

test('GradientClip: together they have the norm, whichever it is', async t => {
  for (const normType of [2, 1, Number.POSITIVE_INFINITY]) {
    let seen: number[] = []
    const look = new Callback({
      order: 12,
      beforeStep: ({ learn }) => {
        seen = learn.model.parameters().flatMap(({ grad }) => numbers(grad))
      },
    })
    const learn = tinyLearner({ cbs: [new GradientClip({ maxNorm: 0.01, normType }), look], batches: [1, 0] })
    await learn.fit(1)
    const norm =
      normType === Number.POSITIVE_INFINITY
        ? Math.max(...seen.map(Math.abs))
        : seen.reduce((sum, g) => sum + Math.abs(g) ** normType, 0) ** (1 / normType)
    t.true(Math.abs(norm - 0.01) < 1e-5, `${normType}: ${norm}`)
  }
})

test('GradientAccumulation: two halves make the whole, leftovers are dropped, the loss is the plain one', async t => {
  const whole = tinyLearner({ batches: [1, 0] })
  const [x, y] = (whole.dls.train as Tensor[][])[0] as [Tensor, Tensor]
  const halves = [0, 2].map(i => [x.narrow(0, i, 2), y.narrow(0, i, 2)])
  const parts = new Learner({ train: [...halves, halves[0] as Tensor[]] }, tinyModel(), {
    lossFunc: new CrossEntropyLossFlat(),
    optFunc: (groups, { lr }) => new SGD(groups, { lr }),
    lr: 0.1,
  }).removeCb(ProgressCallback)
  parts.logger = () => undefined
  parts.model.loadStateDict(whole.model.stateDict())
  let steps = 0
  const countSteps = new Callback({ afterStep: () => void steps++ })
  await whole.fit(1)
  await parts.fit(1, { cbs: [new GradientAccumulation(4), countSteps] })
  t.is(steps, 1)
  const [a, b] = [weightsOf(whole.model), weightsOf(parts.model)]
  t.true(a.every((value, i) => Math.abs(value - (b[i] ?? 0)) < 1e-6))
  t.true(parts.model.parameters().every(({ grad }) => grad === null))
})

test('TerminateOnNaN: the fit ends, and the weights are those from before', async t => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const learn = tinyLearner({ batches: [20, 1] })
    const train = learn.dls.train as Tensor[][]
    train[3] = [
      tensor(new Float32Array(4 * 18).fill(bad), { shape: [4, 2, 3, 3] }),
      (train[3] as Tensor[])[1] as Tensor,
    ]
    for (let i = 4; i < 20; i++) train[i] = train[3] as Tensor[]
    const [terminate, events] = [new TerminateOnNaN(), [] as string[]]
    const watch = new Callback({
      afterBatch: () => void events.push('batch'),
      beforeValidate: () => void events.push('validate'),
      afterFit: () => void events.push('fit'),
    })
    await learn.fit(2, { cbs: [terminate, watch] })
    t.true(terminate.terminated)
    t.true(weightsOf(learn.model).every(Number.isFinite))
    t.true(events.length <= 3 + 5, `${events.length} batches, 4 at most after the bad one`)
    t.false(events.includes('validate'))
    t.is(events.at(-1), 'fit')
  }
})

test('TerminateOnNaN: also where validation or the last batch is bad', async t => {
  for (const part of ['train', 'valid'] as const) {
    const learn = tinyLearner({ batches: [2, 2] })
    const loader = learn.dls[part] as Tensor[][]
    loader[1] = [
      tensor(new Float32Array(4 * 18).fill(Number.NaN), { shape: [4, 2, 3, 3] }),
      (loader[1] as Tensor[])[1] as Tensor,
    ]
    const terminate = new TerminateOnNaN()
    await learn.fit(3, { cbs: terminate })
    t.is(learn.epoch, 0)
    t.true(terminate.terminated)
    t.true(weightsOf(learn.model).every(Number.isFinite))
  }
})

test('ShortEpoch', async t => {
  const seen = { train: 0, valid: 0 }
  const watch = new Callback({ order: -1, afterBatch: cb => void seen[cb.learn.training ? 'train' : 'valid']++ })
  await tinyLearner({ batches: [10, 10] }).fit(1, { cbs: [new ShortEpoch({ pct: 0.25 }), watch] })
  t.deepEqual(seen, { train: 4, valid: 4 })
  await tinyLearner({ batches: [10, 10] }).fit(1, { cbs: [new ShortEpoch({ pct: 0.25, shortValid: false }), watch] })
  t.deepEqual(seen, { train: 8, valid: 14 })
})

test('BnFreeze: frozen normalisations keep their statistics', async t => {
  const statistics = (learn: Learner) => learn.model.buffers().slice(0, 2).flatMap(numbers)
  for (const freezes of [true, false]) {
    const learn = bnLearner(freezes ? [new BnFreeze()] : [], false)
    learn.freeze()
    const before = statistics(learn)
    await learn.fit(1)
    if (freezes) t.deepEqual(statistics(learn), before)
    else t.notDeepEqual(statistics(learn), before)
  }
  const trains = bnLearner([new BnFreeze()])
  const before = statistics(trains)
  await trains.fit(1)
  t.notDeepEqual(statistics(trains), before, 'those that train follow their batches')
})

test('ChannelsLast lays out the weights', async t => {
  const learn = bnLearner()
  learn.model.to({ memoryFormat: 'contiguous_format' })
  await learn.fit(1, { cbs: new ChannelsLast() })
  const weight = learn.model.parameters()[0] as Tensor
  t.true(await weight.detach().permute([0, 2, 3, 1]).isContiguous())
})

test('CSVLogger writes what the table shows, and appends', async t => {
  const path = await mkdtemp(join(tmpdir(), 'csv-'))
  const logger = new CSVLogger({ fname: 'logs/history.csv', append: true })
  const learn = tinyLearner({ metrics: accuracy, path, cbs: logger })
  const rows: (readonly unknown[])[] = []
  learn.logger = row => rows.push(row)
  await learn.fit(2)
  await learn.validate()
  await writeFile(logger.path, '7,0.5', { flag: 'a' }) // a process that died in the middle of a line
  await learn.fit(1)
  const log = await logger.readLog()
  t.deepEqual(Object.keys(log[0] ?? {}), ['epoch', 'train_loss', 'valid_loss', 'accuracy', 'time'])
  t.deepEqual(
    log.filter(row => row.epoch !== 7).map(row => Object.values(row).slice(0, 4)),
    rows.map(row => row.slice(0, 4)),
  )
  t.is(log.length, 4)
  t.is((await readFile(logger.path, 'utf8')).match(/epoch/g)?.length, 1)

  const fresh = new CSVLogger('logs/history.csv')
  await learn.removeCb(CSVLogger).fit(1, { cbs: fresh })
  t.is((await fresh.readLog()).length, 1)

  learn.metrics.length = 0
  await t.throwsAsync(learn.fit(1, { cbs: logger }), {
    message: /Expected the columns epoch,train_loss,valid_loss,time/,
  })
})

test('CSVLogger passes over skipped epochs, and a cut one has empty cells', async t => {
  const path = await mkdtemp(join(tmpdir(), 'csv-'))
  const logger = new CSVLogger()
  const cut = new Callback({
    afterBatch: ({ learn }) => {
      if (learn.epoch === 1) throw new CancelTrain()
    },
    beforeValidate: ({ learn }) => void (learn.epoch === 1 && learn.callback('absent')),
  })
  const learn = tinyLearner({ path, cbs: logger })
  await t.notThrowsAsync(learn.fit(3, { startEpoch: 2 }))
  t.deepEqual(
    (await logger.readLog()).map(row => row.epoch),
    [2],
  )
  await t.throwsAsync(learn.fit(2, { cbs: cut }), { any: true })
  t.is((await logger.readLog()).length, 1)
})

test('FetchPreds: predictions of each epoch, the table as without', async t => {
  const plain = tinyLearner({ metrics: accuracy })
  await plain.fit(2)
  const [fetch, own] = [new FetchPreds({ withDecoded: true, withLoss: true }), new FetchPreds({ dsIdx: 0 })]
  const learn = tinyLearner({ metrics: accuracy })
  await learn.fit(2, { cbs: [fetch, own, new EarlyStopping({ patience: 5 })] })
  t.deepEqual(learn.recorder.values, plain.recorder.values)
  t.deepEqual(weightsOf(learn.model), weightsOf(plain.model))
  const { preds } = await learn.getPreds()
  t.deepEqual(numbers(fetch.preds?.preds), numbers(preds))
  t.deepEqual(fetch.preds?.decoded?.shape, [4])
  t.deepEqual(fetch.preds?.losses?.shape, [4])
  t.deepEqual(own.preds?.preds.shape, [8, 3])
  t.true(learn.model.training === learn.training)
  fetch.release()
  t.is(fetch.preds, null)
})

/** What PyTorch's lerp computes. */
const lerp = (a: number, b: number, weight: number) =>
  weight < 0.5 ? a + weight * (b - a) : b - (b - a) * (1 - weight)

test('ModelEMA: the average, by hand', async t => {
  const ema = new ModelEMA({ decay: 0.5 })
  let average: number[] = []
  const state = (learn: Learner) => [...learn.model.parameters(), ...learn.model.buffers()].flatMap(numbers)
  let validated: number[] = []
  const watch = new Callback({
    order: 100,
    beforeTrain: ({ learn }) => {
      if (learn.epoch === 0) average = state(learn)
    },
    afterStep: ({ learn }) => {
      const decay = Math.min(0.5, (1 + ema.steps) / (10 + ema.steps))
      const now = state(learn)
      average = average.map((value, i) => lerp(value, now[i] ?? 0, 1 - decay))
    },
    beforeBatch: ({ learn }) => {
      if (!learn.training) validated = state(learn)
    },
  })
  const learn = bnLearner()
  const plain = bnLearner()
  await plain.fit(2)
  await learn.fit(2, { cbs: [ema, watch] })
  const close = (a: number[], b: number[]) => a.every((value, i) => Math.abs(value - (b[i] ?? Number.NaN)) < 1e-5)
  const counters = 1 // the number of batches is copied, not averaged
  t.true(close(validated.slice(0, -counters), average.slice(0, -counters)))
  t.is(validated.at(-1), 6)
  t.deepEqual(state(learn), state(plain), 'training went on with the weights')
  t.true(Number(learn.recorder.values[1]?.[1]) !== Number(plain.recorder.values[1]?.[1]), 'metrics are the average’s')
  t.is(ema.steps, 6)
  ema.copyToModel()
  t.deepEqual(state(learn), validated)
  t.is([...ema.stateDict().keys()].length, 9)
  await learn.fit(1)
})

test('ModelEMA: nothing to copy before a fit; a stop by EarlyStopping leaves the weights', async t => {
  const ema = new ModelEMA()
  t.throws(() => ema.copyToModel(), { message: /no average yet/ })
  const stop = () => new Callback({ order: 63, afterEpoch: () => Promise.reject(new CancelFit()) })
  const [plain, learn] = [bnLearner([stop()]), bnLearner([ema, stop()])]
  await plain.fit(3)
  await learn.fit(3)
  t.is(learn.epoch, 0)
  t.deepEqual(weightsOf(learn.model), weightsOf(plain.model))
})
