import test from 'ava'
import {
  arange,
  asTensor,
  type DType,
  empty,
  eye,
  full,
  linspace,
  mark,
  ones,
  rand,
  Tensor,
  tensor,
  where,
  zeros,
} from 'torch-learner'

test('numbers in nested arrays become float32', async t => {
  const x = tensor([
    [1, 2, 3],
    [4, 5, 6.5],
  ])
  t.deepEqual(x.shape, [2, 3])
  t.is(x.dtype, 'float32')
  t.is(x.device, 'cpu')
  t.is(x.ndim, 2)
  t.is(x.numel, 6)
  t.deepEqual(x.strides, [3, 1])
  t.is(x.memoryFormat, 'contiguous')
  t.deepEqual(await x.toArray(), [
    [1, 2, 3],
    [4, 5, 6.5],
  ])
  t.deepEqual(await x.data(), Float32Array.of(1, 2, 3, 4, 5, 6.5))
})

test('scalars, empty dimensions, booleans and bigints', async t => {
  t.deepEqual(tensor(3).shape, [])
  t.is(await tensor(3).item(), 3)
  t.deepEqual(tensor([]).shape, [0])
  t.deepEqual(tensor([[], []]).shape, [2, 0])
  t.deepEqual(await tensor([[], []]).toArray(), [[], []])
  t.is((await tensor([]).data()).length, 0)
  const yes = tensor([true, false])
  t.is(yes.dtype, 'bool')
  t.deepEqual(await yes.toArray(), [true, false])
  t.deepEqual(await yes.data(), Uint8Array.of(1, 0))
  const big = tensor([2n ** 62n, -1n])
  t.is(big.dtype, 'int64')
  t.deepEqual(await big.data(), BigInt64Array.of(2n ** 62n, -1n))
})

const roundTrips: [DType, number[], unknown][] = [
  ['float32', [1.5, -2, 0.1], Float32Array.of(1.5, -2, 0.1)],
  ['float64', [1.5, -2, 0.1], Float64Array.of(1.5, -2, 0.1)],
  ['float16', [1.5, -2, 65504], Uint16Array.of(0x3e00, 0xc000, 0x7bff)],
  ['bfloat16', [1.5, -2, 256], Uint16Array.of(0x3fc0, 0xc000, 0x4380)],
  ['int64', [1, -2, 2 ** 40], BigInt64Array.of(1n, -2n, 2n ** 40n)],
  ['int32', [1, -2, 2 ** 30], Int32Array.of(1, -2, 2 ** 30)],
  ['int16', [1, -2, 300], Int16Array.of(1, -2, 300)],
  ['int8', [1, -2, 127], Int8Array.of(1, -2, 127)],
  ['uint8', [1, 2, 255], Uint8Array.of(1, 2, 255)],
  ['bool', [1, 0, 1], Uint8Array.of(1, 0, 1)],
]
for (const [dtype, values, memory] of roundTrips) {
  test(`${dtype} in and out`, async t => {
    const x = tensor(values, { dtype })
    t.is(x.dtype, dtype)
    t.deepEqual(await x.data(), memory as never)
    t.deepEqual(x.dataSync(), memory as never)
    const expected =
      dtype === 'bool' ? values.map(Boolean) : dtype === 'float32' ? [...Float32Array.from(values)] : values
    t.deepEqual(await x.toArray(), expected)
    t.deepEqual(x.toArraySync(), expected)
    const again = asTensor(memory as Float32Array, { dtype: dtype === 'bool' ? undefined : dtype })
    t.deepEqual(await again.data(), memory as never)
    const other = await x.to({ dtype: 'float64' }).toArray()
    t.deepEqual(other, dtype === 'float32' ? [...Float32Array.from(values)] : values)
  })
}

test('half precision reads as numbers: subnormal, infinite, NaN', async t => {
  const half = tensor(Uint16Array.of(0x0001, 0x7c00, 0xfc00, 0x7e00, 0x8000), { dtype: 'float16' })
  t.deepEqual(await half.toArray(), [2 ** -24, Infinity, -Infinity, NaN, -0])
  const brain = tensor([1e38, Infinity], { dtype: 'bfloat16' })
  const [large, infinite] = (await brain.toArray()) as number[]
  t.true(Math.abs(large - 1e38) < 1e36)
  t.is(infinite, Infinity)
})

test('typed arrays: shape, conversion, offset, copy', async t => {
  const source = new Float32Array([0, 1, 2, 3, 4, 5, 6])
  const x = tensor(source.subarray(1), { shape: [2, 3] })
  source[1] = 100
  t.deepEqual(
    await x.toArray(),
    [
      [1, 2, 3],
      [4, 5, 6],
    ],
    'tensor() copies',
  )
  const y = tensor(Uint8Array.of(1, 2), { dtype: 'float64' })
  t.is(y.dtype, 'float64')
  t.deepEqual(await y.toArray(), [1, 2])
})

test('asTensor shares memory that is shared, both ways', async t => {
  const source = new Float32Array(new SharedArrayBuffer(400_000))
  const x = asTensor(source.subarray(10), { shape: [10, 9999] })
  source[10] = 7
  t.is(await x.index([tensor(0, { dtype: 'int64' }), tensor(0, { dtype: 'int64' })]).item(), 7)
  x.fill_(3)
  await x.data()
  t.is(source[9], 0)
  t.is(source[10], 3)
})

