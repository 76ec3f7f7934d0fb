// Metrics of training under mixing: a sample counts twice, for its own target by its weight and for its partner's by the
// rest. Checked by brute force: every sample written down twice.
import test from 'ava'
import {
  AccumMetric,
  AvgMetric,
  accuracy,
  accuracyMulti,
  BCEWithLogitsLossFlat,
  Callback,
  CutMix,
  errorRate,
  expRmspe,
  F1Score,
  F1ScoreMulti,
  FMix,
  type Learner,
  type Loss,
  type Metric,
  type MetricFunction,
  MixUp,
  MSELossFlat,
  mae,
  manualSeed,
  mse,
  Precision,
  PrecisionMulti,
  Recall,
  RecallMulti,
  Recorder,
  RocAuc,
  RocAucBinary,
  rand,
  randint,
  randn,
  rmse,
  type Tensor,
  tensor,
  topKAccuracy,
} from 'torch-learner'
import { assertNumbers } from './helpers/golden.js'
import { tinyLearner } from './helpers/learning.js'

interface Case {
  pred: Tensor
  own: Tensor
  partner?: Tensor
  lam?: Tensor
  soft?: boolean
}

/** Feeds a metric with batches that are mixed, or not, as MixUp leaves them. */
async function measure(metric: Metric, cases: Case[]): Promise<number> {
  const learn = tinyLearner()
  metric.reset()
  for (const { pred, own, partner, lam, soft = false } of cases) {
    learn.split([tensor([0]), own])
    learn.pred = pred
    learn.mixed = partner && lam ? { yb1: [partner], lam } : null
    learn.softTargets = soft
    metric.accumulate(learn)
  }
  const value = await metric.value()
  metric.reset()
  return Number(value)
}

interface Row {
  pred: number[]
  targ: number[]
  weight: number
}

const rowsOf = (x: Tensor) => x.unsqueeze(-1).flatten(1).toArray() as Promise<number[][]>

/** Every sample twice, with its weights. */
async function twice(cases: Case[]): Promise<Row[]> {
  const rows: Row[] = []
  for (const { pred, own, partner, lam } of cases) {
    const [p, y, z] = [await rowsOf(pred), await rowsOf(own), partner ? await rowsOf(partner) : []]
    const weights = lam ? Array.from(await lam.expand([p.length]).data(), Number) : p.map(() => 1)
    p.forEach((scores, i) => {
      rows.push({ pred: scores, targ: y[i] ?? [], weight: weights[i] ?? 1 })
      if (partner) rows.push({ pred: scores, targ: z[i] ?? [], weight: 1 - (weights[i] ?? 1) })
    })
  }
  return rows
}

const sum = (values: number[]) => values.reduce((all, value) => all + value, 0)
const meanOf = (rows: Row[], value: (row: Row) => number) =>
  sum(rows.map(row => row.weight * value(row))) / sum(rows.map(row => row.weight))
const best = (scores: number[]) => scores.indexOf(Math.max(...scores))

function areaOf(rows: { score: number; positive: boolean; weight: number }[]): number {
  let wins = 0
  let pairs = 0
  for (const a of rows.filter(row => row.positive)) {
    for (const b of rows.filter(row => !row.positive)) {
      pairs += a.weight * b.weight
      wins += a.weight * b.weight * (a.score > b.score ? 1 : a.score === b.score ? 0.5 : 0)
    }
  }
  return wins / pairs
}

/** Three batches: weights of each sample, none, one weight for all. */
function threeBatches(pred: (n: number) => Tensor, targ: (n: number) => Tensor): Case[] {
  return [
    { pred: pred(6), own: targ(6), partner: targ(6), lam: rand([6]) },
    { pred: pred(5), own: targ(5) },
    { pred: pred(4), own: targ(4), partner: targ(4), lam: rand([1]) },
  ]
}

const exact = { atol: 1e-6, rtol: 1e-6 }

