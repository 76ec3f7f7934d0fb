// Stochastic weight averaging: the plain mean of the weights, with batch norms that have measured it.
import { cp } from 'node:fs/promises'
import test from 'ava'
import {
  BnFreeze,
  Callback,
  CancelFit,
  Checkpoint,
  CrossEntropyLossFlat,
  DataLoader,
  FetchPreds,
  getNumThreads,
  Learner,
  MixUp,
  manualSeed,
  memoryStats,
  nn,
  ProgressCallback,
  randint,
  randn,
  SaveModel,
  StochasticWeightAveraging,
  setNumThreads,
  synchronize,
  TensorDataset,
} from 'torch-learner'
import { failAt, folder } from './helpers/checkpoints.js'
import { weightsOf } from './helpers/learning.js'
import { noneLeft } from './helpers/memory.js'

const threads = getNumThreads()
test.serial.before(() => setNumThreads(1))
test.serial.after.always(() => setNumThreads(threads))

const buffersOf = (model: nn.Module) => model.buffers().flatMap(buffer => Array.from(buffer.dataSync(), Number))
const part = ({ model }: Learner, i: number) => (model as unknown as nn.Sequential).at(i)
const stateOf = ({ model }: Learner) => [...weightsOf(model), ...buffersOf(model)]

/** In float64, with batch norm and dropout, five batches an epoch in random order. */
function learner(cbs: Callback[] = [], path = '.', trainBn = true): Learner {
  manualSeed(5)
  const set = new TensorDataset(randn([20, 3], { dtype: 'float64' }), randint(0, 3, [20]))
  const [norm, head] = [new nn.BatchNorm1d(6), new nn.Linear(6, 3)]
  const model = new nn.Sequential(new nn.Linear(3, 6), norm, new nn.ReLU(), new nn.Dropout(0.2), head)
  model.to({ dtype: 'float64' })
  const dls = { train: new DataLoader(set, { bs: 4, shuffle: true }), valid: new DataLoader(set, { bs: 10 }) }
  const lossFunc = new CrossEntropyLossFlat()
  const learn = new Learner(dls, model, { lossFunc, lr: 0.1, cbs, path, trainBn })
  learn.logger = () => undefined
  return learn.removeCb(ProgressCallback)
}

const mean = (rows: number[][]) =>
  (rows[0] ?? []).map((_, i) => rows.reduce((sum, row) => sum + (row[i] ?? 0), 0) / rows.length)

/** Notes the weights after each of these. */
function weightsAfter(event: 'afterBatch' | 'afterTrain', into: number[][]): Callback {
  return new Callback({
    order: 100,
    runValid: false,
    [event]: ({ learn }: Callback) => void into.push(weightsOf(learn.model)),
  })
}

function close(actual: number[], expected: number[], tolerance = 1e-14): boolean {
  return actual.length === expected.length && actual.every((x, i) => Math.abs(x - (expected[i] ?? 0)) <= tolerance)
}

// float64 keeps 16 digits; a running mean of a few numbers around 1 loses one at most
test.serial('the mean by hand, after each epoch and after every so many batches', async t => {
  const cases = [
    [{ start: 0.5 }, 'afterTrain', [2, 3]],
    [{}, 'afterTrain', [3]],
    [{ start: 0 }, 'afterTrain', [0, 1, 2, 3]],
    [{ start: 0.5, everyBatches: 3 }, 'afterBatch', [11, 14, 17]],
    [{ start: 0.74, everyBatches: 1 }, 'afterBatch', [14, 15, 16, 17, 18, 19]],
    [{ start: 0.3, everyBatches: 6 }, 'afterBatch', [11, 17]],
  ] as const
  for (const [options, event, taken] of cases) {
    const rows: number[][] = []
    const swa = new StochasticWeightAveraging(options)
    const learn = learner()
    await learn.fit(4, { cbs: [swa, weightsAfter(event, rows)] })
    const expected = mean(taken.map(i => rows[i] ?? []))
    t.is(swa.nAveraged, taken.length, JSON.stringify(options))
    t.true(close(weightsOf(learn.model), expected), JSON.stringify(options))
  }
})

test.serial('training itself is as without it; the table is of the weights, validate() of the average', async t => {
  const plain = learner()
  await plain.fit(3)
  const averaged = learner() // seeds
  await averaged.fit(3, { cbs: new StochasticWeightAveraging({ start: 0.3 }) })
  t.deepEqual(averaged.recorder.losses, plain.recorder.losses)
  t.deepEqual(averaged.recorder.values, plain.recorder.values)
  const row = averaged.recorder.values.at(-1)
  t.notDeepEqual(await averaged.validate(), row)
})

