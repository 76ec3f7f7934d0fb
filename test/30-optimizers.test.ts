import test from 'ava'
import {
  Adam,
  manualSeed,
  nn,
  noGrad,
  Optimizer,
  optim,
  randn,
  SGD,
  slice,
  type Tensor,
  tensor,
  zeros,
} from 'torch-learner'
import { assertClose, assertNumbers, type Fixture, golden, toTensor } from './helpers/golden.js'

interface OptimizerCase {
  opt: string
  lr: number | 'slice'
  lr_slice: [number, number] | null
  kwargs: Record<string, number | boolean>
  wd_bn_bias: boolean
  groups: string[][]
  hypers: Record<string, number>[]
  no_wd: string[]
  force_train: string[]
  init: Record<string, Fixture>
  steps: { grads: Record<string, Fixture>; params: Record<string, Fixture> }[]
  final_state: Record<string, Record<string, Fixture | number | boolean>>
}

const camel = (name: string) => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
const makers: Record<string, (groups: Tensor[][], options: { lr: optim.HyperValue }) => Optimizer> = {
  Adam: (groups, options) => new Adam(groups, options),
  SGD: (groups, options) => new SGD(groups, options),
  RMSProp: (groups, options) => new optim.RMSProp(groups, options),
  RAdam: (groups, options) => new optim.RAdam(groups, options),
  QHAdam: (groups, options) => new optim.QHAdam(groups, options),
  Larc: (groups, options) => new optim.Larc(groups, options),
  Lamb: (groups, options) => new optim.Lamb(groups, options),
  ranger: (groups, options) => optim.ranger(groups, options),
}

function makeOptimizer(fixture: OptimizerCase, params: Map<string, nn.Parameter>): Optimizer {
  const groups = fixture.groups.map(names => names.map(name => params.get(name) ?? zeros([1])))
  const lr = fixture.lr_slice === null ? Number(fixture.lr) : slice(...fixture.lr_slice)
  const kwargs = Object.fromEntries(Object.entries(fixture.kwargs).map(([name, value]) => [camel(name), value]))
  const opt = makers[fixture.opt](groups, { lr, ...kwargs })
  const named = (names: string[]) => [...params].filter(([name]) => names.includes(name)).map(([, param]) => param)
  opt.setFlags(named(fixture.no_wd), { doWd: false })
  opt.setFlags(named(fixture.force_train), { forceTrain: true })
  return opt
}

golden<{ cases: OptimizerCase[] }>('optimizers').cases.forEach((fixture, i) => {
  const title = `golden optimizers ${i}: ${fixture.opt} ${JSON.stringify(fixture.kwargs)}, wdBnBias ${fixture.wd_bn_bias}`
  test(title, async t => {
    const params = new Map(
      Object.entries(fixture.init).map(([name, value]) => [name, new nn.Parameter(toTensor(value))]),
    )
    const opt = makeOptimizer(fixture, params)
    for (const [g, hypers] of fixture.hypers.entries()) {
      const expected = Object.fromEntries(Object.entries(hypers).map(([name, value]) => [camel(name), value]))
      t.deepEqual(opt.hypers[g], expected)
    }
    for (const [s, { grads, params: after }] of fixture.steps.entries()) {
      for (const [name, param] of params) param.grad = name in grads ? toTensor(grads[name]) : null
      opt.step()
      for (const [name, param] of params) await assertClose(t, param, after[name], {}, `${name} after step ${s}`)
      opt.zeroGrad()
    }
    const { state } = opt.stateDict()
    for (const [k, name] of fixture.groups.flat().entries()) {
      const { do_wd: doWd = true, force_train: forceTrain = false, ...tensors } = fixture.final_state[name]
      t.true(state[k].doWd === doWd)
      t.true(state[k].forceTrain === forceTrain)
      t.deepEqual(Object.keys(state[k].tensors).sort(), Object.keys(tensors).map(camel).sort())
      for (const [key, value] of Object.entries(tensors)) {
        const own = state[k].tensors[camel(key)]
        if (typeof value === 'object') await assertClose(t, own, value, {}, `${name} ${key}`)
        else t.is(own.itemSync(), Number(value))
      }
    }
  })
})

const invalid = { code: 'ERR_INVALID_ARG' }
const parameter = (data: number[]) => new nn.Parameter(tensor(data))
const read = async (x: Tensor) => [...((await x.data()) as Float32Array)]

function withGradient(param: Tensor, gradient: number[]): Tensor {
  param.grad = tensor(gradient)
  return param
}

