// The search for a learning rate: recorded runs, suggestions on recorded curves, and that it leaves no trace.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import {
  Callback,
  CrossEntropyLossFlat,
  DataLoader,
  DataLoaders,
  Learner,
  type LrFindResult,
  MixUp,
  manualSeed,
  nn,
  randint,
  randn,
  rng,
  type Tensor,
  TensorDataset,
} from 'torch-learner'
import { suggestions } from '../dist/schedule/lr-suggest.js'
import { assertNumbers, type Fixture, golden, numbersOf } from './helpers/golden.js'
import { tinyBatches, tinyLearner, tinyModel, weightsOf } from './helpers/learning.js'
import { type FindRun, findLearner } from './helpers/lr-find.js'

type Name = keyof typeof suggestions

const recording = golden<{
  runs: FindRun[]
  suggestion_functions: { lrs: Fixture; losses: Fixture; out: Record<Name, { lr: number; point: number[] }> }[]
}>('lr_find')

const close = { atol: 0, rtol: 2e-6 }

for (const [i, run] of recording.runs.entries()) {
  test.serial(`recorded run ${i}`, async t => {
    const learn = findLearner(run)
    const before = weightsOf(learn.model)
    const found = await learn.lrFind({ startLr: run.start_lr, endLr: run.end_lr, numIt: run.num_it })
    t.is(found.losses.length, run.stopped_after)
    assertNumbers(t, found.lrs, run.lrs, close, 'lrs')
    assertNumbers(t, found.losses, run.smooth_losses.map(Number), { rtol: 1e-5 }, 'losses')
    for (const [name, lr] of Object.entries(run.suggestions)) assertNumbers(t, [found[name as Name]], [lr], close, name)
    t.deepEqual(weightsOf(learn.model), before)
    t.deepEqual(
      learn.opt?.hypers.map(({ lr }) => lr),
      run.lr_after,
    )
  })
}

for (const [i, curve] of recording.suggestion_functions.entries()) {
  test(`suggestions on recorded curve ${i}`, t => {
    for (const [name, { lr, point }] of Object.entries(curve.out)) {
      const found = suggestions[name as Name](numbersOf(curve.lrs), numbersOf(curve.losses))
      assertNumbers(t, [found.lr, ...found.point], [lr, ...point], close, name)
    }
  })
}

test('suggestions on short and strange curves', t => {
  for (const losses of [
    [1, 2],
    [2, 1],
    [1, 1, 1],
    [5, 4, 3, 2, 1, 0],
    [0, Number.POSITIVE_INFINITY],
  ]) {
    const lrs = losses.map((_, i) => 10 ** (i - 5))
    for (const suggest of Object.values(suggestions)) {
      const { lr, point } = suggest(lrs, losses)
      t.true(Number.isFinite(lr) && lrs.includes(point[0]) && losses.includes(point[1]))
    }
  }
})

/** With dropout, batch normalisation, a shuffled loader with its own seed, and an optimizer that has worked. */
async function usedLearner(cbs: Callback[] = []): Promise<Learner> {
  manualSeed(3)
  const set = new TensorDataset(randn([24, 6]), randint(0, 3, [24]))
  const train = new DataLoader(set, { bs: 6, shuffle: true, seed: 5 })
  const model = new nn.Sequential(
    new nn.Linear(6, 8),
    new nn.BatchNorm1d(8),
    new nn.Dropout(0.3),
    new nn.ReLU(),
    new nn.Linear(8, 3),
  )
  const learn = new Learner(new DataLoaders(train, new DataLoader(set, { bs: 8 })), model, {
    lossFunc: new CrossEntropyLossFlat(),
    cbs,
  })
  learn.removeCb(learn.cbs.filter(cb => cb.name === 'progress'))
  learn.logger = () => undefined
  await learn.fit(1)
  return learn
}

const state = (learn: Learner) => ({
  weights: [...learn.model.namedState()].map(([name, value]) => [name, Array.from(value.detach().dataSync(), Number)]),
  moments: learn.opt?.stateDict().state.map(({ tensors, ...flags }) => ({
    ...flags,
    tensors: Object.entries(tensors).map(([name, value]) => [name, Array.from(value.dataSync(), Number)]),
  })),
  hypers: learn.opt?.hypers,
  random: Array.from(rng.getState().dataSync(), Number),
  recorder: [learn.recorder.losses, learn.recorder.lrs, learn.recorder.values, learn.recorder.iters],
  loop: [learn.epoch, learn.nEpoch, learn.trainIter, learn.pctTrain, learn.training, learn.smoothLoss],
  record: learn.finalRecord,
  modes: learn.model.modules().map(module => module.training),
  callbacks: learn.cbs.map(cb => cb.name),
})

