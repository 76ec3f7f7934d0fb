// Learning rates and momentum over a fit, as recorded.
import test from 'ava'
import {
  Adam,
  Callback,
  CrossEntropyLossFlat,
  combinedCos,
  combineScheds,
  Learner,
  nn,
  ParamScheduler,
  schedCos,
  schedExp,
  schedLin,
  schedNo,
  schedPoly,
  slice,
  type Tensor,
} from 'torch-learner'
import { assertNumbers, golden } from './helpers/golden.js'
import { tinyBatches, tinyLearner } from './helpers/learning.js'

interface Run {
  desc: string
  n_groups: number
  n_train_batches: number
  n_epoch: number
  lr: number[][]
  mom: number[][]
  pct_train: number[]
  recorder_lrs: number[]
  hps_lr_last_group: number[]
}

const recording = golden<{
  funcs: { name: string; start: number; end: number; pos: number; out: number }[]
  poly: { start: number; end: number; power: number; pos: number; out: number }[]
  combined_cos: { pct: number; start: number; middle: number; end: number; pos: number; out: number }[]
  runs: Run[]
}>('schedules')

test('schedule functions', t => {
  const funcs: Record<string, (start: number, end: number) => (pos: number) => number> = {
    SchedLin: schedLin,
    SchedCos: schedCos,
    SchedNo: schedNo,
    SchedExp: schedExp,
  }
  const actual = recording.funcs.map(({ name, start, end, pos }) => funcs[name]?.(start, end)(pos) ?? Number.NaN)
  assertNumbers(
    t,
    actual,
    recording.funcs.map(({ out }) => out),
    { atol: 1e-15, rtol: 1e-14 },
  )
  const poly = recording.poly.map(({ start, end, power, pos }) => Number(schedPoly(start, end, power)(pos)))
  assertNumbers(
    t,
    poly,
    recording.poly.map(({ out }) => out),
    { atol: 1e-15, rtol: 1e-14 },
  )
})

test('combined cosines, float32 steps included', t => {
  const actual = recording.combined_cos.map(c => Number(combinedCos(c.pct, c.start, c.middle, c.end)(c.pos)))
  assertNumbers(
    t,
    actual,
    recording.combined_cos.map(({ out }) => out),
    { atol: 0, rtol: 1e-12 },
  )
})

test('schedules over groups, and what is refused', t => {
  t.deepEqual(schedLin([0, 10], [1, 20])(0.5), [0.5, 15])
  t.throws(() => combineScheds([0.5, 0.4], [schedNo(1, 1), schedNo(2, 2)]), { code: 'ERR_INVALID_ARG' })
  t.throws(() => combineScheds([0.5, 0.5], [schedNo(1, 1)]), { code: 'ERR_INVALID_ARG' })
})

/** A network of as many groups as the recording has. */
class Groups extends nn.Module {
  readonly body: nn.Sequential
  constructor(readonly count: number) {
    super()
    const layers = Array.from({ length: count - 1 }, () => new nn.Linear(18, 18))
    this.body = new nn.Sequential(new nn.Flatten(), ...layers, new nn.Linear(18, 3))
  }
  forward(x: Tensor): Tensor {
    return this.body(x)
  }
}

/** A recorded argument: a number, `slice(stop)`, `slice(start,stop)` or `(a,b,c)`. */
function parsed(text: string): number | ReturnType<typeof slice> | number[] {
  const numbers = (text.match(/[\d.]+(e-?\d+)?/g) ?? []).map(Number)
  const [first = 0, second] = numbers
  if (text.startsWith('slice')) return second === undefined ? slice(first) : slice(first, second)
  return text.startsWith('(') ? numbers : first
}

/** Recorded names of arguments, and ours. */
const OPTIONS: Record<string, string> = {
  ...{ div: 'div', div_final: 'divFinal', pct_start: 'pctStart', moms: 'moms', start_epoch: 'startEpoch' },
  ...{ base_lr: 'baseLr', freeze_epochs: 'freezeEpochs', lr_mult: 'lrMult' },
}

/** Calls what the recording called: `fit_one_cycle(3, 1e-2, div=10, moms=(.9,.8,.99))`. */
async function train(learn: Learner, { desc }: Run): Promise<boolean> {
  const [, name, list = ''] = /^(\w+)\((.*)\)$/.exec(desc) ?? []
  const given = (list.match(/(?:[^,(]|\([^)]*\))+/g) ?? []).map(text => text.trim())
  const named = given.filter(text => text.includes('=')).map(text => text.split('='))
  const options = Object.fromEntries(named.map(([key = '', value = '']) => [OPTIONS[key] ?? key, parsed(value)]))
  const [first = '', ...positional] = given.filter(text => !text.includes('='))
  const epochs = Number(first)
  const lr = positional.length > 0 ? parsed(positional.at(-1) ?? '') : undefined
  const calls: Record<string, () => Promise<unknown>> = {
    fit_one_cycle: () => Reflect.apply(learn.fitOneCycle, learn, [epochs, { lrMax: lr, ...options }]),
    fit_flat_cos: () => Reflect.apply(learn.fitFlatCos, learn, [epochs, { lr, ...options }]),
    fit: () => Reflect.apply(learn.fit, learn, [epochs, { lr, ...options }]),
    fit_sgdr: () => Reflect.apply(learn.fitSgdr, learn, [epochs, Number(positional[0]), { lrMax: lr, ...options }]),
    fine_tune: () => Reflect.apply(learn.fineTune, learn, [epochs, options]),
  }
  await calls[name ?? '']?.()
  return name !== undefined && name in calls
}