test.serial('class numbers: accuracies and counts', async t => {
  manualSeed(3)
  const cases = threeBatches(
    n => randn([n, 4]),
    n => randint(0, 4, [n]),
  )
  const rows = await twice(cases)
  const hit = ({ pred, targ }: Row) => Number(best(pred) === targ[0])
  assertNumbers(t, [await measure(new AvgMetric(accuracy), cases)], [meanOf(rows, hit)], exact, 'accuracy')
  assertNumbers(t, [await measure(new AvgMetric(errorRate), cases)], [1 - meanOf(rows, hit)], exact, 'errorRate')
  const five = threeBatches(
    n => randn([n, 8]),
    n => randint(0, 8, [n]),
  )
  const top = ({ pred, targ }: Row) => Number(pred.filter(score => score > Number(pred[Number(targ[0])])).length < 5)
  assertNumbers(t, [await measure(new AvgMetric(topKAccuracy), five)], [meanOf(await twice(five), top)], exact, 'top 5')

  const classes = [0, 1, 2, 3]
  const mass = (fits: (row: Row) => boolean) => sum(rows.filter(fits).map(row => row.weight))
  const right = classes.map(c => mass(({ pred, targ }) => best(pred) === c && targ[0] === c))
  const predicted = classes.map(c => mass(({ pred }) => best(pred) === c))
  const actual = classes.map(c => mass(({ targ }) => targ[0] === c))
  const macro = (of: (c: number) => number) => sum(classes.map(of)) / 4
  const at = (list: number[], c: number) => Number(list[c])
  const share = (part: number, whole: number) => (whole === 0 ? 0 : part / whole)
  const options = { average: 'macro' } as const
  const found = [
    await measure(new Precision(options), cases),
    await measure(new Recall(options), cases),
    await measure(new F1Score(options), cases),
  ]
  const expected = [
    macro(c => share(at(right, c), at(predicted, c))),
    macro(c => share(at(right, c), at(actual, c))),
    macro(c => share(2 * at(right, c), at(predicted, c) + at(actual, c))),
  ]
  assertNumbers(t, found, expected, exact, 'precision, recall, F1')
})

test.serial('class numbers: areas under ROC curves', async t => {
  manualSeed(5)
  const coarse = (n: number, c: number) => randint(0, 3, [n, c]).to({ dtype: 'float32' }) // many ties
  const two = threeBatches(
    n => coarse(n, 2),
    n => randint(0, 2, [n]),
  )
  const binary = (await twice(two)).map(({ pred, targ, weight }) => ({
    score: Number(pred[1]) - Number(pred[0]),
    positive: targ[0] === 1,
    weight,
  }))
  assertNumbers(t, [await measure(new RocAucBinary(), two)], [areaOf(binary)], exact)
  const many = threeBatches(
    n => randn([n, 3]),
    n => randint(0, 3, [n]),
  )
  const softmax = (scores: number[], c: number) => Math.exp(Number(scores[c])) / sum(scores.map(Math.exp))
  const rows = await twice(many)
  const areas = [0, 1, 2].map(c =>
    areaOf(rows.map(({ pred, targ, weight }) => ({ score: softmax(pred, c), positive: targ[0] === c, weight }))),
  )
  assertNumbers(t, [await measure(new RocAuc(), many)], [sum(areas) / 3], exact)
})

test.serial('numbers as hard targets: errors and their roots', async t => {
  manualSeed(7)
  for (const k of [1, 3]) {
    const shape = (n: number) => (k === 1 ? [n] : [n, k])
    const cases = threeBatches(
      n => randn([n, k]),
      n => randint(0, 3, shape(n)),
    )
    const rows = await twice(cases)
    const errors = (of: (error: number) => number) =>
      meanOf(rows, ({ pred, targ }) => sum(pred.map((p, i) => of(p - Number(targ[i])))) / k)
    const square = (x: number) => x * x
    const expected: [MetricFunction, number][] = [
      [mse, errors(square)],
      [mae, errors(Math.abs)],
      [rmse, Math.sqrt(errors(square))],
      [expRmspe, Math.sqrt(errors(x => square(Math.expm1(x))))],
    ]
    for (const [func, value] of expected) {
      const metric = func.wholeSet ? new AccumMetric(func) : new AvgMetric(func)
      assertNumbers(t, [await measure(metric, cases)], [value], { rtol: 1e-5 }, `${metric.name} of ${k}`)
    }
  }
})

test.serial('functions that know no weights lie between their two values', async t => {
  manualSeed(9)
  const cases = threeBatches(
    n => randn([n, 4]),
    n => randint(0, 4, [n]),
  )
  const worst = (pred: Tensor, targ: Tensor) => pred.select(1, 0).sub(targ).abs().max()
  const rows = await twice(cases)
  const error = ({ pred, targ }: Row) => Math.abs(Number(pred[0]) - Number(targ[0]))
  const own = rows.filter((_, i) => i >= 12 && i < 17) // the batch that isn't mixed is its own partner
  const firsts = [...rows.slice(0, 12), ...rows.slice(17)]
  const a = Math.max(...[...firsts.filter((_, i) => i % 2 === 0), ...own].map(error))
  const b = Math.max(...[...firsts.filter((_, i) => i % 2 === 1), ...own].map(error))
  const lam = (sum(firsts.filter((_, i) => i % 2 === 0).map(row => row.weight)) + 5) / 15
  assertNumbers(t, [await measure(new AccumMetric(worst), cases)], [lam * a + (1 - lam) * b], { rtol: 1e-5 })
  t.is(await measure(new AccumMetric(async () => null, 'none'), cases), 0)
  const [first] = cases as [Case]
  const value = async (targ: Tensor) => worst(first.pred, targ).item()
  const mean = await first.lam?.mean().item()
  const blended = Number(mean) * (await value(first.own)) + (1 - Number(mean)) * (await value(first.partner as Tensor))
  assertNumbers(t, [await measure(new AvgMetric(worst), [first])], [blended], { rtol: 1e-5 })
})

