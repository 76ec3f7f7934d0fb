// Modules that contain themselves, directly or further down.
import test from 'ava'
import { CrossEntropyLossFlat, Learner, nn, type Tensor } from 'torch-learner'
import { tinyBatches } from './helpers/learning.js'

class Selfish extends nn.Module {
  flat = new nn.Flatten()
  fc = new nn.Linear(18, 3)
  readonly me: nn.AnyModule = this as nn.AnyModule
  readonly list = new nn.ModuleList<nn.AnyModule>([this as nn.AnyModule])

  forward(x: Tensor): Tensor {
    return this.fc(this.flat(x))
  }
}

test('every walk over the modules ends', t => {
  const net = new Selfish()
  t.is(net.modules().length, 4)
  t.deepEqual([...net.stateDict().keys()], ['fc.weight', 'fc.bias'])
  t.is(net.parameters().length, 2)
  t.deepEqual(net.loadStateDict(net.stateDict()), { missingKeys: [], unexpectedKeys: [] })
  const seen: string[] = []
  net.apply(module => seen.push(module.constructor.name))
  t.deepEqual(seen, ['Flatten', 'Linear', 'ModuleList', 'Selfish'])
  t.true(String(net).includes('(me): Selfish(...)'))
  t.is(net.to('float64').train(false).train().requiresGrad_(false).buffers().length, 0)
  net.zeroGrad()
})

test('modules that two others share are named as often as before', t => {
  const shared = new nn.Linear(2, 2)
  const net = new nn.Sequential(new nn.Sequential(shared), shared)
  t.deepEqual([...net.stateDict().keys()], ['0.0.weight', '0.0.bias', '1.weight', '1.bias'])
})

test('a Learner trains, summarises, copies and prints such a model', async t => {
  const learn = new Learner({ train: tinyBatches(2), valid: tinyBatches(1) }, new Selfish(), {
    lossFunc: new CrossEntropyLossFlat(),
  })
  learn.logger = () => undefined
  t.regex(await learn.summary(), /fc Linear +4 x 3 +57 +yes/)
  await learn.noBar(() => learn.noLogging(() => learn.fit(1)))
  await learn.lrFind({ numIt: 6 })
})

test('a Sequential that would run itself is refused', t => {
  const [a, b] = [new nn.Sequential(new nn.Identity()), new nn.Sequential()]
  t.throws(() => a.append(a), { code: 'ERR_INVALID_ARG', message: /does not contain it/ })
  b.append(a)
  t.throws(() => a.append(b), { code: 'ERR_INVALID_ARG' })
})
