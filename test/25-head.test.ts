import test from 'ava'
import {
  createBody,
  createHead,
  manualSeed,
  nn,
  noGrad,
  randn,
  resnet18,
  resnetSplit,
  type Tensor,
  zeros,
} from 'torch-learner'
import { assertClose, type Fixture, golden } from './helpers/golden.js'
import { hashFill, hashTensor } from './helpers/hash-fill.js'

interface Layer {
  name: string
  type: string
  repr: string
  params: Record<string, number[]>
  buffers: Record<string, number[]>
}

interface HeadCase {
  args: Record<string, unknown> & { nf: number; n_out: number }
  layers: Layer[]
  state_dict: Record<string, number[]>
  top_level: string[]
  check?: { input: string; init_salt0: number; eval_out: Fixture }
}

const { cases } = golden<{ cases: HeadCase[] }>('create_head')
const camel = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

function make({ nf, n_out, ...rest }: HeadCase['args']): nn.Sequential {
  return createHead(nf, n_out, Object.fromEntries(Object.entries(rest).map(([name, value]) => [camel(name), value])))
}

for (const { args, layers, state_dict, top_level, check } of cases) {
  test(`golden create_head: ${JSON.stringify(args)}`, async t => {
    const head = make(args)
    t.deepEqual(
      head.children().map(child => child.constructor.name),
      top_level,
    )
    t.deepEqual(Object.fromEntries([...head.stateDict()].map(([name, tensor]) => [name, tensor.shape])), state_dict)
    const modules = new Map(head.namedModules())
    for (const { name, type, repr } of layers) {
      const module = modules.get(name)
      t.is(module?.constructor.name, type)
      // torch itself prints Flatten's dimensions; the recording leaves them out
      if (type !== 'Flatten') t.is(module?.extraRepr(), repr)
    }
    if (check === undefined) return
    hashFill(head, check.init_salt0)
    const [, salt, shape] = /^hash tensor, salt (\d+), shape \[([\d, ]+)\]$/.exec(check.input) ?? []
    const input = hashTensor(shape.split(', ').map(Number), Number(salt))
    const out = noGrad(() => head.eval()(input))
    await assertClose(t, out, check.eval_out, { atol: 1e-5, rtol: 1e-5 })
  })
}

test.serial('a head starts as fastai’s: normal linear layers, shifts of 0.001', async t => {
  manualSeed(4)
  const head = createHead(512, 37, { bnFinal: true })
  const spread = async (i: number) => (await head.stateDict().get(`${i}.weight`)?.std().item()) ?? 0
  t.true(Math.abs((await spread(4)) / Math.sqrt(2 / 1024) - 1) < 0.01)
  t.true(Math.abs((await spread(8)) / Math.sqrt(2 / 512) - 1) < 0.03)
  const shift = async (i: number) => (await head.stateDict().get(`${i}.bias`)?.mean().item()) ?? -1
  t.true(Math.abs((await shift(2)) - 1e-3) < 1e-9)
  t.is(await shift(9), 0)
})

test('bad arguments are refused', t => {
  const invalid = { code: 'ERR_INVALID_ARG' }
  t.throws(() => createHead(0, 2), invalid)
  t.throws(() => createHead(512, 2, { ps: 1.5 }), invalid)
  t.throws(() => createHead(512, 2, { ps: [0.1, 0.2, 0.3] }), invalid)
  t.throws(() => createHead(512, 2, { linFtrs: [0] }), invalid)
  t.throws(() => Reflect.apply(createHead, null, [512, 2, { linFtrs: 512 }]), invalid)
  t.throws(() => Reflect.apply(createHead, null, [512, 2, { pool: 'yes' }]), invalid)
  t.throws(() => Reflect.apply(createHead, null, [512, 2, { yRange: [1] }]), invalid)
  t.throws(() => createHead(512, 2, { yRange: [5, 0] }), invalid)
  t.throws(() => Reflect.apply(createHead, null, [512, 2, { concat_pool: true }]), invalid)
  t.throws(() => resnetSplit(new nn.Linear(1, 1)), invalid)
})

test('a range bounds the outputs', async t => {
  const out = (await createHead(4, 2, { yRange: [-1, 3] })(randn([8, 4, 2, 2]).mul(100)).data()) as Float32Array
  t.true(out.every(value => value >= -1 && value <= 3))
})

test('a body for pictures of other than three channels', async t => {
  const net = resnet18()
  const old = net.conv1.weight
  const first = (nIn: number, pretrained = true) => {
    const [conv] = createBody(net, { nIn, pretrained })
    return conv as nn.Conv2d
  }
  const same = async (a: Tensor, b: Tensor) => t.deepEqual(await a.data(), await b.data())
  t.is(first(3), net.conv1)
  t.deepEqual(first(1).weight.shape, [64, 1, 7, 7])
  await same(first(1).weight, old.sum([1], true))
  await same(first(2).weight, old.narrow(1, 0, 2).mul(1.5))
  await same(first(5).weight.narrow(1, 0, 3), old)
  t.is(await first(5).weight.narrow(1, 3, 2).abs().sum().item(), 0)
  t.true((await first(5, false).weight.narrow(1, 3, 2).abs().sum().item()) > 0)
  t.deepEqual(createBody(net, { nIn: 4 })(zeros([1, 4, 64, 64])).shape, [1, 512, 2, 2])
  t.throws(() => createBody(net, { nIn: 0 }), { code: 'ERR_INVALID_ARG' })
  t.throws(() => createBody(net, Object({ channels: 1 })), { code: 'ERR_INVALID_ARG' })
})
