import test from 'ava'
import { Adam, cat, nn, ones, randn, type Tensor, tensor, zeros } from 'torch-learner'
import { native } from '../dist/native/index.js'
import { loadInTurns } from '../dist/nn/index.js'

const { StateDictError } = nn

const make = () => new nn.Sequential(new nn.Linear(3, 2), new nn.BatchNorm1d(2))

test('a state dict carries a module over', async t => {
  const source = make()
  source(randn([8, 3]))
  const target = make()
  const result = target.loadStateDict(source.stateDict())
  t.deepEqual(result, { missingKeys: [], unexpectedKeys: [] })
  for (const [name, value] of source.stateDict()) {
    t.deepEqual(await target.stateDict().get(name)?.toArray(), await value.toArray(), name)
  }
  const x = randn([4, 3])
  t.deepEqual(await target.eval()(x).toArray(), await source.eval()(x).toArray())
})

test('loading copies: the modules stay apart', async t => {
  const source = make()
  const target = make()
  target.loadStateDict(source.stateDict())
  nn.init.zeros_(target.parameters()[0])
  t.notDeepEqual(await source.parameters()[0].toArray(), await target.parameters()[0].toArray())
  t.true(target.parameters()[0].requiresGrad)
})

test('a state dict shares memory with its module, and needs no gradient', async t => {
  const net = make()
  const weight = net.stateDict().get('0.weight') ?? zeros([1])
  nn.init.ones_(net.parameters()[0])
  t.deepEqual(await weight.toArray(), [
    [1, 1, 1],
    [1, 1, 1],
  ])
  t.false(weight.requiresGrad)
})

test('a strict load lists missing, unexpected and misshapen keys, and changes nothing', async t => {
  const net = make()
  const before = await net.parameters()[0].toArray()
  const state = net.stateDict()
  state.set('0.weight', zeros([5, 3]))
  state.delete('1.running_mean')
  state.delete('1.bias')
  state.set('fc.weight', zeros([1]))
  const error = t.throws(() => net.loadStateDict(state), { instanceOf: StateDictError, code: 'ERR_STATE_DICT' })
  t.deepEqual(error?.missingKeys, ['1.bias', '1.running_mean'])
  t.deepEqual(error?.unexpectedKeys, ['fc.weight'])
  t.is(error?.mismatched.length, 1)
  t.regex(error?.message ?? '', /0\.weight \[5, 3\] where the module has \[2, 3\]/)
  t.deepEqual(await net.parameters()[0].toArray(), before)
})

test('a lenient load takes what there is and says what was not', async t => {
  const net = make()
  const result = net.loadStateDict({ '0.bias': tensor([3, 4]), other: tensor([1]) }, { strict: false })
  t.deepEqual(result.unexpectedKeys, ['other'])
  t.is(result.missingKeys.length, 6)
  t.deepEqual(await net.parameters()[1].toArray(), [3, 4])
  t.throws(() => net.loadStateDict({ '0.bias': zeros([9]) }, { strict: false }), { code: 'ERR_STATE_DICT' })
})

test('loading follows the memory format and dtype of the module', async t => {
  const net = new nn.Sequential(new nn.Conv2d(2, 3, 3)).to({ memoryFormat: 'channels_last' })
  const weight = randn([3, 2, 3, 3], { dtype: 'float64' })
  net.loadStateDict({ '0.weight': weight, '0.bias': zeros([3]) })
  const own: Tensor = net.parameters()[0]
  t.is(own.memoryFormat, 'channels_last')
  t.is(own.dtype, 'float32')
  t.deepEqual(await own.toArray(), await weight.to({ dtype: 'float32' }).toArray())
})

test('what is no state dict is refused', t => {
  const net = make()
  for (const state of [null, 3, [zeros([1])], { '0.weight': [1, 2] }]) {
    t.throws(() => Reflect.apply(net.loadStateDict, net, [state]), { code: 'ERR_INVALID_ARG' })
  }
  t.throws(() => Reflect.apply(net.loadStateDict, net, [net.stateDict(), { strict: 'yes' }]), {
    code: 'ERR_INVALID_ARG',
  })
})

class Many extends nn.Module<[Tensor], Tensor> {
  constructor(count: number, value: number) {
    super()
    for (let i = 0; i < count; i++) this.registerBuffer(`b${i}`, tensor([value]))
  }
  forward(x: Tensor): Tensor {
    return x
  }
}

test('a long state dict is taken over in turns with other work, or not at all', async t => {
  const [model, other] = [new Many(40_000, 0), new Many(40_000, 1)]
  let turns = 0
  const loading = loadInTurns(model, other.stateDict())
  const watch = setInterval(() => turns++, 0)
  const { missingKeys } = await loading
  t.deepEqual(missingKeys, [])
  t.true(turns > 1, `${turns}`)
  clearInterval(watch)
  t.is(
    await cat([...model.buffers()])
      .sum()
      .item(),
    40_000,
  )
  const wrong = new Map(new Many(40_000, 2).stateDict()).set('b39999', zeros([2]))
  await t.throwsAsync(loadInTurns(model, wrong), { code: 'ERR_STATE_DICT' })
  t.is(
    await cat([...model.buffers()])
      .sum()
      .item(),
    40_000,
  )
})

test('a module that loads by itself is left to it', async t => {
  class Own extends nn.Linear {
    override loadStateDict(): { missingKeys: string[]; unexpectedKeys: string[] } {
      return { missingKeys: ['mine'], unexpectedKeys: [] }
    }
  }
  t.deepEqual((await loadInTurns(new Own(1, 1), {})).missingKeys, ['mine'])
})

/** How many calls of the addon that record or look at something `body` makes. */
function nativeCalls(body: () => unknown): number {
  const { call, describe, outlines, readSync } = native
  let calls = 0
  const counting = <F extends (...args: never[]) => unknown>(fn: F): F =>
    ((...args: Parameters<F>) => {
      calls++
      return fn(...args)
    }) as F
  Object.assign(native, {
    call: counting(call),
    describe: counting(describe),
    outlines: counting(outlines),
    readSync: counting(readSync),
  })
  try {
    body()
  } finally {
    Object.assign(native, { call, describe, outlines, readSync })
  }
  return calls
}

test.serial('many names take a few native calls, not some for each', async t => {
  const [model, other] = [new Many(5000, 0), new Many(5000, 1)]
  const state = other.stateDict()
  const calls = nativeCalls(() => model.loadStateDict(state))
  t.true(calls > 0 && calls < 50, `${calls}`)
  const parameters = Array.from({ length: 3000 }, () => ones([2], { requiresGrad: true }))
  const opt = new Adam(parameters, { lr: 0.1 })
  for (const parameter of parameters) parameter.grad = ones([2])
  opt.step()
  let saved = opt.stateDict()
  const saving = nativeCalls(() => {
    saved = opt.stateDict()
  })
  t.true(saving > 0 && saving < 50, `${saving}`)
  const loading = nativeCalls(() => opt.loadStateDict(saved))
  t.true(loading > 0 && loading < 50, `${loading}`)
  const { gradAvg, step } = opt.stateDict().state[2999].tensors
  t.deepEqual([await gradAvg.toArray(), await step.item()], [[Math.fround(0.1), Math.fround(0.1)], 1])
})
