// Bytes to normalised, mixed floats in one pass: bit for bit what the separate steps give.
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import {
  asTensor,
  getNumThreads,
  type MemoryFormat,
  manualSeed,
  mixup,
  ops,
  rand,
  randint,
  randn,
  randperm,
  setNumThreads,
  type Tensor,
  tensor,
} from 'torch-learner'

interface Numbers {
  mean: number[]
  std: number[]
  divisor?: number
}

const normalize = (x: Tensor, { mean, std, ...rest }: Numbers & { memoryFormat?: MemoryFormat }) =>
  ops.torch_learner.normalize(x, mean, std, rest) as Tensor
const normalizeMixup = (x: Tensor, { mean, std, divisor }: Numbers, perm: Tensor, lam: Tensor) =>
  ops.torch_learner.normalize_mixup(x, mean, std, perm, lam, { divisor }) as Tensor

function separate(x: Tensor, { mean, std, divisor }: Numbers): Tensor {
  const column = (values: number[]) => tensor(Float32Array.from(values), { shape: [1, values.length, 1, 1] })
  const y = divisor === undefined ? x : x.to({ dtype: 'float32' }).div(divisor)
  return mean.length === 0 ? y : y.sub(column(mean)).div(column(std))
}

const perSample = (lam: Tensor) => lam.view([-1, 1, 1, 1])
const separateMixup = (x: Tensor, numbers: Numbers, perm: Tensor, lam: Tensor) => {
  const y = separate(x, numbers)
  return y.index([perm]).lerp(y, perSample(lam))
}

async function same(t: ExecutionContext, actual: Tensor, expected: Tensor, label: string): Promise<void> {
  t.is(actual.dtype, expected.dtype, label)
  t.is(actual.memoryFormat, expected.memoryFormat, label)
  t.deepEqual(actual.shape, expected.shape, label)
  t.true(await actual.equal(expected), label)
}

const bytes = (shape: number[]) => randint(0, 256, shape, { dtype: 'uint8' })
const channelsLast = (x: Tensor) => x.contiguous({ memoryFormat: 'channels_last' })
const numbersFor = (channels: number): Numbers => ({
  mean: Array.from({ length: channels }, (_, c) => 0.485 - 0.03 * c),
  std: Array.from({ length: channels }, (_, c) => 0.229 + 0.01 * c),
  divisor: 255,
})

const SHAPES = [
  [1, 3, 1, 1],
  [1, 3, 8, 8],
  [2, 1, 5, 7],
  [5, 3, 17, 31],
  [3, 4, 13, 9],
  [2, 16, 11, 5],
  [2, 17, 6, 5],
  [0, 3, 4, 4],
  [21, 3, 271, 259], // large enough to be written past the caches, samples of odd sizes
]

test.serial('any shape, either layout, one thread or several', async t => {
  manualSeed(1)
  const threads = getNumThreads()
  for (const shape of SHAPES) {
    const numbers = numbersFor(shape[1])
    const [perm, lam] = [randperm(shape[0]), rand([shape[0]])]
    for (const layout of [channelsLast, (x: Tensor) => x]) {
      const pictures = layout(bytes(shape))
      const floats = layout(randn(shape))
      const { divisor, ...unscaled } = numbers
      for (const count of [1, 3]) {
        setNumThreads(count)
        const label = `${shape} on ${count} threads, ${divisor}`
        await same(t, normalize(pictures, numbers), separate(pictures, numbers), label)
        await same(t, normalize(floats, unscaled), separate(floats, unscaled), label)
        const mixed = normalizeMixup(pictures, numbers, perm, lam)
        await same(t, mixed, separateMixup(pictures, numbers, perm, lam), label)
        t.true(
          await normalizeMixup(floats, unscaled, perm, lam).equal(mixup(separate(floats, unscaled), perm, lam)),
          label,
        )
      }
    }
  }
  setNumThreads(threads)
})

test('any mean, any deviation', async t => {
  const positive = fc.float({ min: Math.fround(1e-38), max: Math.fround(1e38), noNaN: true })
  const number = fc.float({ min: Math.fround(-1e6), max: Math.fround(1e6), noNaN: true })
  const all = asTensor(Uint8Array.from({ length: 256 }, (_, i) => i)).view([1, 1, 16, 16])
  const property = fc.asyncProperty(
    number,
    positive,
    fc.option(positive, { nil: undefined }),
    async (mean, std, divisor) => {
      const numbers = { mean: [mean], std: [std], divisor }
      const [actual, expected] = [await normalize(all, numbers).data(), await separate(all, numbers).data()]
      return Buffer.from(actual.buffer).equals(Buffer.from(expected.buffer))
    },
  )
  await t.notThrowsAsync(fc.assert(property, { numRuns: 300, seed: 1 }))
  // not in the kernels' reach: the first has no exact reciprocal in two floats, the second a mean that is not a number
  for (const std of [1e-40, 3e38, 1 / 3, 0]) {
    const numbers = { mean: [0.1], std: [std], divisor: 255 }
    t.deepEqual(await normalize(all, numbers).data(), await separate(all, numbers).data(), `${std}`)
  }
})

