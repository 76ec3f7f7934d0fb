// Checkpoints: what loaders and metrics have to say of themselves.
import test from 'ava'
import {
  AccumMetric,
  AvgMetric,
  accuracy,
  type BatchLoader,
  type BatchSource,
  BatchTransform,
  type Callback,
  Checkpoint,
  DataLoader,
  F1Score,
  type Generator,
  getNumThreads,
  IterableDataset,
  Metric,
  Recorder,
  RocAuc,
  randint,
  randn,
  setNumThreads,
  type Tensor,
  TensorDataset,
} from 'torch-learner'
import { failAt, folder, learner } from './helpers/checkpoints.js'
import { weightsOf } from './helpers/learning.js'

const threads = getNumThreads()
test.serial.before(() => setNumThreads(1))
test.serial.after.always(() => setNumThreads(threads))

const [x, y] = [randn([20, 2, 3, 3]), randint(0, 3, [20])]
const set = new TensorDataset(x, y)

/** A loader of one's own, whose batches depend on how many it has given. */
class Own {
  readonly length = 5
  readonly made: number[] = []
  at = 0;
  *[Symbol.iterator](): IterableIterator<Tensor[]> {
    for (let i = 0; i < this.length; i++) {
      this.at = (this.at * 5 + 3) % 16
      this.made.push(i)
      yield [x.narrow(0, this.at, 4), y.narrow(0, this.at, 4)]
    }
  }
}

class Stateful extends Own {
  getState(): unknown {
    return this.at
  }
  setState(state: unknown): void {
    this.at = Number(state)
  }
}

async function trained(path: string, train: BatchLoader, everyBatches: number, cut?: Callback): Promise<number[]> {
  const learn = learner(path)
  learn.dls = { train, valid: [] }
  const checkpoint = new Checkpoint({ resume: true, ...(everyBatches > 0 && { everyBatches }) })
  await learn.fit(3, { cbs: cut ? [checkpoint, cut] : checkpoint })
  return weightsOf(learn.model)
}

const weights = () => Float64Array.from({ length: 20 }, (_, i) => 1 + (i % 3))

/** Samples that are different each time, by the loader's random numbers. */
const noisy: BatchSource = {
  length: 20,
  usesRandom: true,
  load: (rows, { random }) => {
    const shift = random()
    return () =>
      set
        .load(rows)()
        .map((column, i) => (i === 0 ? column.add(shift) : column))
  },
}

class Noise extends BatchTransform {
  override encodes(input: Tensor, _device: string, _training: boolean, generator?: Generator): Tensor {
    return input.add(input.clone().normal_(0, 1, { generator }))
  }
}

const loaders: Record<string, () => BatchLoader> = {
  'with a seed': () => new DataLoader(set, { bs: 4, shuffle: true, seed: 3 }),
  'that draws by weight, with a seed': () => new DataLoader(set, { bs: 4, weights: weights(), seed: 3 }),
  'that draws by weight': () => new DataLoader(set, { bs: 4, weights: weights(), replacement: false }),
  'with a seed and random transforms': () =>
    new DataLoader(set, { bs: 4, shuffle: true, seed: 3, batchTfms: [new Noise()] }),
  'with random transforms': () => new DataLoader(set, { bs: 4, shuffle: true, batchTfms: [new Noise()] }),
  'whose samples are random themselves': () => new DataLoader(noisy, { bs: 4, shuffle: true, seed: 3, prefetch: 3 }),
  'with a state of its own': () => new Stateful(),
  'that gives the same in every pass': () =>
    Array.from({ length: 5 }, (_, i) => [x.narrow(0, i, 4), y.narrow(0, i, 4)]),
}
for (const [name, make] of Object.entries(loaders)) {
  test.serial(`a loader ${name}`, async t => {
    const expected = await trained(await folder(), make(), 1)
    const path = await folder()
    await t.throwsAsync(trained(path, make(), 1, failAt(1, 2, 'afterBatch')), { message: /power cut/ })
    t.deepEqual(await trained(path, make(), 1), expected)
  })
}

test.serial('a loader that gives other batches is found out', async t => {
  const path = await folder()
  await t.throwsAsync(trained(path, new Own(), 1, failAt(1, 2, 'afterBatch')), { message: /power cut/ })
  const other = new Own()
  other.at = 1
  await t.throwsAsync(trained(path, other, 1), {
    message: /The training loader gives other batches .* getState and setState/,
  })
  const whole = await folder()
  await t.throwsAsync(trained(whole, new Own(), 0, failAt(1, 2, 'afterBatch')), { message: /power cut/ })
  await t.notThrowsAsync(trained(whole, other, 0), 'between epochs nobody can tell')
})

test.serial('a loader of samples that can only be had one after the other', async t => {
  const [rows, classes] = [await x.toArray(), await y.toArray()]
  const samples = (rows as number[][][][]).map((row, i) => ({
    x: row.map(a => a.map(b => b.map(c => c + 0.01))),
    y: (classes as number[])[i],
  }))
  const make = (list = samples) =>
    new DataLoader(new IterableDataset(() => list, { n: 20, window: 6 }), { bs: 4, shuffle: true })
  const expected = await trained(await folder(), make(), 1)
  const path = await folder()
  await t.throwsAsync(trained(path, make(), 1, failAt(1, 2, 'afterBatch')), { message: /power cut/ })
  const others = samples.map(sample => ({ ...sample, y: 2 - sample.y }))
  await t.throwsAsync(trained(path, make(others), 1), { message: /The training loader gives other batches/ })
  t.deepEqual(await trained(path, make(), 1), expected)
})

