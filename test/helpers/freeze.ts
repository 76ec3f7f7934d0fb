// Sequences of freezing and fitting, in the architecture of the recordings and whatever sizes they have.
import { CrossEntropyLossFlat, DataLoaders, Learner, nn, optim } from 'torch-learner'
import { type Fixture, toTensor } from './golden.js'

export interface FreezeCase {
  train_bn: boolean
  /** `SGD lr=.1 wd=0` */
  opt: string
  init: Record<string, Fixture>
  train: Fixture[][]
  valid: Fixture[][]
  seq: {
    action: string
    requires_grad: Record<string, boolean>
    opt_state_keys: Record<string, string[]>
    state: Record<string, Fixture> | null
  }[]
}

/** Blocks of convolution, batch norm and ReLU, then a head of batch norm and a linear layer; as many and as large as recorded. */
function makeModel(init: FreezeCase['init']): nn.Sequential {
  const head = Math.max(...Object.keys(init).map(name => Number.parseInt(name, 10)))
  const blocks = Array.from({ length: head }, (_, i) => {
    const [outputs = 0, inputs = 0, ...kernel] = init[`${i}.0.weight`].shape
    const convolution = new nn.Conv2d(inputs, outputs, kernel as [number, number])
    return new nn.Sequential(convolution, new nn.BatchNorm2d(outputs), new nn.ReLU())
  })
  const [classes = 0, features = 0] = init[`${head}.3.weight`].shape
  const pooled = [new nn.AdaptiveAvgPool2d(1), new nn.Flatten()]
  const last = new nn.Sequential(...pooled, new nn.BatchNorm1d(features), new nn.Linear(features, classes))
  return new nn.Sequential(...blocks, last)
}

export function freezeLearner(fixture: FreezeCase): Learner {
  const model = makeModel(fixture.init)
  model.loadStateDict(Object.fromEntries(Object.entries(fixture.init).map(([name, x]) => [name, toTensor(x)])))
  const batches = (recorded: Fixture[][]) => recorded.map(batch => batch.map(toTensor))
  const [, lr] = /^SGD lr=(\S+) wd=0$/.exec(fixture.opt) ?? []
  const learn = new Learner(new DataLoaders(batches(fixture.train), batches(fixture.valid)), model, {
    lossFunc: new CrossEntropyLossFlat(),
    optFunc: (groups, options) => new optim.SGD(groups, { lr: options.lr }),
    lr: Number(lr),
    splitter: net => net.children().map(child => child.parameters()),
    trainBn: fixture.train_bn,
  })
  learn.logger = () => undefined
  learn.silent = true
  return learn
}

/** `freeze`, `unfreeze`, `freeze_to(n)` or `fit`, of one epoch where no other number is given. */
export async function act(learn: Learner, action: string): Promise<void> {
  const [, name, n] = /^(\w+)(?:\((-?\d+)\))?$/.exec(action) ?? []
  if (name === 'freeze_to') learn.freezeTo(Number(n))
  else if (name === 'freeze') learn.freeze()
  else if (name === 'unfreeze') learn.unfreeze()
  else if (name === 'fit') await learn.fit(Number(n ?? 1))
  else throw new Error(`unknown: ${action}`)
}