test.serial('batch norms measure the average: means over the batches, each with the same weight', async t => {
  const batches = [0, 1, 2].map(() => [randn([5, 4], { dtype: 'float64' }), randint(0, 2, [5])])
  const norm = new nn.BatchNorm1d(4)
  const model = new nn.Sequential(norm, new nn.Linear(4, 2)).to({ dtype: 'float64' }) as nn.Sequential
  const learn = new Learner({ train: batches, valid: batches }, model, { lossFunc: new CrossEntropyLossFlat() })
  learn.logger = () => undefined
  learn.removeCb(ProgressCallback)
  // mixing changes what the norm sees in training, and not what it measures in the end
  await learn.fit(2, { cbs: [new StochasticWeightAveraging(), new MixUp(1)] })
  const columns = (values: (x: number[]) => number) =>
    [0, 1, 2, 3].map(c =>
      batches.reduce((sum, [x]) => {
        const data = Array.from(x?.dataSync() ?? [], Number)
        return sum + values([0, 1, 2, 3, 4].map(row => data[4 * row + c] ?? 0)) / batches.length
      }, 0),
    )
  const average = (x: number[]) => x.reduce((a, b) => a + b, 0) / x.length
  const variance = (x: number[]) => x.reduce((sum, value) => sum + (value - average(x)) ** 2, 0) / (x.length - 1)
  t.true(close(Array.from(norm.runningMean?.dataSync() ?? [], Number), columns(average)))
  t.true(close(Array.from(norm.runningVar?.dataSync() ?? [], Number), columns(variance)))
  t.is(Number(norm.numBatchesTracked?.dataSync()[0]), 3)
  t.is(norm.momentum, 0.1)
  t.is(norm.training, model.training)
})

test.serial('updateBn: false, and frozen batch norms, leave the statistics alone', async t => {
  const plain = learner()
  await plain.fit(2)
  const without = learner()
  await without.fit(2, { cbs: new StochasticWeightAveraging({ updateBn: false }) })
  t.deepEqual(buffersOf(without.model), buffersOf(plain.model))
  const frozen = learner([new BnFreeze()], '.', false)
  frozen.freeze()
  const before = buffersOf(frozen.model)
  for (const parameter of frozen.model.parameters()) parameter.requiresGrad = false
  for (const parameter of (part(frozen, 4) as nn.Linear).parameters()) parameter.requiresGrad = true
  await frozen.fit(2, { cbs: new StochasticWeightAveraging() })
  t.deepEqual(buffersOf(frozen.model), before)
})

for (const [epoch, iter, event] of [
  [0, 3, 'afterBatch'],
  [2, 1, 'afterBatch'],
  [2, 4, 'afterBatch'],
  [3, 0, 'beforeValidate'],
  [3, 0, 'beforeEpoch'],
] as const) {
  test.serial(`resumed after a crash at ${event}, epoch ${epoch}, batch ${iter}: the same average`, async t => {
    for (const options of [{ start: 0.4 }, { start: 0.4, everyBatches: 2 }]) {
      const make = (resume: boolean) => {
        const swa = new StochasticWeightAveraging(options)
        return [swa, new MixUp(0.4), new Checkpoint({ everyBatches: 1, resume })] as const
      }
      const plain = learner([], await folder())
      const [undisturbed, ...others] = make(false)
      await plain.fit(4, { cbs: [undisturbed, ...others] })
      const path = await folder()
      const failing = learner([], path).fit(4, { cbs: [...make(false), failAt(epoch, iter, event)] })
      await t.throwsAsync(failing, { message: /power cut/ })
      const again = learner([], path)
      const [swa, ...rest] = make(true)
      await again.fit(4, { cbs: [swa, ...rest] })
      t.deepEqual(stateOf(again), stateOf(plain))
      t.is(swa.nAveraged, undisturbed.nAveraged)
      // a finished fit is put back as it ended
      const elsewhere = await folder()
      await cp(path, elsewhere, { recursive: true })
      const finished = learner([], elsewhere)
      const [last, ...more] = make(true)
      await finished.fit(4, { cbs: [last, ...more] })
      t.deepEqual(stateOf(finished), stateOf(plain))
      t.is(last.nAveraged, undisturbed.nAveraged)
    }
  })
}

/** Has `act` called before the third batch of the third pass over the training data: of two epochs, the one that measures. */
function interruptMeasuring(learn: Learner, act: () => void): void {
  const train = learn.dls.train as DataLoader
  const { length, fresh, writable, n, bs } = train
  let passes = 0
  const watched = {
    ...{ length, fresh, writable, n, bs },
    getState: () => train.getState(),
    setState: (state: never) => train.setState(state),
    async *[Symbol.asyncIterator]() {
      const pass = passes++
      let i = 0
      for await (const batch of train) {
        if (pass === 2 && i++ === 2) act()
        yield batch
      }
    },
  }
  learn.dls = { ...learn.dls, train: watched }
}