test('a parameter without gradient is left alone, with its state', async t => {
  const [a, b] = [withGradient(parameter([1, 2]), [1, 1]), parameter([1, 2])]
  const opt = new Adam([a, b], { lr: 0.1, wd: 0.5 })
  opt.step()
  t.deepEqual(await read(b), [1, 2])
  t.notDeepEqual(await read(a), [1, 2])
  const { state } = opt.stateDict()
  t.deepEqual(Object.keys(state[0].tensors), ['gradAvg', 'sqrAvg', 'step'])
  t.deepEqual(state[1].tensors, {})
})

test('a frozen parameter is left alone even if it still has a gradient', async t => {
  const a = withGradient(parameter([1, 2]), [1, 1])
  a.requiresGrad = false
  const opt = new SGD([a], { lr: 0.1, wd: 0.5 })
  opt.step()
  t.deepEqual(await read(a), [1, 2])
})

test('layouts of parameter, gradient and state may differ, and change on the way', async t => {
  const run = async (formats: boolean) => {
    const weight = tensor(
      Float32Array.from({ length: 24 }, (_, i) => i / 10),
      { shape: [2, 3, 2, 2] },
    )
    const holder = new nn.Sequential()
    const param = new nn.Parameter(weight)
    holder.registerParameter('weight', param)
    const opt = new Adam([param], { lr: 0.1 })
    for (let step = 0; step < 6; step++) {
      if (formats && step === 2) holder.to({ memoryFormat: 'channels_last' })
      if (formats && step === 4) holder.to({ memoryFormat: 'contiguous_format' })
      const gradient = tensor(
        Float32Array.from({ length: 24 }, (_, i) => Math.sin(i + step)),
        { shape: [2, 3, 2, 2] },
      )
      param.grad = formats && step % 2 === 1 ? gradient.to({ memoryFormat: 'channels_last' }) : gradient
      opt.step()
    }
    return read(param)
  }
  assertNumbers(t, await run(true), await run(false), { atol: 1e-7, rtol: 1e-6 })
})

test('in one pass or operator by operator: the same numbers', async t => {
  for (const options of [{}, { wd: 0 }, { wd: 0.3, decoupleWd: false }]) {
    for (const n of [1, 13, 40_001]) {
      const values = Float32Array.from({ length: n }, (_, i) => Math.sin(i * 1.7))
      const dense = new nn.Parameter(tensor(values))
      const strided = new nn.Parameter(zeros([n, 2]).narrow(1, 0, 1).squeeze(1).copy_(tensor(values)))
      const opt = new Adam([dense, strided], { lr: 0.01, ...options })
      for (let step = 0; step < 4; step++) {
        opt.setHyper('mom', 0.95 - step / 50)
        const gradient = tensor(Float32Array.from({ length: n }, (_, i) => Math.cos(i * 0.3 + step)))
        dense.grad = gradient
        strided.grad = gradient
        opt.step()
      }
      // the same bits where ATen multiplies and adds in one instruction, as the pass does
      assertNumbers(t, await read(dense), await read(strided), { atol: 1e-7, rtol: 1e-6 })
    }
  }
})

test('a view that is not dense in memory is trained too', async t => {
  const whole = zeros([3, 4])
  const param = new nn.Parameter(whole.narrow(1, 0, 2))
  param.grad = tensor([
    [1, 2],
    [3, 4],
    [5, 6],
  ])
  new SGD([param], { lr: 1, mom: 0.9 }).step()
  t.deepEqual(await whole.toArray(), [
    [-1, -2, 0, 0],
    [-3, -4, 0, 0],
    [-5, -6, 0, 0],
  ])
})

test('zeroGrad drops gradients, or fills them with zeros', async t => {
  const a = withGradient(parameter([1]), [3])
  const opt = new SGD([a], { lr: 0.1 })
  opt.zeroGrad({ setToNone: false })
  t.deepEqual(await a.grad?.toArray(), [0])
  opt.zeroGrad()
  t.is(a.grad, null)
})

test('float64 and bfloat16 parameters', async t => {
  for (const dtype of ['float64', 'bfloat16'] as const) {
    const param = new nn.Parameter(tensor([1, 2], { dtype }))
    param.grad = tensor([1, -1], { dtype })
    new Adam([param], { lr: 0.5, wd: 0 }).step()
    t.is(param.dtype, dtype)
    assertNumbers(t, (await param.toArray()) as number[], [0.5, 2.5], { atol: 1e-2 })
  }
})

