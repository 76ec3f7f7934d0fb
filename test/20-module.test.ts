import { inspect } from 'node:util'
import test from 'ava'
import { manualSeed, nn, noGrad, randn, scope, scopeSize, type Tensor, tensor } from 'torch-learner'

class Net extends nn.Module<[Tensor], Tensor> {
  readonly first = new nn.Linear(3, 4)
  readonly rest = new nn.Sequential(new nn.ReLU(), new nn.Linear(4, 2, { bias: false }))
  readonly #factor = 2

  constructor() {
    super()
    this.registerBuffer('offset', tensor([1, 2]))
  }
  declare readonly offset: Tensor

  forward(x: Tensor): Tensor {
    return this.rest(this.first(x)).mul(this.#factor).add(this.offset)
  }
}

const invalid = { code: 'ERR_INVALID_ARG' }

test('an instance is a function of its inputs', async t => {
  const net = new Net()
  t.is(typeof net, 'function')
  t.true(net instanceof nn.Module && net instanceof Net)
  t.is(net.constructor, Net)
  t.deepEqual(net(randn([5, 3])).shape, [5, 2])
  const x = randn([2, 3])
  t.deepEqual(await net(x).toArray(), await net.forward(x).toArray())
})

test('children called name and length are children', t => {
  class Odd extends nn.Module {
    readonly name = new nn.Linear(1, 1)
    readonly length = new nn.Linear(1, 1)
    forward(x: Tensor): Tensor {
      return this.length(this.name(x))
    }
  }
  t.deepEqual([...new Odd().stateDict().keys()], ['name.weight', 'name.bias', 'length.weight', 'length.bias'])
})

test('parameters, buffers, children and modules come in the order of the fields', t => {
  const net = new Net()
  t.deepEqual(
    [...net.namedParameters()].map(([name]) => name),
    ['first.weight', 'first.bias', 'rest.1.weight'],
  )
  t.deepEqual(
    [...net.namedBuffers()].map(([name]) => name),
    ['offset'],
  )
  t.deepEqual(
    [...net.namedChildren()].map(([name]) => name),
    ['first', 'rest'],
  )
  t.deepEqual(
    [...net.namedModules()].map(([name]) => name),
    ['', 'first', 'rest', 'rest.0', 'rest.1'],
  )
  t.deepEqual([...net.stateDict().keys()], ['offset', 'first.weight', 'first.bias', 'rest.1.weight'])
  t.is(net.parameters().length, 3)
  t.true(net.parameters().every(parameter => parameter.requiresGrad && parameter.isLeaf))
})

test('a shared module is found once and saved under each name', t => {
  const shared = new nn.Linear(2, 2)
  const net = new nn.Sequential(shared, new nn.ReLU(), shared)
  t.is(net.parameters().length, 2)
  t.is(net.modules().length, 3)
  t.deepEqual([...net.stateDict().keys()], ['0.weight', '0.bias', '2.weight', '2.bias'])
})

test('train and eval reach all modules', t => {
  const net = new Net()
  t.true(net.training)
  t.is(net.eval(), net)
  t.true(net.modules().every(module => !module.training))
  net.train()
  t.true(net.modules().every(module => module.training))
  t.throws(() => Reflect.apply(net.train, net, ['yes']), invalid)
})

test('calls free what they make and keep what they return', t => {
  const net = new Net()
  scope(() => {
    const x = randn([5, 3])
    const before = scopeSize()
    const y = net(x)
    t.is(scopeSize(), before + 1)
    t.deepEqual(y.shape, [5, 2])
  })
  t.false(net.first.weight.isDisposed)
})

test('parameters made in a scope outlive it', t => {
  const net = scope(() => new Net())
  t.true([...net.namedState()].every(([, tensor]) => !tensor.isDisposed))
  t.deepEqual(net(randn([1, 3])).shape, [1, 2])
  net.dispose()
  t.true(net.first.weight.isDisposed)
  t.throws(() => net(randn([1, 3])), { code: 'ERR_DISPOSED' })
})

test('requiresGrad_ and zeroGrad reach all parameters', t => {
  const net = new Net()
  net(randn([4, 3]))
    .sum()
    .backward()
  t.true(net.parameters().every(parameter => parameter.grad !== null))
  net.zeroGrad()
  t.true(net.parameters().every(parameter => parameter.grad === null))
  net.requiresGrad_(false)
  t.true(net.parameters().every(parameter => !parameter.requiresGrad))
  t.false(net(randn([4, 3])).requiresGrad)
})

test('apply visits children before their parents', t => {
  const seen: string[] = []
  new Net().apply(module => seen.push(module.constructor.name))
  t.deepEqual(seen, ['Linear', 'ReLU', 'Linear', 'Sequential', 'Net'])
})

test('to changes dtype and memory format in place', async t => {
  const conv = new nn.Conv2d(3, 4, 3)
  const norm = new nn.BatchNorm2d(4)
  const net = new nn.Sequential(conv, norm)
  const { weight } = conv
  const values = await weight.toArray()
  const x = randn([2, 3, 5, 5])
  const expected = (await net.eval()(x).data()) as Float32Array
  net.to({ memoryFormat: 'channels_last' })
  t.is(conv.weight, weight)
  t.is(weight.memoryFormat, 'channels_last')
  t.deepEqual(await weight.toArray(), values)
  const actual = (await net(x).data()) as Float32Array
  t.true(actual.every((value, i) => Math.abs(value - expected[i]) < 1e-5))
  net.to('float64')
  t.is(weight.dtype, 'float64')
  t.is(norm.running_mean?.dtype, 'float64')
  t.is(norm.num_batches_tracked?.dtype, 'int64')
  t.is(net(x.to({ dtype: 'float64' })).dtype, 'float64')
})

test('to keeps gradients with their parameters', t => {
  const conv = new nn.Conv2d(2, 4, 3)
  conv(randn([1, 2, 5, 5]))
    .sum()
    .backward()
  conv.to({ memoryFormat: 'channels_last', dtype: 'float64' })
  t.is(conv.weight.grad?.dtype, 'float64')
  t.is(conv.weight.grad?.memoryFormat, 'channels_last')
  conv(randn([1, 2, 5, 5], { dtype: 'float64' }))
    .sum()
    .backward()
  t.is(conv.weight.grad?.dtype, 'float64')
})

test('to refuses what it does not know', t => {
  const net = new nn.Linear(2, 2)
  t.throws(() => net.to('int64'), invalid)
  t.throws(() => Reflect.apply(net.to, net, [{ memoryFormat: 'channels_first' }]), invalid)
  t.throws(() => Reflect.apply(net.to, net, [{ color: 'red' }]), invalid)
  t.throws(() => Reflect.apply(net.to, net, [3]), invalid)
})

test('Sequential reads as an array', t => {
  const layers = [new nn.Linear(2, 3), new nn.ReLU(), new nn.Linear(3, 1)]
  const net = new nn.Sequential(...layers)
  t.is(net.length, 3)
  t.is(net[1], layers[1])
  t.is(net.at(-1), layers[2])
  t.is(net.at(3), undefined)
  t.deepEqual([...net], layers)
  const body = net.slice(0, -1)
  t.is(body.length, 2)
  t.is(body[0], layers[0])
  t.is(net.append(new nn.Identity()).length, 4)
  t.throws(() => Reflect.construct(nn.Sequential, [[new nn.ReLU()]]), invalid)
})

test('ModuleList finds the parameters of its modules and runs none', t => {
  const list = new nn.ModuleList([new nn.Linear(2, 2), new nn.Linear(2, 2)])
  t.is(list.length, 2)
  t.deepEqual([...list.stateDict().keys()], ['0.weight', '0.bias', '1.weight', '1.bias'])
  t.true(list[1] === list.at(-1))
  t.throws(() => list(), invalid)
})

test('modules print as in PyTorch', t => {
  const net = new Net()
  const expected = [
    'Net(',
    '  (first): Linear(in_features=3, out_features=4, bias=True)',
    '  (rest): Sequential(',
    '    (0): ReLU()',
    '    (1): Linear(in_features=4, out_features=2, bias=False)',
    '  )',
    ')',
  ].join('\n')
  t.is(inspect(net), expected)
  t.is(String(net), expected)
})

test('registerBuffer and registerParameter check names and values', t => {
  const net = new nn.Identity()
  t.throws(() => net.registerBuffer('a.b', tensor([1])), invalid)
  t.throws(() => net.registerBuffer('forward', tensor([1])), invalid)
  t.throws(() => Reflect.apply(net.registerBuffer, net, ['a', 3]), invalid)
  t.throws(() => Reflect.apply(net.registerParameter, net, ['a', tensor([1])]), invalid)
  net.registerParameter('w', new nn.Parameter(tensor([1, 2])))
  t.deepEqual([...net.stateDict().keys()], ['w'])
  t.throws(() => Reflect.construct(nn.Parameter, [[1, 2]]), invalid)
})

test('a parameter is made of any tensor and cut off from its history', t => {
  const source = randn([3], { requiresGrad: true }).mul(2)
  const parameter = new nn.Parameter(source)
  t.true(parameter.isLeaf && parameter.requiresGrad)
  t.false(new nn.Parameter(source, false).requiresGrad)
  t.true(noGrad(() => new nn.Parameter(source)).requiresGrad)
})

test.serial('a seed gives the same network', async t => {
  manualSeed(9)
  const first = await new Net().first.weight.toArray()
  manualSeed(9)
  t.deepEqual(await new Net().first.weight.toArray(), first)
})