test.serial('data({ copy: false }) shares, data() does not', async t => {
  const x = zeros([5000])
  const shared = (await x.data({ copy: false })) as Float32Array
  const again = (await x.data({ copy: false })) as Float32Array
  const copy = (await x.data()) as Float32Array
  x.add_(1)
  await mark()
  t.is(shared[4999], 1)
  t.is(again[4999], 1)
  t.is(copy[4999], 0)
  x.dispose()
  t.is(shared[0], 1, 'lives as long as the array')
  const row = arange(12).view([3, 4]).t()
  t.deepEqual(await row.data({ copy: false }), BigInt64Array.from([0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11], BigInt))
})

test('channels_last', t => {
  const x = empty([2, 3, 4, 5], { memoryFormat: 'channels_last' })
  t.is(x.memoryFormat, 'channels_last')
  t.deepEqual(x.strides, [60, 1, 15, 3])
  t.is(x.contiguous().memoryFormat, 'contiguous')
})

test('creation functions', async t => {
  t.deepEqual(await zeros([2, 2]).toArray(), [
    [0, 0],
    [0, 0],
  ])
  t.deepEqual(await ones([2], { dtype: 'int32' }).data(), Int32Array.of(1, 1))
  t.deepEqual(await full([2], 0.5).toArray(), [0.5, 0.5])
  t.is(full([1], 3).dtype, 'float32')
  t.deepEqual(await arange(3).toArray(), [0, 1, 2])
  t.is(arange(3).dtype, 'int64')
  t.deepEqual(await arange(1, 2, 0.25).toArray(), [1, 1.25, 1.5, 1.75])
  t.deepEqual(await arange(3, { dtype: 'float32' }).data(), Float32Array.of(0, 1, 2))
  t.deepEqual(await linspace(0, 1, 5).toArray(), [0, 0.25, 0.5, 0.75, 1])
  t.deepEqual(await eye(2).toArray(), [
    [1, 0],
    [0, 1],
  ])
  t.deepEqual(eye(2, 3).shape, [2, 3])
  t.true(rand([3], { requiresGrad: true }).requiresGrad)
  const mask = tensor([true, false])
  t.deepEqual(await where(mask, ones([2]), 5).toArray(), [1, 5])
})

test('what can not become a tensor is refused in one sentence', t => {
  const bad: [() => unknown, RegExp][] = [
    [() => tensor([[1, 2], [3]] as never), /nested arrays of equal lengths/],
    [() => tensor([1, 'a'] as never), /Expected numbers.* for data but received "a" of type string/],
    [() => tensor([1, true] as never), /for data/],
    [() => tensor(undefined as never), /for data/],
    [() => tensor(new Uint16Array(2) as never), /float16 or bfloat16/],
    [() => tensor([1], { dtype: 'float' as never }), /Expected one of float32.* for dtype but received "float"/],
    [() => tensor([300], { dtype: 'uint8' }), /numbers from 0 to 255 \(uint8\) for data but received 300/],
    [() => tensor([Number.NaN], { dtype: 'int64' }), /for data but received NaN/],
    [() => tensor([1, 2, 3], { shape: [2, 2] }), /Expected 4 elements for shape \[2, 2\]/],
    [
      () => tensor([1], { dtyp: 'int64' } as never),
      /Expected only dtype, .*, shape for the options of tensor but received "dtyp"/,
    ],
    [() => zeros([-1]), /non-negative integers for shape/],
    [() => zeros([1.5]), /for shape/],
    [() => zeros(3 as never), /for shape/],
    [() => zeros([1], { device: 'gpu' }), /aten::zeros/],
    [() => asTensor([1] as never), /Use tensor\(data\)/],
    [() => asTensor(new Float32Array(2), { dtype: 'int32' }), /the array's own \(float32\)/],
    [() => new (Tensor as never as new (data: unknown) => Tensor)([1]), /native handle/],
  ]
  for (const [make, message] of bad) {
    const error = t.throws(make, { name: 'TorchLearnerError', message }) as Error & { code?: string }
    t.is(error?.code, 'ERR_INVALID_ARG')
  }
})

test('item() of several elements', async t => {
  await t.throwsAsync(tensor([1, 2]).item(), { code: 'ERR_INVALID_ARG', message: /one element .* shape \[2\]/ })
  t.throws(() => tensor([1, 2]).itemSync(), { code: 'ERR_INVALID_ARG' })
  t.is(tensor([[4]]).itemSync(), 4)
})

test('more memory than there is', async t => {
  await t.throwsAsync(empty([2 ** 40]).data(), { code: 'ERR_OUT_OF_MEMORY', message: /memory/ })
  await t.throwsAsync(empty([2 ** 31, 2 ** 31]).data(), { code: 'ERR_OP_FAILED' })
})

test('inspecting', async t => {
  const { inspect } = await import('node:util')
  const x = tensor([1, 2])
  t.regex(inspect(x), /Tensor/)
  t.deepEqual(x.shape, [2])
  t.is(inspect(x), 'Tensor(float32[2])')
  x.dispose()
  t.is(inspect(x), 'Tensor(disposed)')
})