test('one number for all channels; only the division; channels_last on demand', async t => {
  const x = bytes([2, 3, 6, 5])
  const one = { mean: [0.5], std: [0.25], divisor: 255 }
  await same(t, normalize(x, one), separate(x, one), 'one')
  const scaled = { mean: [], std: [], divisor: 255 }
  await same(t, normalize(x, scaled), separate(x, scaled), 'scaled')
  const numbers = numbersFor(3)
  await same(
    t,
    normalize(x, { ...numbers, memoryFormat: 'channels_last' }),
    channelsLast(separate(x, numbers)),
    'channels_last',
  )
})

test('what kernels do not know is done step by step: dtypes, dimensions, broadcasting, slices', async t => {
  const { mean, std } = numbersFor(3)
  for (const dtype of ['float64', 'float16', 'int32'] as const) {
    const x = randn([2, 3, 4, 5]).mul(100).to({ dtype })
    await same(t, normalize(x, { mean, std }), separate(x, { mean, std }), dtype)
    await same(t, normalize(x, { mean, std, divisor: 2 }), separate(x, { mean, std, divisor: 2 }), `${dtype}, divided`)
  }
  const scaled = { mean: [], std: [], divisor: 255 }
  const row = bytes([7])
  await same(t, normalize(row, scaled), separate(row, scaled), 'a row')
  const grey = bytes([2, 1, 4, 5])
  await same(t, normalize(grey, numbersFor(3)), separate(grey, numbersFor(3)), 'one channel becomes three')
  const part = bytes([4, 3, 9, 9]).slice(3, 2, 7).slice(0, 1, 3)
  t.true(await normalize(part, numbersFor(3)).equal(separate(part, numbersFor(3))))
})

test('several dtypes of weights and partners, repeated partners, one weight for all', async t => {
  const x = channelsLast(bytes([4, 3, 5, 5]))
  const numbers = numbersFor(3)
  for (const [perm, lam] of [
    [tensor(Int32Array.of(1, 1, 0, 3)), tensor(Float32Array.of(0, 0.3, 0.5, 1))],
    [tensor([3, 2, 1, 0], { dtype: 'int64' }), tensor(Float64Array.of(0.25, 0.5, 0.75, 1), { dtype: 'float64' })],
    [tensor([3, 2, 1, 0], { dtype: 'int64' }), tensor(Float32Array.of(0.7))],
  ]) {
    const expected = separateMixup(x, numbers, perm.to({ dtype: 'int64' }), lam.to({ dtype: 'float32' }))
    await same(t, normalizeMixup(x, numbers, perm, lam), expected, `${perm.dtype} ${lam.dtype}`)
  }
})

test('gradients, as of the separate steps', async t => {
  const [perm, lam] = [randperm(2), tensor(Float32Array.of(0.7, 0.2)).requiresGrad_(true)]
  const { mean, std } = numbersFor(3)
  const values = randn([2, 3, 4, 4])
  const gradients = async (run: (x: Tensor) => Tensor) => {
    const x = values.clone().requiresGrad_(true)
    run(x).pow(2).sum().backward()
    return [...((await x.grad?.data()) ?? [])]
  }
  t.deepEqual(await gradients(x => normalize(x, { mean, std })), await gradients(x => separate(x, { mean, std })))
  const mixed = await gradients(x => normalizeMixup(x, { mean, std }, perm, lam))
  t.deepEqual(mixed, await gradients(x => mixup(separate(x, { mean, std }), perm, lam)))
  t.deepEqual(lam.grad?.shape, [2], 'and of the weights')
})

test('what does not fit', async t => {
  const x = bytes([2, 3, 4, 4])
  const [perm, lam] = [randperm(2), rand([2])]
  const fails = async (made: Tensor, message: RegExp) => void (await t.throwsAsync(made.data(), { message }))
  await fails(normalize(x, { mean: [0.5], std: [] }), /a std for each mean but received 1 means and 0 stds/)
  await fails(normalize(x, { mean: [], std: [] }), /means or a divisor but received neither/)
  await fails(normalize(x, { mean: [0, 0], std: [1, 1], divisor: 255 }), /must match the size/)
  await fails(normalizeMixup(x, numbersFor(3), randperm(3), lam), /perm of shape \[2\], one partner per sample/)
  await fails(normalizeMixup(x, numbersFor(3), tensor([0, 2], { dtype: 'int64' }), lam), /sample numbers from 0 to 1/)
  await fails(normalizeMixup(x, numbersFor(3), perm, rand([3])), /lam of shape \[2\] or \[1\]/)
})