test.serial('leaves no trace: the next fit is the one that it would have been', async t => {
  const [plain, searched] = [await usedLearner(), await usedLearner()]
  manualSeed(11)
  await plain.fit(2)
  manualSeed(11)
  const before = state(searched)
  const found = await searched.lrFind({ numIt: 20, endLr: 1 })
  t.is(found.losses.length, 20)
  t.deepEqual(state(searched), before)
  await searched.fit(2)
  t.deepEqual(weightsOf(searched.model), weightsOf(plain.model))
  t.deepEqual(searched.recorder.losses, plain.recorder.losses)
})

test.serial('leaves no trace when it fails or is cancelled', async t => {
  let broken = false
  const breaking = new Callback({
    afterBatch({ learn }) {
      if (broken && learn.iter === 2) throw new Error('on purpose')
    },
  })
  const learn = await usedLearner([breaking])
  const before = state(learn)
  broken = true
  await t.throwsAsync(learn.lrFind(), { code: 'ERR_CALLBACK', message: /on purpose/ })
  t.deepEqual(state(learn), before)
  t.true(learn.model.parameters().every(parameter => parameter.grad === null))
  broken = false
  await t.throwsAsync(learn.lrFind({ signal: AbortSignal.abort(new Error('no more')) }), { message: 'no more' })
  const stop = new AbortController()
  const stopping = new Callback({ afterPred: () => stop.abort(new Error('enough')) })
  await learn.addedCbs(stopping, () => t.throwsAsync(learn.lrFind({ signal: stop.signal }), { message: 'enough' }))
  t.deepEqual(state(learn), before)
  t.is(learn.isRunning, false)
})

test.serial('mixing, and a loss that diverges at once', async t => {
  const learn = tinyLearner({ cbs: new MixUp(0.4), batches: [3, 1] })
  const lossFunc = learn.lossFunc
  const found: LrFindResult = await learn.lrFind({ numIt: 30 })
  for (const name of ['valley', 'slide', 'minimum', 'steep'] as const) t.true(found[name] > 0)
  t.is(learn.lossFunc, lossFunc)
  const wild = tinyLearner({ lossFunc: (pred: Tensor) => pred.sum().mul(Number.NaN) })
  await t.throwsAsync(wild.lrFind(), { code: 'ERR_NO_DATA', message: /NaN after 0 steps/ })
  await t.notThrowsAsync(tinyLearner().lrFind({ numIt: 6 }))
})

