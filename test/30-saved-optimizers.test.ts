// A saved state that is damaged is refused as a whole: hyper-parameters, flags, moments and slow weights stay as they were.
import test from 'ava'
import { Adam, empty, nn, type Optimizer, optim, SGD, type Tensor, tensor } from 'torch-learner'

type OptimizerState = ReturnType<Optimizer['stateDict']>

const parameters = () => [new nn.Parameter(tensor([1, 2])), new nn.Parameter(tensor([[3]]))]

const makers: Record<string, (params: Tensor[]) => Optimizer> = {
  SGD: params => new SGD(params, { lr: 0.1, mom: 0.9 }),
  Adam: params => new Adam(params, { lr: 0.1 }),
  RMSProp: params => new optim.RMSProp(params, { lr: 0.1, mom: 0.9 }),
  Larc: params => new optim.Larc(params, { lr: 0.1 }),
  Lookahead: params => new optim.Lookahead(new Adam(params, { lr: 0.1 }), { k: 2 }),
}

function train(opt: Optimizer): void {
  for (const { params } of opt.paramGroups) for (const param of params) param.grad = param.detach().clone()
  opt.step()
}

/** Everything a saved state says, as plain data. */
async function told({ state, slowWeights = [], ...others }: OptimizerState) {
  const read = (tensors: Iterable<Tensor>) => Promise.all(Array.from(tensors, one => one.toArray()))
  return {
    ...others,
    state: await Promise.all(
      state.map(async ({ tensors, ...flags }) => ({ flags, values: await read(Object.values(tensors)) })),
    ),
    slow: await read(slowWeights),
  }
}

/** Each spoils a copy of a saved state in one place. */
const damages: Record<string, (saved: OptimizerState) => object> = {
  'hypers that are null': saved => ({ ...saved, hypers: [null] }),
  'hypers that are a string': saved => ({ ...saved, hypers: ['lr'] }),
  'hypers without any': saved => ({ ...saved, hypers: [{}] }),
  'hypers without wd': saved => ({ ...saved, hypers: [without(saved.hypers[0], 'wd')] }),
  'hypers with a hole': saved => ({ ...saved, hypers: new Array(1) }),
  'a hyper-parameter that is a symbol': saved => ({ ...saved, hypers: [{ ...saved.hypers[0], lr: Symbol('s') }] }),
  'state that is null': saved => ({ ...saved, state: [saved.state[0], null] }),
  'state with a hole': saved => ({ ...saved, state: Object.assign(new Array(2), { 0: saved.state[0] }) }),
  'no tensors': saved => second(saved, { tensors: undefined }),
  'tensors that are null': saved => second(saved, { tensors: null }),
  'tensors in a list': saved => second(saved, { tensors: [tensor(1)] }),
  'a flag that is text': saved => second(saved, { doWd: 'no' }),
  'a flag that is null': saved => second(saved, { forceTrain: null }),
  'an unknown flag': saved => second(saved, { doWeightDecay: true }),
  'a method for a moment': saved => second(saved, { tensors: { toString: tensor([[1]]) } }),
  'a moment that is a number': saved => moment(saved, 1),
  'a moment of another shape': saved => moment(saved, tensor([1, 2, 3])),
  'a moment of whole numbers': saved => moment(saved, tensor([[1]], { dtype: 'int64' })),
  'a getter that throws': saved =>
    Object.defineProperty({ ...saved }, 'state', {
      get: () => {
        throw new RangeError('boom')
      },
    }),
}

function without(hypers: Record<string, number>, name: string): object {
  return Object.fromEntries(Object.entries(hypers).filter(([key]) => key !== name))
}

function second(saved: OptimizerState, changes: object): object {
  return { ...saved, state: [saved.state[0], { ...saved.state[1], ...changes }] }
}

function moment(saved: OptimizerState, value: unknown): object {
  const { tensors } = saved.state[1]
  return second(saved, { tensors: { ...tensors, [Object.keys(tensors)[0]]: value } })
}

for (const [name, make] of Object.entries(makers)) {
  test(`${name}: a damaged state changes nothing`, async t => {
    const [opt, other] = [make(parameters()), make(parameters())]
    for (const each of [opt, other, other]) train(each)
    other.setHyper('lr', 0.7)
    other.setFlags(other.paramGroups[0].params, { doWd: false })
    const before = await told(opt.stateDict())
    for (const [what, damage] of Object.entries(damages)) {
      const error = t.throws(() => opt.loadStateDict(damage(other.stateDict()) as OptimizerState), undefined, what)
      t.regex(
        String(Reflect.get(Object(error), 'code')),
        /^ERR_(STATE_DICT|INVALID_ARG)$/,
        `${what}: ${error?.message}`,
      )
      t.deepEqual(await told(opt.stateDict()), before, what)
    }
    train(opt)
    await opt.paramGroups[0].params[0].data()
    opt.loadStateDict(other.stateDict())
    t.deepEqual(await told(opt.stateDict()), await told(other.stateDict()))
  })
}

test('moments that are only partly there are refused', t => {
  const opt = makers.Adam(parameters())
  train(opt)
  const saved = opt.stateDict()
  const { step, ...others } = saved.state[1].tensors
  t.is(step.numel, 1)
  t.throws(() => opt.loadStateDict(second(saved, { tensors: others }) as OptimizerState), {
    code: 'ERR_STATE_DICT',
    message: /has gradAvg but no step$/,
  })
})

test('slow weights of a Lookahead', async t => {
  const opt = makers.Lookahead(parameters())
  train(opt)
  const saved = opt.stateDict()
  const slow = saved.slowWeights ?? []
  const before = await told(saved)
  const wrong: object[] = [
    { slowWeights: null },
    { slowWeights: 'xy' },
    { slowWeights: slow.slice(1) },
    { slowWeights: Object.assign(new Array(2), { 1: slow[1] }) },
    { slowWeights: [slow[0], null] },
    { slowWeights: [slow[0], empty([3])] },
    { slowWeights: [slow[0], tensor([[1]], { dtype: 'int64' })] },
    { count: -1 },
    { count: 1.5 },
    { count: 'x', slowWeights: undefined },
    { hypers: [null] },
  ]
  for (const change of wrong) {
    t.throws(() => opt.loadStateDict({ ...saved, ...change }), { code: 'ERR_STATE_DICT' }, JSON.stringify(change))
    t.deepEqual(await told(opt.stateDict()), before)
  }
})
