import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import {
  autocast,
  enableGrad,
  grad,
  isGradEnabled,
  mark,
  noGrad,
  ones,
  ops,
  randn,
  scope,
  type Tensor,
  tensor,
  zeros,
} from 'torch-learner'

const leaf = (data: number[]) => tensor(data, { requiresGrad: true })
const gradient = async (x: Tensor) => await x.grad?.toArray()

test.serial('backward leaves gradients in leaves', async t => {
  const x = leaf([1, 2, 3])
  t.true(x.requiresGrad)
  t.true(x.isLeaf)
  t.is(x.grad, null)
  const y = x.mul(x).sum()
  t.false(y.isLeaf)
  y.backward()
  t.deepEqual(await gradient(x), [2, 4, 6])
})

test.serial('gradients add up, and null clears them', async t => {
  const x = leaf([1, 2])
  x.mul(3).sum().backward()
  x.mul(3).sum().backward()
  t.deepEqual(await gradient(x), [6, 6])
  x.grad = null
  t.is(x.grad, null)
  x.mul(3).sum().backward()
  t.deepEqual(await gradient(x), [3, 3])
  x.grad = tensor([10, 20])
  t.deepEqual(await gradient(x), [10, 20])
  t.throws(
    () => {
      x.grad = 1 as never
    },
    { code: 'ERR_INVALID_ARG' },
  )
})

test.serial('a weight for each element', async t => {
  const x = leaf([1, 2])
  x.mul(x).backward(tensor([1, 10]))
  t.deepEqual(await gradient(x), [2, 40])
  x.mul(x).backward()
  await t.throwsAsync(x.data(), { code: 'ERR_OP_FAILED', message: /scalar outputs/ }, 'the leaf it should have reached')
  t.deepEqual(await gradient(x), [2, 40])
})

test.serial('retainGraph', async t => {
  const x = leaf([3])
  const y = x.mul(x)
  y.backward(null, { retainGraph: true })
  y.backward()
  t.deepEqual(await gradient(x), [12])
  y.backward()
  t.throws(() => x.grad, { code: 'ERR_OP_FAILED', message: /second time/ })
  t.deepEqual(await gradient(x), [12], 'once told')
  y.backward()
  await t.throwsAsync(y.data(), { code: 'ERR_OP_FAILED', message: /second time/ })
  t.deepEqual(await gradient(x), [12])
})

test.serial('backward of inputs only', async t => {
  const [x, y] = [leaf([2]), leaf([5])]
  x.mul(y).backward(null, { inputs: [x] })
  t.deepEqual(await gradient(x), [5])
  t.is(y.grad, null)
})

test.serial('grad() leaves nothing behind', async t => {
  const [x, y] = [leaf([2]), leaf([5])]
  const [dx, dy] = grad(x.mul(x).mul(y), [x, y])
  t.deepEqual(await dx.toArray(), [20])
  t.deepEqual(await dy.toArray(), [4])
  t.is(x.grad, null)
  const [weighted] = grad([x.mul(3), x.mul(2)], x, { gradOutputs: [tensor([1]), tensor([10])] })
  t.deepEqual(await weighted.toArray(), [23])
})

test.serial('createGraph: the second derivative', async t => {
  const x = leaf([2])
  const [first] = grad(x.pow(3), x, { createGraph: true })
  const [second] = grad(first, x)
  t.deepEqual(await first.toArray(), [12])
  t.deepEqual(await second.toArray(), [12])
  x.pow(3).backward(null, { createGraph: true })
  t.true(x.grad?.requiresGrad)
  x.grad = null
})

test.serial('grad() of what had no part', async t => {
  const [x, y] = [leaf([2]), leaf([5])]
  const [missing] = grad(x.mul(2), y)
  await t.throwsAsync(missing.data(), { code: 'ERR_OP_FAILED', message: /not have been used/ })
  const [, absent] = grad(x.mul(2), [x, y], { allowUnused: true })
  await t.throwsAsync(absent.data(), { code: 'ERR_STATE' })
  t.throws(() => grad(x.mul(2), [1 as never]), { code: 'ERR_INVALID_ARG', message: /tensors for inputs/ })
  t.throws(() => grad('x' as never, x), { code: 'ERR_INVALID_ARG', message: /tensors for outputs/ })
})

test.serial('noGrad, enableGrad', t => {
  const x = leaf([1])
  t.true(isGradEnabled())
  noGrad(() => {
    t.false(isGradEnabled())
    t.false(x.mul(2).requiresGrad)
    enableGrad(() => t.true(x.mul(2).requiresGrad))
    t.false(isGradEnabled())
  })
  t.true(x.mul(2).requiresGrad)
  t.throws(() =>
    noGrad(() => {
      throw new Error('out')
    }),
  )
  t.true(isGradEnabled())
})

test.serial('noGrad follows async code, and only it', async t => {
  const x = leaf([1])
  const seen: string[] = []
  const look = (name: string) => seen.push(`${name} ${isGradEnabled()} ${x.mul(2).requiresGrad}`)
  const off = noGrad(async () => {
    look('off')
    await sleep(5)
    look('off later')
    return 'value'
  })
  const on = (async () => {
    await sleep(2)
    look('on between')
    await sleep(6)
    look('on after')
  })()
  look('on')
  t.is(await off, 'value')
  await on
  t.deepEqual(seen, [
    'off false false',
    'on true true',
    'on between true true',
    'off later false false',
    'on after true true',
  ])
})