test.serial('loaders that have changed are refused', async t => {
  const path = await folder()
  const seeded = (seed?: number) => new DataLoader(set, { bs: 4, shuffle: true, seed })
  await t.throwsAsync(trained(path, seeded(3), 1, failAt(1, 2, 'afterBatch')), { message: /power cut/ })
  await t.throwsAsync(trained(path, seeded(), 1), { message: /state of a loader without a seed/ })
  const short = new TensorDataset(x.narrow(0, 0, 18), y.narrow(0, 0, 18))
  await t.throwsAsync(trained(path, new DataLoader(short, { bs: 4 }), 1), {
    message: /18 training samples but .* 20 training/,
  })
  await t.throwsAsync(trained(path, new DataLoader(set, { bs: 5 }), 1), {
    message:
      /4 training batches an epoch, 5 samples a batch but .* is of one of 5 training batches an epoch, 4 samples/,
  })
  const stateless = new Own()
  await t.throwsAsync(trained(path, Object.assign(stateless, { n: 20, bs: 4 }), 1), {
    message: /Expected the state of the training loader but the checkpoint has one, which this loader has no setState/,
  })
  const fixed = await folder()
  await t.throwsAsync(trained(fixed, new Own(), 0, failAt(1, 2, 'afterBatch')), { message: /power cut/ })
  await t.throwsAsync(trained(fixed, new Stateful(), 1), {
    message: /state of the training loader but the checkpoint has none/,
  })
})

test.serial('batches that are done are not made again, where the loader can skip', async t => {
  const made: number[] = []
  const load = (rows: Int32Array) => {
    made.push(...rows)
    return set.load(rows)
  }
  const source = { length: 20, usesRandom: true, load }
  const make = () => new DataLoader(source, { bs: 4, seed: 1, shuffle: true, prefetch: 1 })
  const path = await folder()
  await t.throwsAsync(trained(path, make(), 1, failAt(2, 2, 'afterBatch')), { message: /power cut/ })
  made.length = 0
  await trained(path, make(), 1)
  t.is(made.length, 8, 'the last two of five')
})

test('an iterator that has skipped some goes on in the same order', async t => {
  const make = () => new DataLoader(set, { bs: 4, shuffle: true, seed: 1, prefetch: 1 })
  const all: number[][] = []
  for await (const [, targets] of make()) all.push(Array.from(await targets.data(), Number))
  const pass = make()[Symbol.asyncIterator]()
  await pass.skip(1)
  await pass.next()
  await pass.skip(2)
  const { value } = await pass.next()
  t.deepEqual(Array.from((await value?.[1].data()) ?? [], Number), all[4])
  t.true((await pass.next()).done)
  const over = make()[Symbol.asyncIterator]()
  await over.skip(9)
  t.true((await over.next()).done)
})

test('the state of a loader', t => {
  const one = new DataLoader(set, { seed: 1, shuffle: true })
  const two = new DataLoader(set, { seed: 2, shuffle: true })
  two.setState(JSON.parse(JSON.stringify(one.getState())))
  t.deepEqual(two.getState(), one.getState())
  t.deepEqual(new DataLoader(set).getState(), { generator: null })
  for (const wrong of [null, {}, { generator: 'no' }, { generator: Buffer.alloc(2500, 255).toString('base64') }, 3]) {
    t.throws(() => one.setState(wrong), { code: 'ERR_INVALID_ARG' })
  }
})

test.serial('lrFind leaves no trace in a loader with a seed', async t => {
  const learn = learner(await folder())
  const train = new DataLoader(set, { bs: 4, shuffle: true, seed: 3 })
  learn.dls = { train, valid: [] }
  const before = train.getState()
  await learn.lrFind({ numIt: 8 })
  t.deepEqual(train.getState(), before)
})

class Mute extends Metric {
  readonly name = 'mute'
  reset = () => undefined
  accumulate = () => undefined
  async value(): Promise<number> {
    return 1
  }
}

const spreadOf = () => new AccumMetric((pred, targ) => pred.std().add(targ.sum()), 'spread')

test.serial('metrics of training go on in the middle of an epoch', async t => {
  const run = async (path: string, cut?: Callback) => {
    const learn = learner(path)
    learn.metrics = [new AvgMetric(accuracy), new F1Score({ average: 'macro' }), new RocAuc(), spreadOf()]
    learn.removeCb(Recorder).addCb(new Recorder({ trainMetrics: true }))
    const checkpoint = new Checkpoint({ everyBatches: 2, resume: true })
    await learn.fit(2, { cbs: cut ? [checkpoint, cut] : checkpoint })
    return learn.recorder.values
  }
  const expected = await run(await folder())
  t.is(expected[0].length, 10)
  const path = await folder()
  await t.throwsAsync(run(path, failAt(0, 2, 'afterBatch')), { message: /power cut/ })
  await t.throwsAsync(run(path, failAt(1, 3, 'afterBatch')), { message: /power cut/ })
  t.deepEqual(await run(path), expected)
})

test.serial('a metric that can’t save what it has counted is refused in the middle of an epoch', async t => {
  const learn = learner(await folder())
  learn.metrics = [new Mute()]
  await learn.fit(1, { cbs: new Checkpoint({ everyBatches: 2 }) })
  learn.removeCb(Recorder).addCb(new Recorder({ trainMetrics: true }))
  await t.throwsAsync(learn.fit(1, { cbs: new Checkpoint({ everyBatches: 2 }) }), {
    message: /trainMetrics and mute can't save what it has counted .* Give the metric saveState and loadState/,
  })
  await learn.fit(1, { cbs: new Checkpoint() })
  t.is(learn.recorder.values.length, 1)
})
