// Typed arrays that are not of every Node: Float16Array (Node 24), and those that no Node has yet.
import test from 'ava'

const prototype: object = Object.getPrototypeOf(Uint8Array.prototype)
const tag = Object.getOwnPropertyDescriptor(prototype, Symbol.toStringTag)
const renamed = new WeakMap<object, string>()
// before the package is loaded: arrays in `renamed` say that they are of another class
Object.defineProperty(prototype, Symbol.toStringTag, {
  ...tag,
  get() {
    return renamed.get(this) ?? tag?.get?.call(this)
  },
})
const { asTensor, DataLoader, IterableDataset, tensor } = await import('torch-learner')

/** `array`, as if its class had that name. */
function as(name: string, array: Uint16Array | Uint32Array): Float32Array {
  renamed.set(array, name)
  return array as unknown as Float32Array
}

const wrong = { name: 'TorchLearnerError', code: 'ERR_INVALID_ARG' } as const

for (const name of ['Float8Array', 'Uint32Array', 'BigUint64Array', 'Uint16Array']) {
  test(`${name} is no dtype: refused, never taken for int64`, t => {
    const data = as(name, new Uint32Array(2))
    t.throws(() => tensor(data), wrong)
    t.throws(() => asTensor(data), wrong)
  })
}

async function firstOf(samples: [Float32Array, number][], iterable: boolean) {
  const loader = new DataLoader(iterable ? new IterableDataset(() => samples, { n: samples.length }) : samples, {
    bs: 2,
  })
  for await (const [x] of loader) return { dtype: x.dtype, values: await x.toArray() }
  return undefined
}

for (const name of ['Float8Array', 'BigUint64Array']) {
  test(`samples of ${name} are refused`, async t => {
    for (const iterable of [false, true]) {
      const make = () => as(name, new Uint16Array(2))
      await t.throwsAsync(
        firstOf(
          [
            [make(), 0],
            [make(), 1],
          ],
          iterable,
        ),
        wrong,
      )
    }
  })
}

test('the bits of a Float16Array are float16', async t => {
  const bits = () => as('Float16Array', Uint16Array.of(0x3c00, 0xc000))
  for (const x of [tensor(bits()), asTensor(bits())]) {
    t.is(x.dtype, 'float16')
    t.deepEqual(await x.toArray(), [1, -2])
  }
  const x = tensor(bits(), { dtype: 'float32', shape: [2, 1] })
  t.is(x.dtype, 'float32')
  t.deepEqual(await x.toArray(), [[1], [-2]])
  t.throws(() => asTensor(bits(), { dtype: 'bfloat16' }), wrong)
})

test('float16 comes out as bits, and as Float16Array when asked for', async t => {
  const x = tensor([1, -2], { dtype: 'float16' })
  const bits = await x.data()
  t.deepEqual(bits, Uint16Array.of(0x3c00, 0xc000))
  const { Float16Array } = globalThis as { Float16Array?: Float32ArrayConstructor }
  const asked = x.data({ float16Array: true })
  if (!Float16Array) {
    await t.throwsAsync(asked, { code: 'ERR_UNSUPPORTED', message: /Node 24/ })
    t.throws(() => x.dataSync({ float16Array: true }), { code: 'ERR_UNSUPPORTED' })
  } else {
    t.true((await asked) instanceof Float16Array)
    t.deepEqual([...(await asked)], [1, -2])
    t.deepEqual([...x.dataSync({ float16Array: true, copy: false })], [1, -2])
    t.deepEqual(await tensor([1]).data({ float16Array: true }), Float32Array.of(1), 'other dtypes come as ever')
  }
  const odd = { float16Array: 'yes' } as unknown as { float16Array: true }
  await t.throwsAsync(x.data(odd), wrong)
})

const { Float16Array: Half } = globalThis as { Float16Array?: Float32ArrayConstructor }
const withHalf = Half ? test : test.skip

withHalf('samples of Float16Array become float32, as those of other floats', async t => {
  const row = (...values: number[]) => (Half as Float32ArrayConstructor).from(values)
  for (const iterable of [false, true]) {
    const got = await firstOf(
      [
        [row(0.5, 1), 0],
        [row(2, -3), 1],
      ],
      iterable,
    )
    t.deepEqual(got, {
      dtype: 'float32',
      values: [
        [0.5, 1],
        [2, -3],
      ],
    })
  }
  const shaped = { data: row(1, 2), shape: [2, 1] }
  const loader = new DataLoader(
    [
      [shaped, 0],
      [shaped, 1],
    ],
    { bs: 2 },
  )
  for await (const [x] of loader) t.deepEqual(x.shape, [2, 2, 1])
  t.deepEqual(await tensor(row(1.5)).toArray(), [1.5])
})