test('a step counts as a change: an old graph is not differentiated with new weights', async t => {
  const param = withGradient(parameter([1, 2]), [1, 1])
  const y = param.mul(param).sum()
  new SGD([param], { lr: 0.1 }).step()
  y.backward()
  await t.throwsAsync(
    y
      .add(0)
      .item()
      .then(() => param.grad?.data()),
    { code: 'ERR_OP_FAILED' },
  )
})

test('SGD made without momentum keeps none, whatever the schedule says', async t => {
  const param = parameter([1])
  const opt = new SGD([param], { lr: 0.5 })
  opt.setHyper('mom', 0.9)
  for (let i = 0; i < 2; i++) {
    param.grad = tensor([1])
    opt.step()
  }
  t.deepEqual(await read(param), [0])
})

test('momentum may pass through 0', async t => {
  const param = parameter([0])
  const opt = new SGD([param], { lr: 1, mom: 0.5 })
  for (const mom of [0.5, 0, 0.5]) {
    opt.setHyper('mom', mom)
    param.grad = tensor([1])
    opt.step()
  }
  // averages 1, 1, 1.5
  t.deepEqual(await read(param), [-3.5])
})

test('state can be saved, loaded and cleared', async t => {
  const train = (opt: Optimizer, param: Tensor, steps: number) => {
    for (let i = 0; i < steps; i++) {
      param.grad = tensor([Math.cos(i), 1])
      opt.step()
    }
  }
  const [a, b] = [parameter([1, 2]), parameter([1, 2])]
  const first = new Adam([a], { lr: 0.1, wd: 0.2 })
  first.setFlags([a], { doWd: false })
  train(first, a, 3)
  const second = new Adam([b], { lr: 0.3 })
  noGrad(() => b.copy_(a))
  second.loadStateDict(first.stateDict())
  t.deepEqual(second.hypers, first.hypers)
  t.false(second.flags(b).doWd)
  train(first, a, 2)
  train(second, b, 2)
  t.deepEqual(await read(b), await read(a))
  second.clearState()
  t.deepEqual(second.stateDict().state[0].tensors, {})
  t.false(second.flags(b).doWd)
  train(second, b, 1)
  t.is(second.stateDict().state[0].tensors.step.itemSync(), 1)
})

for (const [name, make] of Object.entries(makers)) {
  const train = (opt: Optimizer, params: Tensor[], from: number, to: number) => {
    for (let i = from; i < to; i++) {
      for (const param of params) param.grad = tensor([Math.cos(i), 1 + i, -0.5])
      opt.step()
      opt.zeroGrad()
    }
  }
  const two = () => [parameter([1, 2, 3]), parameter([-1, 0, 1])]

  test(`${name}: training goes on from a saved state as if it had not stopped`, async t => {
    const [a, b] = [two(), two()]
    const [first, second] = [make([a], { lr: 0.1 }), make([b], { lr: 0.2 })]
    train(first, a, 0, 8)
    noGrad(() => b.forEach((param, i) => void param.copy_(a[i])))
    second.loadStateDict(first.stateDict())
    train(first, a, 8, 13)
    train(second, b, 8, 13)
    for (const i of [0, 1]) t.deepEqual(await read(b[i]), await read(a[i]))
    first.clearState()
    t.deepEqual(first.stateDict().state[0].tensors, {})
    first.dispose()
  })

  test(`${name}: a parameter without gradient, bfloat16 and layouts`, async t => {
    const [still, half, view] = [parameter([1]), tensor([1, 2], { dtype: 'bfloat16' }), zeros([3, 4])]
    const params = [still, new nn.Parameter(half), new nn.Parameter(view.narrow(1, 0, 2).add_(1))]
    const opt = make([params], { lr: 0.1 })
    for (let i = 0; i < 7; i++) {
      params[1].grad = tensor([1, -1], { dtype: 'bfloat16' })
      params[2].grad = tensor([1, -1, 1, -1, 1, -1], { shape: [2, 3] }).transpose(0, 1)
      opt.step()
    }
    t.deepEqual(await read(still), [1])
    t.is(params[1].dtype, 'bfloat16')
    t.true(((await params[1].toArray()) as number[]).every(Number.isFinite))
    const moved = (await params[2].toArray()) as number[][]
    t.true(moved[0][0] < 1 && moved[1][0] > 1)
    t.deepEqual(((await view.toArray()) as number[][])[0].slice(2), [0, 0])
  })
}

