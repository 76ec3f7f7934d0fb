// What is told of a tensor is what it is now, through whichever handle it was changed, and while the stream is at work.
import test from 'ava'
import { noGrad, ones, operator, randn, type Tensor, zeros } from 'torch-learner'

const out = operator('aten::zeros')

/** Every operator that changes what a tensor of shape (2, 3) looks like, and what comes of it. */
const changes: Record<string, [change: (x: Tensor) => unknown, shape: number[]]> = {
  unsqueeze_: [x => x.unsqueeze_(0), [1, 2, 3]],
  t_: [x => x.t_(), [3, 2]],
  transpose_: [x => x.transpose_(0, 1), [3, 2]],
  swapaxes_: [x => x.swapaxes_(0, 1), [3, 2]],
  resize_: [x => x.resize_([4, 5]), [4, 5]],
  resizeAs_: [x => operator('aten::resize_as_')(x, zeros([7])), [7]],
  asStrided_: [x => x.asStrided_([2], [1]), [2]],
  set_: [x => x.set_(zeros([5])), [5]],
  'out=': [x => out([6, 1], { out: x }), [6, 1]],
  'unsqueeze_ and squeeze_': [x => x.unsqueeze_(0).squeeze_(), [2, 3]],
  set_data: [x => operator('aten::set_data')(x, zeros([9])), [9]],
}

for (const [name, [change, shape]] of Object.entries(changes)) {
  test.serial(`a shape through an alias: ${name}`, async t => {
    const a = zeros([2, 3])
    t.deepEqual([a.shape, a.ndim, a.numel], [[2, 3], 2, 6])
    const alias = a.contiguous()
    change(alias)
    t.deepEqual(a.shape, shape)
    t.deepEqual(alias.shape, shape)
    t.is(a.ndim, shape.length)
    t.is(
      a.numel,
      shape.reduce((product, size) => product * size, 1),
    )
    t.is((await a.data()).length, a.numel)
    t.deepEqual(a.strides, alias.strides)
  })
}

test.serial('what is asked while such operators are queued waits for them, and for nothing else', async t => {
  const big = randn([600, 600])
  for (let i = 0; i < 20; i++) {
    const a = zeros([2, 3])
    const alias = a.contiguous()
    let x = big
    for (let k = 0; k < 3; k++) x = x.mm(big).tanh()
    alias.unsqueeze_(0)
    if (i % 2 === 0) t.deepEqual(a.shape, [1, 2, 3])
    alias.squeeze_().resize_([i + 1])
    t.deepEqual(a.shape, [i + 1])
    t.deepEqual(x.shape, [600, 600])
  }
})

test.serial('requiresGrad and isLeaf through aliases and views', async t => {
  const a = zeros([2])
  const alias = a.contiguous()
  t.false(a.requiresGrad)
  alias.requiresGrad_(true)
  t.true(a.requiresGrad)
  const b = zeros([2])
  const view = b.view([2, 1])
  view.add_(ones([2, 1], { requiresGrad: true }))
  t.true(b.requiresGrad)
  t.false(b.isLeaf)
  noGrad(() => alias.fill_(1))
  t.deepEqual(await a.toArray(), [1, 1])
})

test.serial('tensors that are not strided have a shape too', t => {
  const sparse = zeros([2, 3]).toSparse()
  t.deepEqual(sparse.shape, [2, 3])
  t.deepEqual(sparse.strides, [])
  t.is(sparse.memoryFormat, 'strided')
})
