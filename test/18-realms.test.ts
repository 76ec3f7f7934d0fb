// Values of other realms, as `vm` and Jest make them: what a thing is decides, not whose class it is of.
// `npm run test:realms` runs the public surface under Jest itself.
import vm from 'node:vm'
import test from 'ava'
import {
  asTensor,
  Callback,
  DataLoader,
  drawMixup,
  IterableDataset,
  mixup,
  nn,
  noneReduce,
  RegexLabeller,
  SGD,
  scope,
  type Tensor,
  type TorchLearnerError,
  tensor,
} from 'torch-learner'
import { tinyLearner } from './helpers/learning.js'

const realm = vm.createContext({ ReadableStream: undefined })
/** What `code` gives in the other realm. */
const foreign = <T>(code: string): T => vm.runInContext(`(${code})`, realm)

test('foreign: the values of these tests are of another realm', t => {
  t.false(foreign('new Map()') instanceof Map)
  t.false(foreign('Float32Array.of(1)') instanceof Float32Array)
})

const ARRAYS: Readonly<Record<string, string>> = {
  Float32Array: 'float32',
  Float64Array: 'float64',
  Int32Array: 'int32',
  Int16Array: 'int16',
  Int8Array: 'int8',
  Uint8Array: 'uint8',
  Uint8ClampedArray: 'uint8',
}

for (const [type, dtype] of Object.entries(ARRAYS)) {
  test(`foreign ${type}: tensor and asTensor`, async t => {
    const data = foreign<Float32Array>(`${type}.of(1, 2, 3)`)
    for (const x of [tensor(data), asTensor(data)]) {
      t.is(x.dtype, dtype as typeof x.dtype)
      t.deepEqual(await x.toArray(), [1, 2, 3])
    }
  })
}

test('foreign integers, bits and nested arrays', async t => {
  t.deepEqual(await tensor(foreign<BigInt64Array>('BigInt64Array.of(7n)')).toArray(), [7])
  t.is(await tensor(foreign<Uint16Array>('Uint16Array.of(0x3c00)'), { dtype: 'float16' }).item(), 1)
  t.deepEqual(await tensor(foreign<number[][]>('[[1, 2], [3, 4]]')).toArray(), [
    [1, 2],
    [3, 4],
  ])
})

test('foreign samples keep their kind', async t => {
  const cases: [code: string, dtype: string][] = [
    ['Float32Array.of(0.5, 1.5)', 'float32'],
    ['Float64Array.of(0.5, 1.5)', 'float32'],
    ['Uint8Array.of(1, 2)', 'uint8'],
    ['Int16Array.of(1, 2)', 'int64'],
    ['BigInt64Array.of(1n, 2n)', 'int64'],
    ['({ data: Float32Array.of(1.5, 2), shape: [2, 1] })', 'float32'],
    ['[Uint8Array.of(1), Uint8Array.of(2)]', 'uint8'],
  ]
  for (const [code, dtype] of cases) {
    const loader = new DataLoader(foreign<[Float32Array, number][]>(`[[${code}, 0], [${code}, 1]]`), { bs: 2 })
    for await (const [x, y] of loader) t.deepEqual([x.dtype, y.dtype] as string[], [dtype, 'int64'], code)
  }
})

test('foreign options, arrays of tensors, and what a scope returns', async t => {
  const x = tensor([
    [1, 2],
    [3, 4],
  ])
  t.deepEqual(await x.sum(foreign('{ dim: [1], keepdim: true }')).toArray(), [[3], [7]])
  const pack = foreign<(a: Tensor, b: Tensor) => { a: Tensor; b: Map<string, Tensor> }>(
    "(a, b) => ({ a, b: new Map([['b', b]]) })",
  )
  const kept = scope(() => pack(x.add(1), x.mul(2)))
  t.deepEqual(await kept.a.sum().item(), 14)
  t.deepEqual(await kept.b.get('b')?.sum().item(), 20)
  const later = foreign<(make: () => Tensor) => Promise<Tensor>>('async make => make()')
  t.is(await (await scope(() => later(() => x.sum()))).item(), 10)
})

test('foreign state dicts', async t => {
  const model = new nn.Linear(2, 1)
  const make = foreign<(w: Tensor, b: Tensor) => Map<string, Tensor>>("(w, b) => new Map([['weight', w], ['bias', b]])")
  model.loadStateDict(make(tensor([[1, 2]]), tensor([3])))
  t.deepEqual(await model.weight.toArray(), [[1, 2]])
  t.throws(() => model.loadStateDict(foreign('new Map()')), { code: 'ERR_STATE_DICT' })
})

test('foreign random numbers mix', async t => {
  const random = foreign<Parameters<typeof drawMixup>[2]>(
    '{ beta: (_, n) => new Float32Array(n).fill(0.25), permutation: n => Int32Array.of(1, 0), integer: () => 0 }',
  )
  const { lam, perm } = drawMixup(2, 0.4, random)
  t.deepEqual(await mixup(tensor([1, 2]), perm, lam).toArray(), [1.25, 1.75])
  const own = [foreign<Int32Array>('Int32Array.of(1, 0)'), foreign<Float32Array>('Float32Array.of(1, 0)')] as const
  t.deepEqual(await mixup(tensor([1, 2]), ...own).toArray(), [1, 1])
})

test('foreign learning rates, patterns and iterables', async t => {
  const w = tensor([1], { requiresGrad: true })
  const opt = new SGD([[w]], { lr: foreign<Float64Array>('Float64Array.of(0.5)') })
  w.mul(2).backward()
  opt.step()
  t.is(await w.item(), 0)
  t.is(RegexLabeller(foreign<RegExp>('/(\\d+)_/'))('12_x'), '12')
  const source = foreign<() => AsyncIterable<[number[], number]>>('async function* () { yield [[1, 2], 0] }')
  for await (const [x] of new DataLoader(new IterableDataset(source, { n: 1 }), { bs: 1 })) t.deepEqual(x.shape, [1, 2])
})

test('a foreign error and a foreign promise in a callback', async t => {
  const cbs = new Callback({ name: 'mine', afterPred: foreign("async () => { throw new RangeError('beyond') }") })
  const error = await t.throwsAsync<TorchLearnerError>(tinyLearner({ cbs }).fit(1), { code: 'ERR_CALLBACK' })
  t.is(error?.message, 'Error in mine at afterPred: beyond')
  t.like(error?.cause, { name: 'RangeError', message: 'beyond' })
  const loss = new nn.CrossEntropyLoss()
  await noneReduce(loss, foreign<() => Promise<void>>('async () => undefined'))
  t.is(loss.reduction, 'mean')
})

test('a signal that another library made', async t => {
  const signal = foreign<AbortSignal>(
    "{ aborted: true, addEventListener() {}, removeEventListener() {}, throwIfAborted() { throw new Error('over') } }",
  )
  await t.throwsAsync(tinyLearner().fit(1, { signal }), { any: true, message: 'over' })
})
