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

test('a few calls of each public operator leave the process alive', async t => {
  const { code, stdout, stderr } = await runNode(['scripts/check-fuzz.mjs', '--calls', '2', '--seed', '7'], {
    seconds: 400,
  })
  t.is(code, 0, `${stdout}\n${stderr}`)
  t.regex(stdout, /no call ended the process/)
})
