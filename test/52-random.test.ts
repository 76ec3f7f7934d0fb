// What mixing draws: with a seed, the numbers that Python draws with it.
import test from 'ava'
import { drawMixup, hostRandom, manualSeed, randBbox } from 'torch-learner'
import { checkAlpha } from '../dist/mix/index.js'
import { assertNumbers, type Fixture, golden, numbersOf } from './helpers/golden.js'

interface Draws {
  beta: Fixture
  perm: Fixture
}

interface RngCase {
  seed: number
  alpha: number
  bs: number
  mixup: Draws
  cutmix: Draws & { W: number; H: number; cx: number; cy: number }
}

interface RngStats {
  alpha: number
  beta_mean_theory: number
  beta_var_theory: number
  lam_mean: number
  lam_quantiles: Record<string, number>
}

const { cases, stats } = golden<{ cases: RngCase[]; stats: RngStats[] }>('rng_parity')
const exact = { atol: 0, rtol: 0 }

test.serial('a seed gives the reference’s draws for MixUp (golden)', t => {
  for (const { seed, alpha, bs, mixup } of cases) {
    const label = `seed ${seed}, alpha ${alpha}, ${bs} samples`
    manualSeed(seed)
    assertNumbers(t, hostRandom.beta(alpha, bs), Float32Array.from(numbersOf(mixup.beta)), exact, label)
    t.deepEqual([...hostRandom.permutation(bs)], numbersOf(mixup.perm), label)
  }
})

test.serial('... and for CutMix (golden)', t => {
  for (const { seed, alpha, bs, cutmix } of cases) {
    manualSeed(seed)
    assertNumbers(t, hostRandom.beta(alpha, 1), Float32Array.from(numbersOf(cutmix.beta)), exact)
    t.deepEqual([...hostRandom.permutation(bs)], numbersOf(cutmix.perm))
    const drawn = randBbox(cutmix.W, cutmix.H, 0.5)
    t.deepEqual(drawn, randBbox(cutmix.W, cutmix.H, 0.5, { cx: cutmix.cx, cy: cutmix.cy }))
  }
})

test.serial('drawMixup: weights first, folded to the larger part, then partners', t => {
  for (const { seed, alpha, bs, mixup } of cases) {
    manualSeed(seed)
    const { lam, perm } = drawMixup(bs, alpha)
    const expected = Float32Array.from(numbersOf(mixup.beta)).map(b => Math.max(b, 1 - b))
    t.deepEqual([...lam], [...expected])
    t.deepEqual([...perm], numbersOf(mixup.perm))
  }
})

test.serial('weights are distributed as the reference’s', t => {
  manualSeed(7)
  const n = 40_000
  for (const { alpha, beta_mean_theory, beta_var_theory, lam_mean, lam_quantiles } of stats) {
    const beta = hostRandom.beta(alpha, n)
    const mean = beta.reduce((sum, b) => sum + b, 0) / n
    const variance = beta.reduce((sum, b) => sum + (b - mean) ** 2, 0) / n
    t.true(Math.abs(mean - beta_mean_theory) < 0.01, `mean ${mean} at alpha ${alpha}`)
    t.true(Math.abs(variance - beta_var_theory) < 0.01, `variance ${variance} at alpha ${alpha}`)
    const { lam } = drawMixup(n, alpha)
    t.true(Math.abs(lam.reduce((sum, b) => sum + b, 0) / n - lam_mean) < 0.01)
    const sorted = lam.slice().sort()
    for (const [q, value] of Object.entries(lam_quantiles)) {
      const found = sorted[Math.floor(Number(q) * (n - 1))]
      t.true(Math.abs(found - value) < 0.02, `quantile ${q} at alpha ${alpha}: ${found} instead of ${value}`)
    }
  }
})

test('alpha: any finite number above 0, 1 and 1.0 alike', t => {
  t.is(checkAlpha(1), 1)
  t.is(checkAlpha(0.4), 0.4)
  for (const alpha of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, '1', null, undefined, true]) {
    t.throws(() => checkAlpha(alpha), {
      code: 'ERR_INVALID_ARG',
      message: /Expected a finite number above 0 for alpha/,
    })
  }
})

test('a generator of your own, checked', t => {
  const random = {
    beta: (_: number, n: number) => new Float32Array(n).fill(0.25),
    permutation: (n: number) => Int32Array.from({ length: n }, (_, i) => n - 1 - i),
    integer: () => 0,
  }
  t.deepEqual(drawMixup(3, 1, random), { lam: new Float32Array(3).fill(0.75), perm: Int32Array.of(2, 1, 0) })
  const short = { ...random, beta: () => new Float32Array(2) }
  t.throws(() => drawMixup(3, 1, short), { code: 'ERR_INVALID_ARG', message: /a Float32Array of 3 numbers/ })
  const wrong = { ...random, permutation: () => new Int32Array(4) }
  t.throws(() => drawMixup(3, 1, wrong), { code: 'ERR_INVALID_ARG', message: /an Int32Array of 3 numbers/ })
  t.throws(() => drawMixup(-1, 1), { code: 'ERR_INVALID_ARG', message: /a number of samples for n/ })
})

test('nothing to draw for no samples', t => {
  t.deepEqual(drawMixup(0, 0.4), { lam: new Float32Array(0), perm: new Int32Array(0) })
})