test.serial('several labels: shares count by what they are', async t => {
  manualSeed(11)
  const labels = (n: number) => randint(0, 2, [n, 3])
  const hard = threeBatches(n => randn([n, 3]), labels)
  const soft = hard.map(({ pred, own, partner, lam }): Case => {
    const column = lam?.unsqueeze(-1)
    const shares = partner && column ? partner.add(own.sub(partner).mul(column)) : own.to({ dtype: 'float32' })
    return { pred, own: shares, soft: true }
  })
  const rows = await twice(hard)
  const given = (row: Row, c: number) => Number(row.pred[c]) > 0
  const columns = [0, 1, 2]
  const rightShare = meanOf(rows, row => sum(columns.map(c => Number(given(row, c) === (row.targ[c] === 1)))) / 3)
  const mass = (fits: (row: Row) => boolean) => sum(rows.filter(fits).map(row => row.weight))
  const right = columns.map(c => mass(row => given(row, c) && row.targ[c] === 1))
  const predicted = columns.map(c => mass(row => given(row, c)))
  const actual = columns.map(c => mass(row => row.targ[c] === 1))
  const macro = (of: (c: number) => number) => sum(columns.map(of)) / 3
  const expected = [
    rightShare,
    macro(c => Number(right[c]) / Number(predicted[c])),
    macro(c => Number(right[c]) / Number(actual[c])),
    macro(c => (2 * Number(right[c])) / (Number(predicted[c]) + Number(actual[c]))),
  ]
  for (const cases of [hard, soft]) {
    const metrics = [new AvgMetric(accuracyMulti), new PrecisionMulti(), new RecallMulti(), new F1ScoreMulti()]
    const found: number[] = []
    for (const metric of metrics) found.push(await measure(metric, cases))
    assertNumbers(t, found, expected, { rtol: 1e-5 }, cases === hard ? 'integers' : 'shares')
  }
  const [{ pred, own }] = soft as [Case]
  const shares = await accuracyMulti(pred, own, { shares: true }).item()
  t.not(shares, await accuracyMulti(pred, own).item())
  t.throws(() => accuracyMulti(pred, own, { shares: 1 } as object), { code: 'ERR_INVALID_ARG' })
  // one label: positive by its share
  const column: Case[] = soft.map(one => ({ ...one, pred: one.pred.narrow(1, 0, 1), own: one.own.select(1, 0) }))
  const positives = rows.map(row => ({ score: Number(row.pred[0]), positive: row.targ[0] === 1, weight: row.weight }))
  assertNumbers(t, [await measure(new RocAucBinary(), column)], [areaOf(positives)], exact)
})

/** Training alone is measured. */
async function trained(lossFunc: Loss, metrics: MetricFunction[], cbs: Callback[], y: Tensor): Promise<Learner> {
  const learn = tinyLearner({ lossFunc, metrics, cbs, batches: [0, 0], lr: 0 })
  learn.removeCb(Recorder)
  learn.addCb(new Recorder({ trainMetrics: true, validMetrics: false }))
  learn.dls = { train: [[randn([8, 2, 3, 3]), y]] }
  await learn.fit(1)
  return learn
}

test.serial('in training: the mixed targets are the truth where they are mixed', async t => {
  for (const make of [() => new MixUp(1), () => new CutMix(1), () => new FMix(1)]) {
    manualSeed(13)
    const seen: { pred: Tensor; y: Tensor; soft: boolean }[] = []
    const look = new Callback({
      order: 40,
      afterLoss({ learn: { pred, yb, softTargets } }) {
        seen.push({ pred: pred?.detach().keep() as Tensor, y: yb[0]?.detach().keep() as Tensor, soft: softTargets })
      },
    })
    const learn = await trained(new MSELossFlat(), [mse, rmse], [make(), look], randn([8, 3]))
    const [{ pred, y, soft }] = seen as [(typeof seen)[0]]
    t.true(soft)
    const square = await pred.sub(y).square().mean().item()
    assertNumbers(t, (learn.recorder.values[0] ?? []).slice(1).map(Number), [square, Math.sqrt(square)], { rtol: 1e-5 })

    const labels = randint(0, 2, [8, 3]).to({ dtype: 'float32' })
    const multi = await trained(new BCEWithLogitsLossFlat(), [accuracyMulti], [make(), look], labels)
    const last = seen.at(-1) as (typeof seen)[0]
    const value = await accuracyMulti(last.pred, last.y, { shares: true }).item()
    assertNumbers(t, [Number(multi.recorder.values[0]?.[1])], [value], { rtol: 1e-5 })
    t.is(learn.softTargets, false)
  }
})