for (const run of recording.runs) {
  test(`${run.desc}, ${run.n_groups} groups, ${run.n_epoch} epochs`, async t => {
    const seen = { lr: [] as number[], mom: [] as number[], pct: [] as number[] }
    const watch = new Callback({
      order: 61,
      beforeBatch({ learn }) {
        if (!learn.training || !learn.opt) return
        seen.lr.push(...learn.opt.paramGroups.map(group => group.lr))
        seen.mom.push(...learn.opt.paramGroups.map(group => group.mom))
        seen.pct.push(learn.pctTrain)
      },
    })
    const model = new Groups(run.n_groups)
    const learn = new Learner({ train: tinyBatches(run.n_train_batches), valid: tinyBatches(1) }, model, {
      lossFunc: new CrossEntropyLossFlat(),
      optFunc: (groups, { lr }) => new Adam(groups, { lr }),
      splitter: () =>
        model.body
          .children()
          .slice(1)
          .map(layer => layer.parameters()),
      cbs: watch,
    })
    learn.removeCb(learn.cbs.filter(cb => cb.name === 'progress'))
    learn.logger = () => undefined
    t.true(await train(learn, run))
    const close = { atol: 0, rtol: 1e-9 }
    assertNumbers(t, seen.lr, run.lr.flat(), close, 'lr')
    assertNumbers(t, seen.mom, run.mom.flat(), close, 'mom')
    assertNumbers(t, seen.pct, run.pct_train, { atol: 1e-12, rtol: 0 }, 'pctTrain')
    assertNumbers(t, learn.recorder.lrs, run.recorder_lrs, close, 'recorder.lrs')
    assertNumbers(t, learn.recorder.hps.lr ?? [], run.hps_lr_last_group, close, 'recorder.hps')
  })
}

test('a scheduler of your own', async t => {
  const learn = new Learner({ train: tinyBatches(4), valid: [] }, new Groups(1), {
    lossFunc: new CrossEntropyLossFlat(),
    cbs: new ParamScheduler({ wd: schedLin(0, 1) }),
  })
  learn.logger = () => undefined
  await learn.removedCbs(learn.callback('progress') ?? [], () => learn.fit(1))
  assertNumbers(t, learn.recorder.hps.wd ?? [], [0, 0.25, 0.5, 0.75])
})

test('cycles of equal length, and what the entry points refuse', async t => {
  const learn = tinyLearner({ batches: [2, 1] })
  await learn.fitSgdr(3, 1, { cycleMult: 1, lrMax: 0.5 })
  assertNumbers(t, learn.recorder.hps.lr ?? [], [0.5, 0.25, 0.5, 0.25, 0.5, 0.25], { atol: 1e-6 })
  const wrong = { code: 'ERR_INVALID_ARG' }
  await t.throwsAsync(learn.fitSgdr(0, 1), wrong)
  await t.throwsAsync(learn.fitSgdr(1, 0.5), wrong)
  await t.throwsAsync(learn.fitSgdr(1, 1, { cycleMult: 1.5 }), wrong)
  await t.throwsAsync(learn.fineTune(-1), wrong)
  await t.throwsAsync(learn.fineTune(1, { baseLr: 0 }), wrong)
  await t.throwsAsync(learn.fineTune(1, { lrMax: 1 } as object), wrong)
})

test('fineTune: frozen first, then all of it; skipped epochs keep their place in a flat-cos fit', async t => {
  const model = new Groups(2)
  const layers = model.body.children().slice(1)
  const trained: boolean[][] = []
  const look = new Callback({
    beforeTrain: () => void trained.push(layers.map(layer => layer.parameters().every(p => p.requiresGrad))),
  })
  const learn = new Learner({ train: tinyBatches(2), valid: tinyBatches(1) }, model, {
    lossFunc: new CrossEntropyLossFlat(),
    splitter: () => layers.map(layer => layer.parameters()),
    cbs: look,
  })
  learn.logger = () => undefined
  await learn.removedCbs(learn.callback('progress') ?? [], async () => {
    await learn.fineTune(1)
    t.deepEqual(trained, [
      [false, true],
      [true, true],
    ])
    await learn.fitFlatCos(2, { startEpoch: 1, lr: 1, pctStart: 0.25 })
    assertNumbers(t, learn.recorder.hps.lr ?? [], [0.75000125, 0.2500075], { rtol: 1e-5 })
  })
})
