// Freezing, and what it leaves alone, against recordings of the reference.
import test from 'ava'
import { CrossEntropyLossFlat, DataLoaders, Learner, nn, optim, type Tensor } from 'torch-learner'
import { assertClose, type Fixture, golden, toTensor } from './helpers/golden.js'

interface FreezeCase {
  train_bn: boolean
  init: Record<string, Fixture>
  train: Fixture[][]
  valid: Fixture[][]
  seq: {
    action: string
    requires_grad: Record<string, boolean>
    frozen_idx: number
    opt_state_keys: Record<string, string[]>
    state: Record<string, Fixture> | null
  }[]
}

/** The recorded architecture in its recorded sizes. */
function makeModel(init: FreezeCase['init']): nn.Sequential {
  const block = (i: number) => {
    const [outputs = 0, inputs = 0, ...kernel] = init[`${i}.0.weight`].shape
    const convolution = new nn.Conv2d(inputs, outputs, kernel as [number, number])
    return new nn.Sequential(convolution, new nn.BatchNorm2d(outputs), new nn.ReLU())
  }
  const [classes = 0, features = 0] = init['2.3.weight'].shape
  const pooled = [new nn.AdaptiveAvgPool2d(1), new nn.Flatten()]
  const head = new nn.Sequential(...pooled, new nn.BatchNorm1d(features), new nn.Linear(features, classes))
  return new nn.Sequential(block(0), block(1), head)
}

async function act(learn: Learner, action: string): Promise<void> {
  const [, n] = /^freeze_to\((-?\d+)\)$/.exec(action) ?? []
  if (n !== undefined) learn.freezeTo(Number(n))
  else if (action === 'freeze') learn.freeze()
  else if (action === 'unfreeze') learn.unfreeze()
  else await learn.fit(1)
}

for (const fixture of golden<{ cases: FreezeCase[] }>('freeze').cases) {
  test.serial(`golden freeze: trainBn ${fixture.train_bn}`, async t => {
    const model = makeModel(fixture.init)
    model.loadStateDict(Object.fromEntries(Object.entries(fixture.init).map(([name, x]) => [name, toTensor(x)])))
    const batches = (recorded: Fixture[][]) => recorded.map(batch => batch.map(toTensor))
    const learn = new Learner(new DataLoaders(batches(fixture.train), batches(fixture.valid)), model, {
      lossFunc: new CrossEntropyLossFlat(),
      optFunc: (groups, { lr }) => new optim.SGD(groups, { lr }),
      lr: 0.1,
      splitter: net => net.children().map(child => child.parameters()),
      trainBn: fixture.train_bn,
    })
    learn.logger = () => undefined
    learn.silent = true
    for (const [i, { action, requires_grad, opt_state_keys, state }] of fixture.seq.entries()) {
      await act(learn, action)
      const named = new Map<string, Tensor>(model.namedParameters())
      for (const [name, expected] of Object.entries(requires_grad)) {
        t.is(named.get(name)?.requiresGrad, expected, `${i} ${action}: ${name}`)
      }
      const flags = [...named.keys()].map(name => opt_state_keys[name])
      const { state: saved } = learn.opt?.stateDict() ?? { state: [] }
      for (const [k, keys] of flags.entries()) {
        t.deepEqual(saved[k].tensors, {})
        t.is(saved[k].doWd, !keys.includes('do_wd'))
        t.is(saved[k].forceTrain, keys.includes('force_train'))
      }
      if (state === null) continue
      for (const [name, x] of model.stateDict()) await assertClose(t, x, state[name], { atol: 2e-6 }, `${i} ${name}`)
    }
  })
}
