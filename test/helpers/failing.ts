import {
  accuracy,
  DataLoader,
  Learner,
  type LearnerOptions,
  nn,
  ProgressCallback,
  randint,
  randn,
  TensorDataset,
  type TorchLearnerError,
  zeros,
} from 'torch-learner'

/** An operator that fails on the stream. */
export const failing = () => randn([2, 3]).mm(randn([2, 3]))

/** An operator that fails in place, on a tensor that nobody keeps. */
export const spoiling = () => void zeros([2]).add_(zeros([3]))

/** How a promise ended. */
export const endOf = (promise: Promise<unknown>): Promise<TorchLearnerError | null> =>
  promise.then(
    () => null,
    error => error,
  )

/** A Learner on loaders of random data that shows nothing. */
export function quietLearner(options: LearnerOptions = {}): Learner {
  const set = new TensorDataset(randn([24, 8]), randint(0, 3, [24]))
  const dls = { train: new DataLoader(set, { bs: 4 }), valid: new DataLoader(set, { bs: 8 }) }
  const model = new nn.Sequential(new nn.Linear(8, 6), new nn.ReLU(), new nn.Linear(6, 3))
  const learn = new Learner(dls, model, { lossFunc: new nn.CrossEntropyLossFlat(), metrics: accuracy, ...options })
  learn.removeCb(ProgressCallback)
  learn.logger = () => undefined
  return learn
}

/** A Learner's first parameter, changed in place by an operator that fails: it stays poisoned until somebody is told. */
export function spoilWeights(learn: Learner): void {
  learn.model
    .parameters()[0]
    .detach()
    .add_(zeros([7, 7, 7]))
}
