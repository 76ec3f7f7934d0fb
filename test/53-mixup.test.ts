// Samples mixed with their partners: the native pass through its pure face.
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import {
  arange,
  asTensor,
  type DType,
  manualSeed,
  mixup,
  ops,
  partnersOf,
  rand,
  randn,
  randperm,
  type Tensor,
  tensor,
  zeros,
} from 'torch-learner'
import { assertClose, assertNumbers, type Fixture, golden, toTensor } from './helpers/golden.js'
import { analyticalGradient, numericalGradient } from './helpers/gradients.js'

interface MixCase {
  name: string
  xb: Fixture[]
  yb: Fixture[]
  perm: Fixture
  lam: Fixture
  yb1: Fixture[]
  xb_out: Fixture[]
  yb_out: Fixture[]
  stack_y: boolean
}

const perSample = (lam: Tensor, x: Tensor) => lam.view([-1, ...x.shape.slice(1).map(() => 1)])
/** The two operators that mixup does in one. */
const twoOperators = (x: Tensor, perm: Tensor, lam: Tensor) => x.indexSelect(0, perm).lerp(x, perSample(lam, x))

async function assertEqual(t: ExecutionContext, actual: Tensor, expected: Tensor, label?: string): Promise<void> {
  t.deepEqual(actual.shape, expected.shape, label)
  t.deepEqual(await actual.data(), await expected.data(), label)
}

test('inputs and targets mixed as the reference mixes them (golden)', async t => {
  for (const c of golden<{ cases: MixCase[] }>('mixup_batches').cases) {
    const [x, y, perm, lam] = [c.xb[0], c.yb[0], c.perm, c.lam].map(toTensor)
    await assertClose(t, mixup(x, perm, lam), c.xb_out[0], {}, c.name)
    await assertEqual(t, x, toTensor(c.xb[0]), `${c.name}: the input`)
    await assertClose(t, partnersOf(y, perm), c.yb1[0], {}, `${c.name}: partners`)
    if (!c.stack_y) await assertClose(t, mixup(y, perm, lam), c.yb_out[0], {}, `${c.name}: targets`)
  }
})

test.serial('bit for bit what lerp makes of the two halves, for any shape', async t => {
  manualSeed(1)
  for (const dtype of ['float32', 'float64'] as const) {
    for (const shape of [[1], [7], [1, 5], [6, 10], [5, 3, 8], [33, 3, 17, 19], [2, 3, 2, 4, 4], [0, 3], [300, 129]]) {
      const x = randn(shape, { dtype })
      const [perm, lam] = [randperm(shape[0]), rand([shape[0]], { dtype })]
      await assertEqual(t, mixup(x, perm, lam), twoOperators(x, perm, lam), `${dtype} ${shape}`)
    }
  }
})

test('a batch too large for the caches is written past them, with the same result', async t => {
  const x = randn([9, 3, 401, 401])
  const [perm, lam] = [randperm(9), rand([9])]
  await assertEqual(t, mixup(x, perm, lam), twoOperators(x, perm, lam))
})

test('half precision is mixed in float32 and rounded once', async t => {
  for (const dtype of ['float16', 'bfloat16'] as const) {
    const x = randn([5, 3, 7, 11]).to({ dtype })
    const [perm, lam] = [randperm(5), rand([5])]
    const mixed = mixup(x, perm, lam)
    t.is(mixed.dtype, dtype)
    await assertEqual(t, mixed, twoOperators(x.to({ dtype: 'float32' }), perm, lam).to({ dtype }))
  }
})

test('weights of another floating dtype, and one weight for all', async t => {
  const x = randn([4, 3])
  const perm = tensor([3, 0, 1, 2], { dtype: 'int64' })
  const lam = tensor([0.25, 0.5, 0.75, 1])
  const expected = mixup(x, perm, lam)
  await assertEqual(t, mixup(x, perm, lam.to({ dtype: 'float64' })), expected)
  await assertEqual(t, mixup(x, Int32Array.of(3, 0, 1, 2), Float32Array.of(0.25, 0.5, 0.75, 1)), expected)
  await assertEqual(t, mixup(x, [3, 0, 1, 2], [0.25, 0.5, 0.75, 1]), expected)
  await assertEqual(t, mixup(x, perm, 0.75), mixup(x, perm, [0.75, 0.75, 0.75, 0.75]))
})

