import test from 'ava'
import {
  arange,
  asTensor,
  cat,
  Generator,
  manualSeed,
  ones,
  operator,
  ops,
  randn,
  synchronize,
  type Tensor,
  tensor,
  zeros,
} from 'torch-learner'

const values = async (x: Tensor) => await x.toArray()
const x = tensor([
  [1, 2, 3],
  [4, 5, 6],
])
const add = operator('aten::add')
const misuse = (message: RegExp) => ({ name: 'TorchLearnerError', code: 'ERR_INVALID_ARG', message })

test('arithmetic: tensors, numbers, scaled', async t => {
  const y = ones([2, 3])
  t.deepEqual(await values(x.add(y)), [
    [2, 3, 4],
    [5, 6, 7],
  ])
  t.deepEqual(await values(x.add(1)), [
    [2, 3, 4],
    [5, 6, 7],
  ])
  t.deepEqual(await values(x.add(y, { alpha: 10 })), [
    [11, 12, 13],
    [14, 15, 16],
  ])
  t.deepEqual(await values(x.sub(0.5)), [
    [0.5, 1.5, 2.5],
    [3.5, 4.5, 5.5],
  ])
  t.deepEqual(await values(x.pow(2)), [
    [1, 4, 9],
    [16, 25, 36],
  ])
  t.deepEqual(await values(tensor([1, 2]).pow(tensor([3, 2]))), [1, 4])
  t.deepEqual(await values(ops.aten.pow(2, tensor([1, 3])) as Tensor), [2, 8])
  t.is(tensor([2]).to('int64').add(1).dtype, 'int64')
  t.is(tensor([2]).to('int64').add(1.5).dtype, 'float32')
  t.deepEqual(
    await tensor([1], { dtype: 'int64' })
      .add(2n ** 60n)
      .data(),
    BigInt64Array.of(2n ** 60n + 1n),
  )
})

test('div with rounding', async t => {
  const a = tensor([7, -7])
  t.deepEqual(await values(a.div(2)), [3.5, -3.5])
  t.deepEqual(await values(a.div(2, { roundingMode: 'floor' })), [3, -4])
  t.deepEqual(await values(operator('aten::div')(a, tensor(2), { rounding_mode: 'trunc' }) as Tensor), [3, -3])
  t.deepEqual(await values(a.div(2, { roundingMode: null })), [3.5, -3.5])
})

test('reductions: all, one dimension, several, kept', async t => {
  t.is(await x.sum().item(), 21)
  t.deepEqual(await values(x.sum(1)), [6, 15])
  t.deepEqual(await values(x.sum([0])), [5, 7, 9])
  t.deepEqual(await values(x.sum([0, 1], true)), [[21]])
  t.deepEqual(await values(x.sum([1], { keepdim: true })), [[6], [15]])
  t.is(x.sum({ dtype: 'float64' }).dtype, 'float64')
  t.is(await x.mean().item(), 3.5)
  t.deepEqual(await values(x.mean(0)), [2.5, 3.5, 4.5])
  t.is(await x.max().item(), 6)
  const [most, where] = x.max(1)
  t.deepEqual(await values(most), [3, 6])
  t.deepEqual(await where.data(), BigInt64Array.of(2n, 2n))
  t.deepEqual(await values(x.max(tensor(3.5))), [
    [3.5, 3.5, 3.5],
    [4, 5, 6],
  ])
  t.deepEqual(await values(x.argmax(1)), [2, 2])
  t.is(await x.argmax().item(), 5)
})

test('std: unbiased, dimensions, correction', async t => {
  const a = tensor([
    [1, 3],
    [2, 6],
  ])
  const near = async (y: Tensor, expected: number[]) => {
    const data = (await y.flatten().data()) as Float32Array
    t.is(data.length, expected.length)
    for (let i = 0; i < expected.length; i++) t.true(Math.abs(data[i] - expected[i]) < 1e-6)
  }
  await near(a.std(), [Math.sqrt(14 / 3)])
  await near(a.std(false), [Math.sqrt(14 / 4)])
  await near(a.std([1]), [Math.SQRT2, Math.sqrt(8)])
  await near(a.std([1], false), [1, 2])
  await near(a.std([1], { correction: 0, keepdim: true }), [1, 2])
})