test('slow weights of a Lookahead: every k steps, alpha of the way', async t => {
  const param = parameter([0])
  const opt = new optim.Lookahead(new SGD([param], { lr: 1 }), { k: 2, alpha: 0.25 })
  const seen: number[] = []
  for (let i = 0; i < 4; i++) {
    param.grad = tensor([-1])
    opt.step()
    seen.push(...(await read(param)))
  }
  t.deepEqual(seen, [1, 0.5, 1.5, 1])
  opt.setHyper('lr', 0.5)
  t.is(opt.opt.paramGroups[0].lr, 0.5)
  t.is(opt.stateDict().count, 4)
  const other = new optim.Lookahead(new SGD([parameter([1, 2])], { lr: 1 }))
  t.throws(() => other.loadStateDict(opt.stateDict()), { code: 'ERR_STATE_DICT' })
})

test('a saved state that does not fit is refused', t => {
  const opt = new Adam([parameter([1])], { lr: 0.1 })
  const other = new Adam([[parameter([1])], [parameter([1])]], { lr: 0.1 })
  const sgd = new SGD([parameter([1])], { lr: 0.1 })
  const refused = { code: 'ERR_STATE_DICT' }
  t.throws(() => opt.loadStateDict(other.stateDict()), refused)
  t.throws(() => sgd.loadStateDict(opt.stateDict()), refused)
  t.throws(() => Reflect.apply(opt.loadStateDict, opt, [{}]), refused)
})

test('optimizers live and die by their owner', t => {
  const param = withGradient(parameter([1]), [1])
  const opt = new Adam([param], { lr: 0.1 })
  opt.step()
  const { tensors } = opt.stateDict().state[0]
  opt.dispose()
  t.true(tensors.gradAvg.isDisposed)
  t.false(param.isDisposed)
})

const p = parameter([1])
const wrong: [string, () => unknown][] = [
  ['no options', () => Reflect.construct(Adam, [[p]])],
  ['no learning rate', () => Reflect.construct(Adam, [[p], {}])],
  ['a learning rate that is no number', () => Reflect.construct(Adam, [[p], { lr: '1e-3' }])],
  ['a NaN learning rate', () => new Adam([p], { lr: Number.NaN })],
  ['an unknown option', () => Reflect.construct(SGD, [[p], { lr: 0.1, momentum: 0.9 }])],
  ['decoupleWd as a number', () => Reflect.construct(Adam, [[p], { lr: 0.1, decoupleWd: 1 }])],
  ['no parameters', () => new Adam([], { lr: 0.1 })],
  ['a module for its parameters', () => Reflect.construct(Adam, [new nn.Linear(1, 1), { lr: 0.1 }])],
  ['numbers for parameters', () => Reflect.construct(Adam, [[1, 2], { lr: 0.1 }])],
  ['a parameter twice', () => new Adam([[p], [p]], { lr: 0.1 })],
  ['a learning rate too many', () => new Adam([[p], [parameter([1])]], { lr: [0.1, 0.2, 0.3] })],
  ['an unknown hyper-parameter', () => new SGD([p], { lr: 0.1 }).setHyper('sqrMom', 0.9)],
  ['a flag that is no boolean', () => new SGD([p], { lr: 0.1 }).setFlags([p], Object({ doWd: 1 }))],
  ['Lookahead over parameters', () => Reflect.construct(optim.Lookahead, [[p]])],
  ['Lookahead without steps', () => new optim.Lookahead(new SGD([p], { lr: 1 }), { k: 0 })],
  ['an unknown option of ranger', () => optim.ranger([p], Object({ lr: 1, beta1: 0.9 }))],
  ['flags of a stranger', () => new SGD([p], { lr: 0.1 }).flags(parameter([2]))],
]

for (const [name, make] of wrong) test(`refuses ${name}`, t => void t.throws(make, invalid))

test('a gradient of another shape is reported', async t => {
  const param = parameter([1, 2])
  const error = await t.throwsAsync(async () => {
    param.grad = tensor([1, 2, 3])
    new Adam([param], { lr: 0.1 }).step()
    await param.data()
  })
  t.truthy(error)
})

test.serial('Adam trains a network', async t => {
  manualSeed(5)
  const net = new nn.Sequential(new nn.Linear(2, 8), new nn.ReLU(), new nn.Linear(8, 1))
  const opt: Optimizer = new Adam(net.parameters(), { lr: 0.02 })
  t.true(opt instanceof Optimizer)
  const x = randn([64, 2])
  const y = x.narrow(1, 0, 1).mul(x.narrow(1, 1, 1))
  const loss = new nn.MSELoss()
  const before = await loss(net(x), y).item()
  for (let i = 0; i < 150; i++) {
    loss(net(x), y).backward()
    opt.step()
    opt.zeroGrad()
  }
  const after = await loss(net(x), y).item()
  t.true(after < before / 3, `${before} to ${after}`)
})
