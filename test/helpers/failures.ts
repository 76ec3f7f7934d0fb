import {
  accuracy,
  DataLoader,
  type DataLoaderOptions,
  Learner,
  type LearnerOptions,
  nn,
  ProgressCallback,
  randint,
  randn,
  type Tensor,
  TensorDataset,
  type TorchLearnerError,
  zeros,
} from 'torch-learner'

/** An operator that fails on the stream. */
export const failing = (): Tensor => randn([2, 3]).mm(randn([2, 3]))

/** An operator that fails in place, on a tensor that nobody keeps. */
export const spoiling = (): void => void zeros([2]).add_(zeros([3]))

export const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/**
 * Resolves shortly after now, when everything that was on its way has been delivered: in a process that was kept from
 * running, a timer comes before what has been waiting longer.
 */
export async function shortly(): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, 50))
  for (let i = 0; i < 3; i++) await turn()
}

/** How a promise ended. */
export const endOf = (promise: Promise<unknown>): Promise<TorchLearnerError | null> =>
  promise.then(
    () => null,
    error => error,
  )

/** What somebody waits for until it is opened. */
export function gate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => undefined
  const opened = new Promise<void>(resolve => {
    open = resolve
  })
  return { opened, open }
}

/** 24 samples of 8 numbers and 3 classes. */
export function failureData({ batchTfms = [] }: Pick<DataLoaderOptions, 'batchTfms'> = {}) {
  const set = new TensorDataset(randn([24, 8]), randint(0, 3, [24]))
  return { train: new DataLoader(set, { bs: 4, batchTfms }), valid: new DataLoader(set, { bs: 8 }) }
}

/** A quiet Learner with batch norm. */
export function failureLearner(options: LearnerOptions = {}, dls = failureData()): Learner {
  const model = new nn.Sequential(new nn.Linear(8, 6), new nn.BatchNorm1d(6), new nn.ReLU(), new nn.Linear(6, 3))
  const learn = new Learner(dls, model, { lossFunc: new nn.CrossEntropyLossFlat(), metrics: accuracy, ...options })
  learn.removeCb(ProgressCallback)
  learn.logger = () => undefined
  return learn
}

/** A Learner's first parameter, changed in place by an operator that fails: it stays poisoned until somebody has read it. */
export function spoilWeights(learn: Learner): void {
  learn.model
    .parameters()[0]
    .detach()
    .add_(zeros([7, 7, 7]))
}