test('to: dtype, device, like another, both', t => {
  t.is(x.to('int64').dtype, 'int64')
  t.is(x.to('cpu').device, 'cpu')
  t.is(x.to({ dtype: 'float16' }).dtype, 'float16')
  t.is(x.to({ device: 'meta', dtype: 'float64' }).device, 'meta')
  t.is(x.to(tensor([1], { dtype: 'int8' })).dtype, 'int8')
  t.is(x.to('cpu', 'bfloat16').dtype, 'bfloat16')
  t.is(x.to({ memoryFormat: 'preserve_format', dtype: 'int32' }).dtype, 'int32')
})

test('clamp, where, masked fill', async t => {
  t.deepEqual(await values(x.clamp(2, 5)), [
    [2, 2, 3],
    [4, 5, 5],
  ])
  t.deepEqual(await values(x.clamp({ max: 2 })), [
    [1, 2, 2],
    [2, 2, 2],
  ])
  t.deepEqual(await values(x.clamp(null, 2)), [
    [1, 2, 2],
    [2, 2, 2],
  ])
  t.deepEqual(await values(x.clamp(tensor([2, 2, 2]))), [
    [2, 2, 3],
    [4, 5, 6],
  ])
  t.deepEqual(await values(x.where(x.gt(3), -1)), [
    [-1, -1, -1],
    [4, 5, 6],
  ])
  t.deepEqual(await values(x.where(x.gt(3), zeros([2, 3]))), [
    [0, 0, 0],
    [4, 5, 6],
  ])
  t.deepEqual(await values(ops.aten.where(x.gt(3), 1, 0) as Tensor), [
    [0, 0, 0],
    [1, 1, 1],
  ])
  t.deepEqual(await values(x.maskedFill(x.le(3), 0)), [
    [0, 0, 0],
    [4, 5, 6],
  ])
})

test('lists of tensors in and out', async t => {
  const parts = x.split(2, 1)
  t.deepEqual(
    parts.map(part => part.shape),
    [
      [2, 2],
      [2, 1],
    ],
  )
  t.deepEqual(
    x.split([1, 2], 1).map(part => part.shape),
    [
      [2, 1],
      [2, 2],
    ],
  )
  t.deepEqual(await values(cat(parts, 1)), await values(x))
  t.is(x.unbind().length, 2)
  t.deepEqual(await values(ops.aten.stack([tensor(1), tensor(2)])), [1, 2])
  const coordinates: Tensor[] = [ops.aten.where(x.gt(5))].flat()
  t.deepEqual(await Promise.all(coordinates.map(values)), [[1], [2]])
})

test('index with holes', async t => {
  const columns = tensor([0, 2], { dtype: 'int64' })
  t.deepEqual(await values(x.index([null, columns])), [
    [1, 3],
    [4, 6],
  ])
  t.deepEqual(await values(x.index([tensor([1], { dtype: 'int64' })])), [[4, 5, 6]])
  t.deepEqual(await values(x.index([x.gt(4)])), [5, 6])
  const y = zeros([2, 3])
  y.indexPut_([null, columns], tensor(1))
  t.deepEqual(await values(y), [
    [1, 0, 1],
    [1, 0, 1],
  ])
})

test('shapes: a list, a number where the schema allows it', async t => {
  t.deepEqual(x.view([3, -1]).shape, [3, 2])
  t.deepEqual(x.permute([1, 0]).shape, [3, 2])
  t.deepEqual(x.transpose(0, 1).shape, [3, 2])
  t.deepEqual(x.unsqueeze(-1).shape, [2, 3, 1])
  t.deepEqual(x.reshape([6]).shape, [6])
  t.is(await x.sum([]).item(), 21)
})

