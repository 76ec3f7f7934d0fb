import {
  accuracy,
  Callback,
  CrossEntropyLossFlat,
  EVENTS,
  type EventName,
  Learner,
  type LearnerOptions,
  manualSeed,
  nn,
  ProgressCallback,
  randint,
  randn,
  SGD,
  type Tensor,
} from 'torch-learner'
import { type Fixture, toTensor } from './golden.js'

/** The network of the recordings, in the size of `weights`; else for pictures `(N, 2, 3, 3)` and three classes. */
export function tinyModel(weights?: Record<string, Fixture>): nn.Sequential {
  const [classes, features] = weights?.['1.weight']?.shape ?? [3, 18]
  const model = new nn.Sequential(new nn.Flatten(), new nn.Linear(features, classes))
  if (weights) model.loadStateDict(Object.fromEntries(Object.entries(weights).map(([k, v]) => [k, toTensor(v)])))
  return model
}

/** `count` random batches for {@link tinyModel}. */
export function tinyBatches(count: number, bs = 4): Tensor[][] {
  return Array.from({ length: count }, () => [randn([bs, 2, 3, 3]), randint(0, 3, [bs])])
}

/** A Learner on random data that shows nothing. */
export function tinyLearner(options: LearnerOptions & { batches?: [number, number] } = {}): Learner {
  manualSeed(7)
  const { batches: [train, valid] = [2, 1], ...rest } = options
  const dls = { train: tinyBatches(train), valid: tinyBatches(valid) }
  const learn = new Learner(dls, tinyModel(), {
    lossFunc: new CrossEntropyLossFlat(),
    optFunc: (groups, { lr }) => new SGD(groups, { lr }),
    lr: 0.1,
    ...rest,
  })
  learn.logger = () => undefined
  return learn.removeCb(ProgressCallback)
}

/** fastai's name of an event, in camelCase. */
export function camelEvent(name: string): EventName {
  const camel = name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
  const event = EVENTS.find(known => known === camel)
  if (!event) throw new Error(`unknown event ${name}`)
  return event
}

/** A callback that calls `see` at every event, before or after the others. */
export function spy(see: (event: EventName, learn: Learner) => void, order = -1000): Callback {
  return new Callback({
    name: 'spy',
    order,
    ...Object.fromEntries(EVENTS.map(event => [event, (cb: Callback) => see(event, cb.learn)])),
  })
}

/** All parameters as plain numbers. */
export function weightsOf(model: nn.Module): number[] {
  return model.parameters().flatMap(parameter => Array.from(parameter.detach().dataSync(), Number))
}

/** Pictures, and a network with batch normalisation. */
export function bnLearner(cbs: Callback[] = [], trainBn = true): Learner {
  manualSeed(3)
  const batch = () => [randn([4, 3, 6, 6]), randint(0, 3, [4])]
  const body = new nn.Sequential(new nn.Conv2d(3, 4, 3), new nn.BatchNorm2d(4), new nn.ReLU())
  const head = new nn.Sequential(new nn.AdaptiveAvgPool2d(1), new nn.Flatten(), new nn.Linear(4, 3))
  const model = new nn.Sequential(body, head)
  const learn = new Learner({ train: [batch(), batch(), batch()], valid: [batch()] }, model, {
    lossFunc: new CrossEntropyLossFlat(),
    splitter: () => [body.parameters(), head.parameters()],
    metrics: accuracy,
    lr: 0.05,
    trainBn,
    cbs,
  })
  learn.logger = () => undefined
  return learn.removeCb(ProgressCallback)
}