test.serial('the curve is drawn', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'lr-find-'))
  try {
    const file = join(folder, 'deep', 'lr.svg')
    const { valley } = await tinyLearner().lrFind({ numIt: 40, file })
    const svg = await readFile(file, 'utf8')
    t.true(svg.includes(`valley ${valley.toExponential(1)}`))
    t.is(svg.match(/<circle/g)?.length, 8)
    await tinyLearner().lrFind({ numIt: 40, file: join(folder, 'lr.png') })
    t.is((await readFile(join(folder, 'lr.png'))).subarray(1, 4).toString(), 'PNG')
    const own = join(folder, 'own.svg')
    await tinyLearner().lrFind({ numIt: 40, file: own, suggestFuncs: { mine: () => 0.02, steep: 'steep' } })
    const drawn = await readFile(own, 'utf8')
    t.true(drawn.includes('mine 2.0e-2') && drawn.includes('steep ') && !drawn.includes('valley'))
    await tinyLearner().lrFind({ numIt: 40, file: join(folder, 'none.svg'), showPlot: false })
    t.false((await readdir(folder)).includes('none.svg'))
    t.true(svg.includes('prefers-color-scheme'))
    await tinyLearner().lrFind({ numIt: 40, file: own, theme: 'dark' })
    t.false((await readFile(own, 'utf8')).includes('prefers-color-scheme'))
    const here = process.cwd()
    process.chdir(folder)
    try {
      await tinyLearner().lrFind({ numIt: 40, showPlot: true })
    } finally {
      process.chdir(here)
    }
    t.true((await readdir(folder)).includes('lr-find.png'))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test.serial('the ways to read the curve can be chosen, and written', async t => {
  const all = await tinyLearner().lrFind({ numIt: 30 })
  t.deepEqual(Object.keys(all), ['valley', 'slide', 'minimum', 'steep', 'lrs', 'losses'])
  const one = await tinyLearner().lrFind({ numIt: 30, suggestFuncs: 'steep' })
  t.deepEqual(one, { steep: all.steep, lrs: all.lrs, losses: all.losses })
  const two = await tinyLearner().lrFind({ numIt: 30, suggestFuncs: ['slide', 'valley'] })
  t.deepEqual([two.slide, two.valley, Object.keys(two).length], [all.slide, all.valley, 4])
  t.deepEqual(Object.keys(await tinyLearner().lrFind({ numIt: 30, suggestFuncs: [] })), ['lrs', 'losses'])
  const given: unknown[] = []
  const own = await tinyLearner().lrFind({
    numIt: 30,
    suggestFuncs: {
      tenth: (lrs, losses, numIt) => {
        given.push(lrs, losses, numIt)
        return Number(lrs.at(-1)) / 10
      },
      marked: lrs => ({ lr: 0.5, point: [Number(lrs[0]), 1] }),
      best: 'minimum',
    },
  })
  const { tenth, marked, best }: { tenth: number; marked: number; best: number } = own
  t.deepEqual([tenth, marked, best], [Number(all.lrs.at(-6)) / 10, 0.5, all.minimum])
  t.deepEqual(given, [all.lrs.slice(3, -5), all.losses.slice(3, -5), 30])
  const code = 'ERR_INVALID_ARG'
  const wrong: unknown[] = ['hill', ['valley', 'hill'], { a: 7 }, 3, null, { lrs: 'valley' }, { losses: () => 1 }]
  for (const suggestFuncs of wrong) {
    await t.throwsAsync(tinyLearner().lrFind({ suggestFuncs } as object), { code, message: /suggestFuncs/ })
  }
  for (const lr of [Number.NaN, -1, 0, null, 'x', {}] as number[]) {
    const learn = tinyLearner()
    const before = weightsOf(learn.model)
    const message = /^Expected a learning rate above 0, or \{ lr, point \} for what odd suggests/
    await t.throwsAsync(learn.lrFind({ numIt: 30, suggestFuncs: { odd: () => lr } }), { code, message })
    t.deepEqual(weightsOf(learn.model), before)
  }
  const failing = tinyLearner()
  const { lossFunc } = failing
  const fail = () => {
    throw new RangeError('of the user')
  }
  await t.throwsAsync(failing.lrFind({ suggestFuncs: { fail } }), { instanceOf: RangeError })
  t.is(failing.lossFunc, lossFunc)
  await failing.fit(1)
})

test.serial('what is refused', async t => {
  const learn = tinyLearner()
  const wrong = { code: 'ERR_INVALID_ARG' }
  await t.throwsAsync(learn.lrFind({ numIt: 5 }), wrong)
  await t.throwsAsync(learn.lrFind({ startLr: 0 }), wrong)
  await t.throwsAsync(learn.lrFind({ file: 'curve.txt' }), wrong)
  await t.throwsAsync(learn.lrFind({ showPlot: 1 } as object), wrong)
  await t.throwsAsync(learn.lrFind({ steps: 9 } as object), wrong)
  const inside = new Callback({ beforeEpoch: cb => cb.learn.lrFind().then(() => undefined) })
  await t.throwsAsync(learn.fit(1, { cbs: inside }), { code: 'ERR_CALLBACK', message: /at work already/ })
  const empty = new Learner({ train: [], valid: tinyBatches(1) }, tinyModel(), { lossFunc: new CrossEntropyLossFlat() })
  await t.throwsAsync(empty.lrFind(), { code: 'ERR_NO_DATA' })
  const bare = new Learner({ train: tinyBatches(1) }, tinyModel(), {
    lossFunc: new CrossEntropyLossFlat(),
    defaultCbs: false,
  })
  await t.throwsAsync(bare.lrFind({ numIt: 6 }), { code: 'ERR_NO_DATA', message: /TrainEvalCallback/ })
})
