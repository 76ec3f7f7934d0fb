// Thousands of calls with wrong arguments, seeded: coded errors come back, never a crash, a hang or a TypeError.
import test from 'ava'
import {
  CrossEntropyLossFlat,
  cutmix,
  drawCutmix,
  drawFmix,
  drawMix,
  drawMixup,
  drawResizeMix,
  fmix,
  mixedLoss,
  mixup,
  noneReduce,
  ops,
  partnersOf,
  randBbox,
  randBboxMinMax,
  randn,
  reduceLoss,
  resizeMix,
  scope,
  Tensor,
  TorchLearnerError,
  tensor,
  zeros,
} from 'torch-learner'

/** A small generator of our own (mulberry32): the same calls in every run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

function disposed(): Tensor {
  const gone = zeros([2])
  gone.dispose()
  return gone
}

/** Things that people pass by mistake, and some that are right. */
const values: (() => unknown)[] = [
  () => undefined,
  () => null,
  () => Number.NaN,
  () => Number.POSITIVE_INFINITY,
  () => -1,
  () => 0,
  () => 0.5,
  () => 3,
  () => 2 ** 53,
  () => 10n,
  () => '',
  () => 'mean',
  () => true,
  () => Symbol('s'),
  () => [],
  () => [0, 1, 2],
  () => [0.25, 0.5, 0.75],
  () => [Number.NaN, null, 'x'],
  () => ({}),
  () => ({ out: 1 }),
  () => ({ out: zeros([3, 4]) }),
  () => ({ cx: 'a', random: null }),
  () => new Float32Array(3),
  () => Int32Array.of(0, 1, 2),
  () => new Date(0),
  () => () => 1,
  () => new CrossEntropyLossFlat(),
  () => disposed(),
  () => randn([3, 4]),
  () => randn([3]),
  () => randn([2, 3, 2, 2]),
  () => zeros([0, 4]),
  () => tensor(1),
  () => zeros([3], { dtype: 'int64' }),
  () => zeros([3, 4], { dtype: 'uint8' }),
  () => zeros([3], { dtype: 'bool' }),
  () => randn([3, 4], { requiresGrad: true }),
  () => randn([3, 4]).to({ dtype: 'float16' }),
]

const labels = () => tensor([0, 1, 3], { dtype: 'int64' })
const random = {
  beta: (_: number, n: number) => new Float32Array(n),
  permutation: (n: number) => new Int32Array(n),
  integer: () => 0,
}

/** What is called, and a call that is right. */
const functions: Record<string, { call: (...args: never[]) => unknown; right: () => unknown[] }> = {
  mixup: { call: mixup, right: () => [randn([3, 4]), [0, 2, 1], 0.5, { out: zeros([3, 4]) }] },
  partnersOf: { call: partnersOf, right: () => [labels(), [0, 2, 1]] },
  randBbox: { call: randBbox, right: () => [8, 6, 0.5, { cx: 2, cy: 3, random }] },
  reduceLoss: { call: reduceLoss, right: () => [randn([3]), 'sum'] },
  noneReduce: { call: noneReduce, right: () => [new CrossEntropyLossFlat(), () => 1] },
  drawMixup: { call: drawMixup, right: () => [3, 1, random] },
  mixedLoss: { call: mixedLoss, right: () => [new CrossEntropyLossFlat(), randn([3, 4]), labels(), labels(), 0.5] },
  cutmix: { call: cutmix, right: () => [randn([3, 2, 4, 4]), [0, 2, 1], [1, 0, 3, 4], { inPlace: false }] },
  resizeMix: { call: resizeMix, right: () => [randn([3, 2, 4, 4]), [0, 2, 1], [1, 0, 3, 4], { method: 'nearest' }] },
  fmix: { call: fmix, right: () => [randn([3, 2, 4, 4]), [0, 2, 1], zeros([4, 4], { dtype: 'bool' })] },
  drawMix: { call: drawMix, right: () => [3, 1, { mode: 'pair', random }] },
  drawCutmix: { call: drawCutmix, right: () => [3, 4, 4, 1, { minmax: [0.2, 0.5], random }] },
  drawResizeMix: { call: drawResizeMix, right: () => [3, 4, 4, { scale: [0.2, 0.5], random }] },
  drawFmix: { call: drawFmix, right: () => [3, 4, 4, 1, { decayPower: 2 }] },
  randBboxMinMax: { call: randBboxMinMax, right: () => [8, 6, [0.2, 0.5], random] },
  'torch_learner::cutmix': {
    call: ops.torch_learner.cutmix,
    right: () => [randn([3, 2, 4, 4]), tensor([0, 2, 1], { dtype: 'int64' }), [1, 0, 3, 4]],
  },
  'torch_learner::cutmix_': {
    call: ops.torch_learner.cutmix_,
    right: () => [randn([3, 2, 4, 4]), tensor([0, 2, 1], { dtype: 'int64' }), [1, 0, 3, 4]],
  },
  'torch_learner::mixup': { call: ops.torch_learner.mixup, right: () => [randn([3, 4]), labels(), randn([3])] },
  'torch_learner::mixed_cross_entropy': {
    call: ops.torch_learner.mixedCrossEntropy,
    right: () => [randn([3, 4]), labels(), labels(), tensor([0.5]), randn([4]), -100, 0.1, false, -1, 'sum'],
  },
  'torch_learner::mix_losses': { call: ops.torch_learner.mixLosses, right: () => [randn([3]), randn([3]), randn([3])] },
}

for (const [name, { call, right }] of Object.entries(functions)) {
  test(`${name}: whatever it is called with`, async t => {
    const random = seeded(name.length)
    const pick = <T>(items: readonly T[]) => items[Math.floor(random() * items.length)]
    const refusals = new Set<string>()
    for (let i = 0; i < 500; i++) {
      await scope(async () => {
        // one argument replaced, or several, or too few
        let args = right().map(arg => (random() < (i % 2 ? 0.2 : 0.7) ? pick(values)() : arg))
        if (random() < 0.2) args = args.slice(0, Math.floor(random() * args.length))
        try {
          const result: unknown = Reflect.apply(call, null, args)
          if (result instanceof Tensor) await result.data()
        } catch (error) {
          if (!(error instanceof TorchLearnerError)) {
            t.fail(
              `${name}(${args.map(String).join(', ')}) threw ${error instanceof Error ? error.stack : String(error)}`,
            )
          } else refusals.add(error.code)
        }
      })
    }
    t.true(refusals.has('ERR_INVALID_ARG'))
  })
}
