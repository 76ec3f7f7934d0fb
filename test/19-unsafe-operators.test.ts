import test from 'ava'
import { operator, ops, randn, type Tensor, tensor, zeros } from 'torch-learner'
import { runNode } from './helpers/child.js'

const invalid = (message: RegExp) => ({ code: 'ERR_INVALID_ARG', message })
const failed = (message: RegExp) => ({ code: 'ERR_OP_FAILED', message })
const call = (name: string, args: readonly unknown[]) => Reflect.apply(ops.aten[name], null, args)

test('private, quantised and foreign operators are refused, and the error names where they are', t => {
  for (const [name, kind] of [
    ['_foreach_mul', 'private'],
    ['__and__', 'private'],
    ['quantize_per_tensor', 'for quantised tensors'],
    ['q_scale', 'for quantised tensors'],
    ['mkldnn_convolution', "of one backend's library"],
    ['cudnn_batch_norm', "of one backend's library"],
  ]) {
    t.throws(
      () => call(name, [randn([2])]),
      invalid(new RegExp(`aten::${name}, which is ${kind}.*ops.unsafe.aten.${name}`)),
    )
  }
  for (const method of ['toMkldnn', 'dequantize', 'intRepr', 'qScale', 'to_mkldnn'])
    t.false(method in zeros([1]), method)
  t.throws(() => operator('aten::_foreach_mul')([tensor(2)], [10]), invalid(/private.*ops.unsafe.aten._foreach_mul/))
  t.false('quantized' in ops)
})

test('ops.unsafe has them all', async t => {
  const [scaled] = ops.unsafe.aten._foreach_mul([tensor(2)], [10]) as Tensor[]
  t.is(await scaled.item(), 20)
  const blocked = ops.unsafe.aten.to_mkldnn(tensor([0.5, 1])) as Tensor
  t.deepEqual(await blocked.toDense().toArray(), [0.5, 1])
  t.throws(() => ops.unsafe.quantized.nonsense(), invalid(/quantized::nonsense/))
  t.throws(() => ops.unsafe.nonsense.nonsense(), invalid(/nonsense::nonsense/))
})

test('arguments that ended the process are errors', async t => {
  const whole = zeros([3], { dtype: 'int32' })
  await t.throwsAsync(
    ops.aten.smoothL1LossBackward(whole, whole, whole, 1, 0).data(),
    failed(/floating tensors for smooth_l1_loss_backward/),
  )
  const mkldnn = ops.unsafe.aten.to_mkldnn(randn([2])) as Tensor
  await t.throwsAsync(
    zeros([3])
      .indexCopy(0, mkldnn, randn([2]))
      .data(),
    failed(/dense index for index_copy/),
  )
  const norm = (...args: unknown[]) => call('native_group_norm', args) as Tensor[]
  const x = randn([2, 4, 3])
  await t.throwsAsync(norm(x, null, null, -2, 4, 3, 2, 1e-5)[0].data(), failed(/sizes of at least 0/))
  await t.throwsAsync(norm(x, null, null, 2, 2 ** 40, 3, 2, 1e-5)[0].data(), failed(/N·C·HxW/))
  await t.throwsAsync(norm(x, null, null, 2, 4, 3, 0, 1e-5)[0].data(), failed(/divisor of C=4/))
  t.deepEqual(norm(x, null, null, 2, 4, 3, 2, 1e-5)[0].shape, [2, 4, 3])
  const index = zeros([2, 1], { dtype: 'int8' })
  await t.throwsAsync(
    (call('gather_backward', [randn([2, 1]), randn([4, 2]), 1, index, true]) as Tensor).data(),
    failed(/int64 index/),
  )
  const high = tensor([[5]], { dtype: 'int64' })
  await t.throwsAsync(
    (call('gather_backward', [randn([1, 1]), randn([4, 2]), 1, high, true]) as Tensor).data(),
    failed(/indices from 0 to 1/),
  )
  await t.throwsAsync(
    (call('embedding_dense_backward', [randn([2]), high.view([]), 0, -2, true]) as Tensor).data(),
    failed(/embedding_dense_backward/),
  )
  await t.throwsAsync(ops.aten.specialLegendrePolynomialP(randn([2]), 2 ** 45).data(), failed(/degree n of at most/))
  await t.throwsAsync(ops.aten.specialHermitePolynomialH(randn([2]), tensor([1, 1e9])).data(), failed(/degree n/))
  const out = zeros([4, 4, 4, 2]).transpose(0, 1)
  await t.throwsAsync(
    (call('triu', [randn([4, 4, 4, 2]), 1, { out }]) as Tensor).data(),
    failed(/contiguous out for triu/),
  )
  const square = randn([2, 2, 1])
  const backward = (...statistics: unknown[]) =>
    (
      call('batch_norm_backward', [
        square,
        square,
        randn([2]),
        ...statistics,
        true,
        1,
        [true, true, true],
        zeros([0]),
      ]) as Tensor[]
    )[0]
  await t.throwsAsync(backward(null, null, null, null).data(), failed(/save_mean for batch_norm_backward in training/))
  await t.throwsAsync(backward(null, null, square, square).data(), failed(/save_mean of shape \[2\]/))
})