test.serial('detach and requiresGrad', async t => {
  const x = leaf([1, 2])
  const cut = x.mul(2).detach()
  t.false(cut.requiresGrad)
  t.true(cut.isLeaf)
  const y = zeros([2])
  y.requiresGrad = true
  t.true(y.requiresGrad)
  y.mul(cut).sum().backward()
  t.deepEqual(await gradient(y), [2, 4])
  y.requiresGrad = false
  t.false(y.requiresGrad)
  const whole = zeros([2], { dtype: 'int64' })
  whole.requiresGrad = true
  await t.throwsAsync(whole.data(), { message: /floating point/ })
})

test.serial('a view written with gradients makes its base need them', async t => {
  const base = zeros([2])
  t.false(base.requiresGrad)
  base.select(0, 0).copy_(leaf([1]).sum())
  await mark()
  t.true(base.requiresGrad)
})

test.serial('a leaf that needs gradients refuses in-place operators, but not under noGrad', async t => {
  const x = leaf([1])
  x.add_(1)
  await t.throwsAsync(x.data(), { code: 'ERR_OP_FAILED', message: /leaf Variable/ })
  noGrad(() => x.add_(1))
  t.deepEqual(await x.toArray(), [2])
  t.true(x.requiresGrad)
})

test.serial('what backward needs stays after the scope has freed its handles', async t => {
  const w = leaf([2])
  const loss = scope(() =>
    w
      .mul(ones([1]).mul(3))
      .exp()
      .log(),
  )
  loss.backward()
  const [value] = (await gradient(w)) as number[]
  t.true(Math.abs(value - 3) < 1e-5)
})

test.serial('autocast', async t => {
  const [a, b] = [randn([4, 4], { requiresGrad: true }), randn([4, 4])]
  t.is(autocast({}, () => a.mm(b)).dtype, 'bfloat16')
  t.is(autocast({ dtype: 'bfloat16' }, () => ops.aten.mseLoss(a.mm(b), b)).dtype, 'float32')
  t.is(autocast({}, () => autocast({ enabled: false }, () => a.mm(b))).dtype, 'float32')
  t.is(a.mm(b).dtype, 'float32')
  const later = await autocast({}, async () => {
    await sleep(1)
    return a.mm(b).sum()
  })
  later.backward()
  t.is(a.grad?.dtype, 'float32')
  t.throws(() => autocast({ dtype: 'int8' as never }, () => a), { code: 'ERR_INVALID_ARG' })
})

test.serial('finite differences agree', async t => {
  const x = randn([3, 4], { dtype: 'float64' })
  const f = (input: Tensor) => ops.aten.logSoftmax(input.mul(input).tanh(), 1).sum()
  const input = x.clone().requiresGrad_(true)
  f(input).backward()
  const exact = (await input.grad?.data()) as Float64Array
  const values = (await x.data()) as Float64Array
  for (let i = 0; i < values.length; i++) {
    const at = async (shift: number) => {
      const moved = values.slice()
      moved[i] += shift
      return await f(tensor(moved, { shape: [3, 4] })).item()
    }
    const estimate = ((await at(1e-6)) - (await at(-1e-6))) / 2e-6
    t.true(Math.abs(estimate - exact[i]) < 1e-7, `${i}: ${estimate} ${exact[i]}`)
  }
})

test.serial(
  'gradients are computed in the modes in force where grad() is called, whatever was called before',
  async t => {
    const [x, w, v] = [randn([64, 64]), randn([64, 64], { requiresGrad: true }), randn([64, 64])]
    const y = scope(() => x.mm(w).mm(v).sum())
    const gradients = async () => [...(await grad(y, [w], { retainGraph: true })[0].data())]
    const exact = await gradients()
    autocast({}, () => x.add(1))
    t.deepEqual(await gradients(), exact)
    noGrad(() => x.add(1))
    t.deepEqual(await gradients(), exact)
    t.notDeepEqual(await autocast({}, gradients), exact, 'in bfloat16 they are inexact')
  },
)

test.serial('reading, gradients that are set, and seeds are the same in every mode', async t => {
  const x = ones([2], { requiresGrad: true })
  autocast({}, () => x.add(1))
  x.grad = tensor([1, 2])
  t.deepEqual(await gradient(x), [1, 2])
  const cast = await autocast(
    {},
    async () =>
      (
        await randn([3, 3])
          .mm(randn([3, 3]))
          .data()
      ).length,
  )
  t.is(cast, 9)
  t.true(x.mul(2).requiresGrad)
})

test('a gradient has the shape and dtype of its tensor', t => {
  const x = zeros([2, 3], { requiresGrad: true })
  x.grad = ones([2, 3])
  for (const wrong of [ones([5]), ones([1, 3]), ones([3, 2]), ones([2, 3], { dtype: 'float64' })]) {
    t.throws(
      () => {
        x.grad = wrong
      },
      { code: 'ERR_INVALID_ARG', message: /float32 \[2, 3\] on cpu, for grad/ },
    )
  }
  t.deepEqual(x.grad?.shape, [2, 3])
  x.grad = null
  t.is(x.grad, null)
})