test('channels_last stays channels_last, and mixes to the same numbers', async t => {
  const x = randn([6, 3, 9, 5])
  const [perm, lam] = [randperm(6), rand([6])]
  const last = x.contiguous({ memoryFormat: 'channels_last' })
  const mixed = mixup(last, perm, lam)
  t.is(mixed.memoryFormat, 'channels_last')
  await assertEqual(t, mixed, mixup(x, perm, lam))
})

test('slices, transposed and expanded inputs', async t => {
  const base = randn([4, 6, 8])
  const [perm, lam] = [randperm(4), rand([4])]
  for (const x of [
    base.narrow(2, 1, 5),
    base.transpose(1, 2),
    base.select(1, 0),
    base.narrow(0, 0, 1).expand([4, 6, 8]),
  ]) {
    await assertEqual(t, mixup(x, perm, lam), mixup(x.contiguous(), perm, lam))
  }
})

test('out: written where it is told to', async t => {
  const x = randn([5, 4])
  const [perm, lam] = [randperm(5), rand([5])]
  const expected = mixup(x, perm, lam)
  const out = zeros([5, 4])
  t.is(mixup(x, perm, lam, { out }), out)
  await assertEqual(t, out, expected)
  const columns = zeros([4, 5]).t()
  await assertEqual(t, mixup(x, perm, lam, { out: columns }), expected)
  await assertEqual(t, mixup(x, perm, lam, { out: zeros([0]) }), expected)
})

test('properties: between the two samples, input untouched, lam of 1 changes nothing', async t => {
  const batches = fc.integer({ min: 1, max: 6 }).chain(n =>
    fc.record({
      n: fc.constant(n),
      perm: fc.array(fc.integer({ min: 0, max: n - 1 }), { minLength: n, maxLength: n }),
      lam: fc.array(fc.float({ min: 0, max: 1, noNaN: true }), { minLength: n, maxLength: n }),
      x: fc.array(fc.float({ min: -1000, max: 1000, noNaN: true }), { minLength: n * 3, maxLength: n * 3 }),
    }),
  )
  const property = fc.asyncProperty(batches, async ({ n, perm, lam, x }) => {
    const input = tensor(Float32Array.from(x), { shape: [n, 3] })
    const before = await input.data()
    const mixed = await mixup(input, perm, lam).data()
    t.deepEqual(await input.data(), before)
    assertNumbers(t, (await mixup(input, perm, 1).data()) as Float32Array, before as Float32Array, { atol: 0, rtol: 0 })
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < 3; j++) {
        const [own, partner] = [Number(before[i * 3 + j]), Number(before[perm[i] * 3 + j])]
        const slack = 1e-6 * (Math.abs(own) + Math.abs(partner))
        const value = Number(mixed[i * 3 + j])
        t.true(value >= Math.min(own, partner) - slack && value <= Math.max(own, partner) + slack)
      }
    }
  })
  await fc.assert(property, { numRuns: 60 })
})

test('the gradient is that of finite differences, also when a sample has several partners', async t => {
  for (const perm of [
    [2, 0, 1, 3],
    [1, 1, 1, 0],
  ]) {
    const weights = randn([4, 2, 3], { dtype: 'float64' })
    const f = (x: Tensor) => mixup(x, perm, [0.9, 0.2, 0.5, 0.7]).mul(weights).sum()
    const x = randn([4, 2, 3], { dtype: 'float64' })
    assertNumbers(t, await analyticalGradient(f, x), await numericalGradient(f, x), { atol: 1e-8, rtol: 1e-7 })
  }
})

test('gradients reach half precision inputs, and weights that are learned', async t => {
  const x = randn([3, 4]).to({ dtype: 'bfloat16' })
  x.requiresGrad = true
  mixup(x, [1, 2, 0], 0.5).sum().backward()
  t.deepEqual(await x.grad?.to({ dtype: 'float32' }).toArray(), Array(3).fill(Array(4).fill(1)))
  const own = randn([3, 4], { dtype: 'float64' })
  const f = (lam: Tensor) => mixup(own, [1, 2, 0], lam).pow(2).sum()
  const lam = tensor([0.3, 0.6, 0.9], { dtype: 'float64' })
  assertNumbers(t, await analyticalGradient(f, lam), await numericalGradient(f, lam), { atol: 1e-8, rtol: 1e-7 })
})

test('no graph without a gradient asked for', t => {
  t.false(mixup(randn([2, 2]), [1, 0], 0.5).requiresGrad)
})