test('arguments with which kernels read or wrote behind their memory are errors', async t => {
  const fails = (name: string, args: readonly unknown[], message: RegExp) =>
    t.throwsAsync(async () => {
      const result = call(name, args) as Tensor | Tensor[]
      await (Array.isArray(result) ? result[0] : result).data()
    }, failed(message))
  const whole = (values: number[]) => tensor(values, { dtype: 'int64' })
  const cube = randn([2, 2, 2, 2, 2])

  await fails('slow_conv_transpose3d', [cube, cube, [2, 1, 2], randn([2])], /weight's kernel \[2, 2, 2\]/)
  t.deepEqual((call('slow_conv_transpose3d', [cube, cube, [2, 2, 2]]) as Tensor).shape, [2, 2, 3, 3, 3])

  const pivots = tensor([[1, 9]], { dtype: 'int32' })
  await fails('lu_unpack', [randn([1, 2, 2]), pivots], /pivots from 1 to 2/)
  await fails('linalg_lu_solve', [randn([1, 2, 2]), pivots, randn([1, 2, 2])], /pivots from 1 to 2/)

  await fails('embedding_sparse_backward', [randn([1, 4]), whole([3]), 2, 1, false], /indices from 0 to 1/)
  await fails('embedding_backward', [randn([1, 4]), whole([3]), 2, 1, false, true], /indices from 0 to 1/)
  await fails('embedding_bag', [randn([2, 3]), whole([0, 1]), whole([1, 0])], /offsets that begin with 0 and ascend/)
  await fails('embedding_bag', [randn([2, 3]), whole([0, 2]), whole([0, 1])], /indices from 0 to 1/)
  const bags = call('embedding_bag', [randn([2, 3]), whole([0, 1]), whole([0, 1])]) as Tensor[]
  t.deepEqual(bags[0].shape, [2, 3])

  const plane = randn([1, 3, 1, 2])
  const places = tensor([0, 1, 0, 2, 0, 0], { dtype: 'int64' }).view([1, 3, 1, 2])
  await fails('adaptive_max_pool2d_backward', [plane, plane, places], /indices from 0 to 1/)
  await fails('adaptive_avg_pool3d', [randn([2, 2, 2, 2]), [2 ** 45, 3, 0]], /output_size/)

  await fails(
    'batch_norm_update_stats',
    [randn([1, 4, 1]), null, zeros([1]), 0.1],
    /statistics of shape \[4\].*batch_norm_update_stats/,
  )
  await fails('replication_pad3d', [cube, [-2, -2, 0, 2 ** 53, 0, 0]], /empty planes/)

  const x = randn([3, 2, 3])
  const weights = [randn([8, 3]), randn([8, 2]), randn([8]), randn([8])]
  const lstm = (hx: readonly Tensor[]) => [x, hx, weights, true, 1, 0, false, false, false]
  t.deepEqual((call('lstm', lstm([zeros([1, 2, 2]), zeros([1, 2, 2])])) as Tensor[])[0].shape, [3, 2, 2])
  const bytes = zeros([4, 2, 2], { dtype: 'int8' })
  await fails('lstm', lstm([bytes, zeros([1, 2, 2])]), /hidden states.*received shape \[4, 2, 2\] of dtype Char/)
  const packed = [randn([3, 3]), whole([9, 9]), zeros([1, 2, 2]), weights.map(w => randn([6, ...w.shape.slice(1)]))]
  await fails('gru', [...packed, true, 1, 0, false, false], /batch_sizes with sum 3/)
  await fails('max_pool1d', [randn([3, 2]), [2 ** 53], [3]], /sizes of at most/)
  const y = randn([2, 3])
  await fails(
    'native_layer_norm_backward',
    [y, y, [3], randn([7]), randn([2]), null, null, [true, false, false]],
    /2 elements.*native_layer_norm_backward/,
  )
  await fails(
    'native_group_norm_backward',
    [y, y, randn([1]), randn([2]), null, 2, 3, 1, 1, [true, false, false]],
    /2 elements.*native_group_norm_backward/,
  )
  await fails('native_group_norm', [y, randn([2]), null, 2, 3, 1, 1, 1e-5], /3 elements.*native_group_norm/)
})

test('rectangles are erased in bounded numbers', async t => {
  const erase = (maxCount: number) => ops.torch_learner.augmentErase(zeros([1, 1, 4, 4]), 1, 0.1, 0.2, 0.5, maxCount)
  t.deepEqual(erase(3).shape, [1, 1, 4, 4])
  for (const count of [2 ** 45, 0, -1]) await t.throwsAsync(erase(count).data(), failed(/max_count from 1 to 10000/))
})

test('sparse tensors are made of indices that fit only', async t => {
  const whole = (values: number[]) => tensor(values, { dtype: 'int64' })
  const made = (rows: number[]) => call('sparse_csr_tensor', [whole(rows), whole([0, 1]), tensor([1, 2])]) as Tensor
  t.deepEqual(await made([0, 1, 2]).toDense().toArray(), [
    [1, 0],
    [0, 2],
  ])
  await t.throwsAsync(made([0, 1, 9]).toDense().data(), failed(/crow_indices/))
})

test('a few calls of each public operator leave the process alive', async t => {
  const { code, stdout, stderr } = await runNode(['scripts/check-fuzz.mjs', '--calls', '2', '--seed', '7'], {
    seconds: 400,
  })
  t.is(code, 0, `${stdout}\n${stderr}`)
  t.regex(stdout, /no call ended the process/)
})

test('numbers with which LAPACK or a loop ended the process, or never ended, are errors', async t => {
  const wrong = tensor([
    [Number.NaN, 1],
    [2, 3],
  ])
  await t.throwsAsync(ops.aten.linalgEigvals(wrong).data(), failed(/finite numbers for linalg_eigvals/))
  await t.throwsAsync(
    ops.aten
      .linalgEigvals(
        tensor([
          [1, Number.POSITIVE_INFINITY],
          [2, 3],
        ]),
      )
      .data(),
    failed(/finite numbers/),
  )
  t.deepEqual(
    await ops.aten
      .linalgEigvals(
        tensor([
          [2, 0],
          [0, 3],
        ]),
      )
      .abs()
      .toArray(),
    [2, 3],
  )
  const most = 2n ** 63n - 1n
  const half = () => zeros([2], { dtype: 'float16' })
  for (const to of [null, 3n]) {
    await t.throwsAsync((call('random', [half(), most, to]) as Tensor).data(), failed(/from below the largest int64/))
    await t.throwsAsync((call('random_', [half(), most, to]) as Tensor).data(), failed(/from below the largest int64/))
  }
  for (const bounds of [[most], [-(2n ** 63n), 3n], [0, null]]) {
    await t.notThrowsAsync((call('random', [zeros([2], { dtype: 'int64' }), ...bounds]) as Tensor).data())
  }
})