test('conv2d: numbers for pairs, padding by name, absent bias', async t => {
  const image = ones([1, 1, 4, 4])
  const weight = ones([1, 1, 3, 3])
  t.deepEqual(ops.aten.conv2d(image, weight).shape, [1, 1, 2, 2])
  t.deepEqual(ops.aten.conv2d(image, weight, null, 1, 1).shape, [1, 1, 4, 4])
  t.deepEqual(ops.aten.conv2d(image, weight, null, [2, 2], [1, 1]).shape, [1, 1, 2, 2])
  t.deepEqual(ops.aten.conv2d(image, weight, undefined, 1, 'same').shape, [1, 1, 4, 4])
  t.deepEqual(ops.aten.conv2d(image, weight, { padding: 'valid' }).shape, [1, 1, 2, 2])
  t.deepEqual(ops.aten.conv2d(image, weight, { bias: tensor([1]), stride: [2, 2] }).shape, [1, 1, 1, 1])
  const { shape } = ops.aten.conv2d(image, weight, { padding: 1, dilation: 2, groups: 1 })
  t.deepEqual(shape, [1, 1, 2, 2])
})

test('lists of booleans and of scalars', async t => {
  const [grad, image, weight] = [ones([1, 1, 2, 2]), ones([1, 1, 4, 4]), ones([1, 1, 3, 3])]
  const results = ops.aten.convolutionBackward(grad, image, weight, null, [1, 1], [0, 0], [1, 1], false, [0, 0], 1, [
    true,
    true,
    false,
  ])
  t.deepEqual(
    [results[0].shape, results[1].shape],
    [
      [1, 1, 4, 4],
      [1, 1, 3, 3],
    ],
  )
  t.throws(() => results[2].shape, { code: 'ERR_STATE' })
  const scaled = ops.unsafe.aten._foreach_mul([tensor(2), tensor(3)], [10, 0.5]) as Tensor[]
  t.deepEqual(await Promise.all(scaled.map(y => y.item())), [20, 1.5])
})

test('memory formats', t => {
  const image = ones([1, 3, 2, 2])
  t.is(image.contiguous({ memoryFormat: 'channels_last' }).memoryFormat, 'channels_last')
  t.is(image.to({ memoryFormat: 'channels_last' }).memoryFormat, 'channels_last')
  t.is(image.clone({ memoryFormat: 'contiguous_format' }).memoryFormat, 'contiguous')
})

test.serial('random operators with and without a generator', async t => {
  const draw = async (generator?: Generator) => await values(zeros([4]).normal_(0, 1, { generator }))
  t.deepEqual(await draw(new Generator(7)), await draw(new Generator(7)))
  t.notDeepEqual(await draw(new Generator(7)), await draw(new Generator(8)))
  manualSeed(7)
  const shared = await draw()
  t.deepEqual(await draw(new Generator(7)), shared)
  const uniform = (await values(zeros([100]).uniform_(2, 3, { generator: new Generator(1) }))) as number[]
  t.true(uniform.every(v => v >= 2 && v < 3))
})

test('names of arguments in both cases, and in any order', async t => {
  const a = await values(ops.aten.nllLoss(x.logSoftmax(1), tensor([0, 1], { dtype: 'int64' }), { ignoreIndex: 1 }))
  const b = await values(
    ops.aten.nll_loss({ target: tensor([0, 1], { dtype: 'int64' }), ignore_index: 1, self: x.logSoftmax(1) }) as Tensor,
  )
  t.deepEqual(a, b)
  const matrix = tensor([
    [2, 0],
    [0, 4],
  ])
  t.deepEqual(await values(ops.aten.linalg_solve({ A: matrix, B: tensor([[2], [4]]) }) as Tensor), [[1], [1]])
  t.deepEqual(ops.aten.atleast2d(tensor(1)).shape, [1, 1])
  t.deepEqual(x.mT().shape, [3, 2])
  t.deepEqual(ops.aten.mT(x).shape, [3, 2])
})

test('out= writes where it is told, and gives that tensor back', async t => {
  const out = zeros([2, 3])
  t.is(add(x, 1, { out }), out)
  t.deepEqual(await values(out), [
    [2, 3, 4],
    [5, 6, 7],
  ])
  const [max, maxValues] = [zeros([0]), zeros([0], { dtype: 'int64' })]
  const both = operator('aten::max')(x, 1, false, { max, max_values: maxValues }) as Tensor[]
  t.is(both[0], max)
  t.is(both[1], maxValues)
  t.deepEqual(max.shape, [2])
})