test.serial('an abort or an error while batch norms are measured leaves what was trained', async t => {
  const plain = learner()
  await plain.fit(2)
  for (const kind of ['abort', 'error'] as const) {
    const path = await folder()
    const learn = learner([], path)
    const controller = new AbortController()
    const stop = () => {
      if (kind === 'error') throw new Error('of the user')
      controller.abort(new Error('of the user'))
    }
    const swa = new StochasticWeightAveraging({ start: 0 })
    interruptMeasuring(learn, stop)
    const fit = learn.fit(2, { cbs: [swa, new Checkpoint()], signal: controller.signal })
    await t.throwsAsync(fit, { message: /of the user/ }, kind)
    t.deepEqual(stateOf(learn), stateOf(plain), kind)
    t.true(learn.model.modules().every(module => module.training === learn.model.training))
    t.is((part(learn, 1) as nn.BatchNorm1d).momentum, 0.1)
    // the checkpoint is of the last epoch: going on from it, the average is installed after all
    const again = learner([], path)
    await again.fit(2, { cbs: [new StochasticWeightAveraging({ start: 0 }), new Checkpoint({ resume: true })] })
    const whole = learner()
    await whole.fit(2, { cbs: new StochasticWeightAveraging({ start: 0 }) })
    t.deepEqual(stateOf(again), stateOf(whole))
    await learn.fit(1)
  }
})

test.serial('an abort in training, or a fit that is over before averaging began, keeps the weights', async t => {
  const plain = learner()
  const stop = () => new Callback({ order: 63, afterEpoch: () => Promise.reject(new CancelFit()) })
  const warnings: (string | undefined)[] = []
  const listen = (warning: Error & { code?: string }) => void warnings.push(warning.code)
  process.on('warning', listen)
  await plain.fit(4, { cbs: stop() })
  const learn = learner()
  await learn.fit(4, { cbs: [stop(), new StochasticWeightAveraging()] })
  t.deepEqual(stateOf(learn), stateOf(plain))
  await new Promise(setImmediate)
  process.off('warning', listen)
  t.deepEqual(warnings, ['ERR_NOTHING_AVERAGED'])
  // one that a callback ends later has its average
  const early = learner()
  const swa = new StochasticWeightAveraging({ start: 0 })
  await early.fit(4, { cbs: [stop(), swa] })
  t.is(swa.nAveraged, 1)
  t.deepEqual(weightsOf(early.model), weightsOf(plain.model))
})

test.serial('SaveModel: atEnd saves the average', async t => {
  const learn = learner([], await folder())
  await learn.fit(2, { cbs: [new StochasticWeightAveraging({ start: 0 }), new SaveModel({ atEnd: true })] })
  const state = stateOf(learn)
  await learn.fit(1)
  await learn.load('model')
  t.deepEqual(stateOf(learn), state)
})

test.serial('lrFind, validate, predictions and sessions leave it alone', async t => {
  const swa = new StochasticWeightAveraging({ start: 0, everyBatches: 1 })
  const learn = learner([swa])
  const before = stateOf(learn)
  await learn.lrFind({ numIt: 12 })
  await learn.validate()
  await learn.getPreds({ dsIdx: 0 })
  await learn.session(() => undefined)
  t.is(swa.nAveraged, 0)
  t.deepEqual(stateOf(learn), before)
  await learn.fit(1, { cbs: new FetchPreds({ dsIdx: 0 }) })
  t.is(swa.nAveraged, 5)
  const after = stateOf(learn)
  await learn.validate()
  t.deepEqual([stateOf(learn), swa.nAveraged], [after, 5])
})

test.serial('no tensor is left over', async t => {
  const learn = learner()
  const train = () => learn.fit(2, { cbs: new StochasticWeightAveraging({ start: 0, everyBatches: 2 }) })
  await train()
  await synchronize()
  const before = memoryStats().tensors
  for (let i = 0; i < 3; i++) await train()
  await synchronize()
  noneLeft(t, before)
})

test('options are checked', t => {
  const bad = (options: object) => () => new StochasticWeightAveraging(options)
  const code = 'ERR_INVALID_ARG'
  t.throws(bad({ start: 1 }), {
    code,
    message: /a number from 0 to 1, 1 excluded for StochasticWeightAveraging's start/,
  })
  t.throws(bad({ everyBatches: 0 }), { code, message: /StochasticWeightAveraging's everyBatches/ })
  t.throws(bad({ updateBn: 1 }), { code, message: /true or false/ })
  t.throws(bad({ starts: 0.5 }), { code, message: /only start, everyBatches, updateBn/ })
  t.throws(bad([]), { code })
  t.is(new StochasticWeightAveraging().start, 0.75)
})
