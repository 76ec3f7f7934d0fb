// Options that nobody knows are refused by name, and values that only look right are refused too.
import test from 'ava'
import {
  autocast,
  CrossEntropyLossFlat,
  CutMix,
  combineScheds,
  cutmix,
  drawCutmix,
  drawFmix,
  drawMix,
  drawResizeMix,
  FMix,
  grad,
  MixChoice,
  MixUp,
  mixedLoss,
  mixup,
  ones,
  ResizeMix,
  randBbox,
  randn,
  resizeMix,
  schedLin,
  schedNo,
  tensor,
} from 'torch-learner'

const x = () => randn([3, 2, 4, 4])
const y = () => tensor([0, 1, 1], { dtype: 'int64' })
const box = [1, 0, 3, 4]
const perm = [0, 2, 1]

const calls: Record<string, (options: unknown) => unknown> = {
  mixup: options => Reflect.apply(mixup, null, [x(), perm, 0.5, options]),
  cutmix: options => Reflect.apply(cutmix, null, [x(), perm, box, options]),
  resizeMix: options => Reflect.apply(resizeMix, null, [x(), perm, box, options]),
  randBbox: options => Reflect.apply(randBbox, null, [8, 6, 0.5, options]),
  drawMix: options => Reflect.apply(drawMix, null, [3, 1, options]),
  drawCutmix: options => Reflect.apply(drawCutmix, null, [3, 4, 4, 1, options]),
  drawFmix: options => Reflect.apply(drawFmix, null, [3, 4, 4, 1, options]),
  drawResizeMix: options => Reflect.apply(drawResizeMix, null, [3, 4, 4, options]),
  mixedLoss: options =>
    Reflect.apply(mixedLoss, null, [new CrossEntropyLossFlat(), randn([3, 4]), y(), y(), 0.5, options]),
  autocast: options => Reflect.apply(autocast, null, [options, () => 1]),
  grad: options => {
    const w = ones([1], { requiresGrad: true })
    return Reflect.apply(grad, null, [w.sum(), w, options])
  },
}

for (const [name, call] of Object.entries(calls)) {
  test(`${name} refuses options that it doesn't know, and what holds none`, t => {
    t.notThrows(() => call({}))
    t.throws(() => call({ alhpa: 1 }), { code: 'ERR_INVALID_ARG', message: /only .* for the options of .*"alhpa"/ })
    for (const junk of [null, 5, [], 'out', ones([3]), new Date(0), Int32Array.of(1)]) {
      t.throws(() => call(junk), { code: 'ERR_INVALID_ARG' }, String(junk))
    }
  })
}

test('cutmix: inPlace is true or false', t => {
  t.throws(() => Reflect.apply(cutmix, null, [x(), perm, box, { inPlace: 1 }]), { code: 'ERR_INVALID_ARG' })
})

test('a generator has all three methods, in callbacks too', t => {
  const lacking = { beta: 1 }
  const partial = { beta: (_: number, n: number) => new Float32Array(n) }
  for (const random of [lacking, partial, { ...partial, permutation: 1, integer: () => 0 }]) {
    for (const make of [
      () => Reflect.construct(MixUp, [{ random }]),
      () => Reflect.construct(CutMix, [{ random }]),
      () => Reflect.construct(MixChoice, [[new MixUp()], { random }]),
    ]) {
      t.throws(make, { code: 'ERR_INVALID_ARG', message: /methods beta, permutation and integer/ })
    }
  }
})

test('two shares in order are numbers', t => {
  for (const wrong of [['0', '1'], [0.5, 0.2], [0, 2], [0.1], [Number.NaN, 1], [null, 1]]) {
    t.throws(() => Reflect.construct(CutMix, [{ minmax: wrong }]), { code: 'ERR_INVALID_ARG' }, String(wrong))
    t.throws(() => Reflect.construct(ResizeMix, [{ scale: wrong }]), { code: 'ERR_INVALID_ARG' }, String(wrong))
  }
  t.notThrows(() => [new CutMix({ minmax: [0.2, 0.8] }), new ResizeMix({ scale: [0.2, 0.8] }), new FMix()])
})

test('shares of schedules may be a rounding away from 1', t => {
  for (const pcts of [[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [1 / 3, 1 / 3, 1 / 3], Array<number>(10).fill(0.1)]) {
    const sched = combineScheds(
      pcts,
      pcts.map((_, i) => schedLin(i, i + 1)),
    )
    t.is(sched(0), 0)
    t.is(sched(1), pcts.length)
    t.true(Math.abs(sched(pcts[0] / 2) - 0.5) < 1e-6)
  }
  for (const wrong of [[0.7, 0.2], [0.5, 0.6], [-0.5, 1.5], [Number.NaN, 1], []]) {
    t.throws(
      () =>
        combineScheds(
          wrong,
          wrong.map(() => schedNo(1, 1)),
        ),
      { code: 'ERR_INVALID_ARG' },
    )
  }
})