const fails = async (t: ExecutionContext, mixed: Tensor, message: RegExp) => {
  await t.throwsAsync(mixed.data(), { code: 'ERR_OP_FAILED', message })
}

test('what doesn’t fit is said when the result is read', async t => {
  const x = randn([3, 2])
  for (const dtype of ['uint8', 'int64', 'bool'] as DType[]) {
    await fails(
      t,
      mixup(zeros([3, 2], { dtype }), [0, 1, 2], 0.5),
      /Expected x of a floating dtype .* convert it to float32/,
    )
  }
  await fails(t, mixup(tensor(1), [0], 0.5), /x of shape \(N, \.\.\.\)/)
  await fails(t, mixup(x, [0, 1], 0.5), /perm of shape \[3\].* received \[2\]/)
  await fails(t, mixup(x, [0, 1, 3], 0.5), /sample numbers from 0 to 2 in perm but received 3 at position 2/)
  await fails(t, mixup(x, Int32Array.of(0, -1, 2), 0.5), /from 0 to 2 in perm but received -1/)
  await fails(t, mixup(x, tensor([0, 1, 2]), 0.5), /perm of dtype int64 or int32/)
  await fails(t, mixup(x, [0, 1, 2], [0.5, 0.5]), /lam of shape \[3\] or \[1\] but received \[2\]/)
  await fails(t, mixup(x, [0, 1, 2], arange(3)), /lam of a floating dtype/)
})

test('an out that doesn’t fit', async t => {
  const x = randn([3, 2])
  const into = (out: Tensor, source = x) => mixup(source, [0, 1, 2], 0.5, { out })
  await fails(t, into(zeros([3, 3])), /out of shape \[3, 2\] .* received \[3, 3\]/)
  await fails(t, into(zeros([3, 2], { dtype: 'float64' })), /out of dtype/)
  await fails(t, into(x.view([3, 2]), x), /out in memory of its own/)
  const base = zeros([5, 2])
  await fails(t, into(base.narrow(0, 1, 3), base.narrow(0, 0, 3)), /out in memory of its own/)
  await fails(t, into(randn([3, 2], { requiresGrad: true })), /don't require gradients when out is given/)
  // two tensors on one SharedArrayBuffer share no storage
  const buffer = new Float32Array(new SharedArrayBuffer(32))
  const [left, right] = [buffer.subarray(0, 6), buffer.subarray(2, 8)].map(part => asTensor(part, { shape: [3, 2] }))
  await fails(t, into(right, left), /out in memory of its own/)
})

test('what can’t be an argument is said at once', t => {
  const x = randn([2, 2])
  const call = (...args: unknown[]) => Reflect.apply(mixup, null, args)
  const code = 'ERR_INVALID_ARG'
  t.throws(() => call([1, 2], [0, 1], 0.5), { code, message: /a tensor for x/ })
  t.throws(() => call(x, [0, 0.5], 0.5), { code, message: /array of sample numbers for perm/ })
  t.throws(() => call(x, 'ab', 0.5), { code, message: /for perm but received "ab" of type string/ })
  t.throws(() => call(x, [0, 1], [0.5, 1.5]), { code, message: /weights from 0 to 1 for lam but received 1.5/ })
  t.throws(() => call(x, [0, 1], Number.NaN), { code, message: /weights from 0 to 1 for lam but received NaN/ })
  t.throws(() => call(x, [0, 1]), { code, message: /for lam but received undefined/ })
  t.throws(() => call(x, [0, 1], 0.5, { out: 3 }), { code, message: /a tensor for out/ })
  t.throws(() => call(x, [0, 2 ** 40], 0.5), { code, message: /perm/ })
  t.throws(() => partnersOf(Reflect.get({}, 'y'), [0]), { code, message: /a tensor for y/ })
})

test('reachable like any other operator', async t => {
  const x = randn([2, 3])
  const perm = tensor([1, 0], { dtype: 'int64' })
  await assertEqual(t, ops.torch_learner.mixup(x, perm, tensor([0.5, 0.5])), mixup(x, perm, 0.5))
  // @ts-expect-error its typings come from the schema, which has lam
  t.throws(() => ops.torch_learner.mixup(x, perm), { code: 'ERR_INVALID_ARG' })
  // @ts-expect-error and a tensor for perm
  t.throws(() => ops.torch_learner.mixup(x, [1, 0], tensor([0.5])), { code: 'ERR_INVALID_ARG' })
})