test('in-place operators give the tensor itself, with its new shape', t => {
  const y = zeros([2, 3])
  t.deepEqual(y.shape, [2, 3])
  t.is(y.add_(1), y)
  t.is(y.squeeze_(), y)
  t.deepEqual(y.t_().shape, [3, 2])
  t.deepEqual(y.resize_([4]).shape, [4])
})

test('results that are not tensors come by promise', async t => {
  t.is(await x.equal(x), true)
  t.is(await x.isNonzero().catch((error: Error & { code: string }) => error.code), 'ERR_OP_FAILED')
  t.is(await tensor(3).isNonzero(), true)
  t.is(await ops.aten.canCast('int64', 'float32'), true)
  t.is(await ops.aten.is_same_size(x, x), true)
})

test('several results in one call', async t => {
  const [q, r] = ops.aten.linalgQr(
    tensor([
      [1, 0],
      [0, 2],
    ]),
  )
  t.deepEqual((await values(q.mm(r))) as number[][], [
    [1, 0],
    [0, 2],
  ])
  const [sorted, order] = tensor([3, 1, 2]).sort()
  t.deepEqual(await values(sorted), [1, 2, 3])
  t.deepEqual(await values(order), [1, 2, 0])
})

test('wrong arguments: one sentence with the schemas and what came', t => {
  t.throws(
    () => x.add('1' as never),
    misuse(/Expected arguments of aten::add\.Tensor\(.*for aten::add but received \(Tensor, string '1'\)/),
  )
  t.throws(() => x.add(x, { alfa: 1 } as never), misuse(/alfa=number 1/))
  t.throws(() => add(x, x, x, x), misuse(/Tensor, Tensor, Tensor/))
  t.throws(() => x.add(null as never), misuse(/\(Tensor, null\)/))
  t.throws(() => x.add(undefined as never), misuse(/for aten::add/))
  t.throws(() => x.sum(1.5), misuse(/number 1.5/))
  t.throws(() => Reflect.apply(x.view, x, [3, 2]), misuse(/one array: \[2, 3\]/))
  t.throws(() => x.view(['a'] as never), misuse(/for item 0 of a list but received "a"/))
  t.throws(() => cat([x, 1 as never]), misuse(/item 1/))
  t.throws(() => cat([x, null as never]), misuse(/Tensor\[2\]/))
  t.throws(() => cat(x as never), misuse(/for aten::cat/))
  t.throws(() => x.to('nothing'), misuse(/device=string 'nothing'/))
  t.throws(() => x.to({ dtype: 'float128' as never }), misuse(/dtype=string 'float128'/))
  t.throws(() => x.add(new Float32Array(2) as never), misuse(/Wrap typed arrays/))
  t.throws(() => x.add((() => 1) as never), misuse(/another type|function/))
  t.throws(() => x.add(Symbol('x') as never), misuse(/another type|symbol/))
  t.throws(() => x.add(2n ** 70n), misuse(/64 bits/))
  t.throws(() => ops.aten.noSuchOperator(x), misuse(/aten::no_such_operator/))
  t.throws(() => add(...Array(70).fill(1)), misuse(/Too many/))
  t.throws(() => add(), misuse(/\(\)/))
})

test('a borrowed array of the caller is read when the operator is queued', async t => {
  const shape = [6]
  const y = x.view(shape)
  shape[0] = 3
  t.deepEqual(y.shape, [6])
  await synchronize()
})

test.serial('every overload of a busy family can be reached', async t => {
  manualSeed(1)
  const p = tensor([0.5, 0.5])
  const first = await values(ops.aten.bernoulli(p))
  manualSeed(1)
  t.deepEqual(await values(p.bernoulli()), first)
  t.deepEqual(p.bernoulli(0.5).shape, [2])
  t.deepEqual(randn([3]).norm().shape, [])
  t.deepEqual(x.norm(2, [1]).shape, [2])
  t.deepEqual(ops.aten.arange(3).shape, [3])
  t.deepEqual(arange(0, 1, 0.5).shape, [2])
  t.deepEqual(asTensor(Float32Array.of(1, 2)).repeatInterleave(2).shape, [4])
})
