// One case of the recording `traces`: a fit, or part of one, with its events.
import {
  Callback,
  CancelBackward,
  CancelBatch,
  CancelEpoch,
  CancelFit,
  type CancelSignal,
  CancelStep,
  CancelTrain,
  CancelValid,
  CutMix,
  type Learner,
  MixUp,
  Recorder,
  SGD,
} from 'torch-learner'
import { camelEvent, spy, tinyLearner, weightsOf } from './learning.js'

export type Row = [event: string, training: boolean, epoch: number | null, iter: number | null, original: boolean]

export interface Case {
  name: string
  throw?: {
    event: string
    exception: string
    epoch: number | null
    iter: number | null
    training: boolean | null
    callback_order: number
  }
  n_epoch: number
  n_train_batches: number
  n_valid_batches: number
  with_mixup?: boolean
  trace: Row[]
  raised: string | null
  loss_func_restored: boolean
  optimizer_steps: number
  backwards: number
  final_training_flag: boolean
  model_training: boolean
  recorder_values_len: number
  weights_changed: boolean
  grads_zero: boolean
}

const signals: Record<string, new () => CancelSignal> = {
  CancelBackward,
  CancelBatch,
  CancelEpoch,
  CancelFit,
  CancelStep,
  CancelTrain,
  CancelValid,
}

// What is done in the cases that aren't a plain fit.
const actions: Record<string, (learn: Learner, rows: Row[], recorded: Case) => Promise<unknown>> = {
  validate: learn => learn.validate(),
  validate_mixup_attached: learn => learn.validate(),
  get_preds: learn => learn.getPreds(),
  get_preds_with_loss: learn => learn.getPreds({ withLoss: true }),
  get_preds_inner: learn => learn.getPreds({ inner: true }),
  with_learn_context: (learn, rows) =>
    learn.session(() => {
      rows.push(['<body>', learn.training, learn.epoch, learn.iter, true])
    }),
  manual_one_batch_train: async learn => {
    learn.epoch = 0
    learn.createOpt()
    await learn.emit(['beforeFit', 'beforeEpoch', 'beforeTrain'])
    for await (const batch of learn.dls.train) {
      await learn.oneBatch(0, batch)
      break
    }
    await learn.emit('afterTrain')
  },
  // of as many epochs as its trace has
  fit_one_cycle: (learn, _, { trace }) => learn.fitOneCycle(trace.filter(([event]) => event === 'before_epoch').length),
  fit_start_epoch_1: (learn, _, recorded) => learn.fit(recorded.n_epoch, { startEpoch: 1 }),
}

export interface Outcome {
  learn: Learner
  rows: Row[]
  error: unknown
  steps: number
  backwards: number
  cbsBefore: number
  weightsChanged: boolean
  lossRestored: boolean
}

/** Does what the case did, in the sizes that it says. */
export async function run(recorded: Case): Promise<Outcome> {
  const rows: Row[] = []
  const counts = { steps: 0, backwards: 0 }
  class CountingSgd extends SGD {
    override step(): void {
      counts.steps += 1
      super.step()
    }
  }
  const learn = tinyLearner({
    batches: [recorded.n_train_batches, recorded.n_valid_batches],
    optFunc: (groups, { lr }) => new CountingSgd(groups, { lr }),
  })
  const original = learn.lossFunc
  if (recorded.name === 'fit_no_default_cbs') learn.removeCb(Recorder)
  learn.addCb(
    spy((event, { training, epoch, iter, lossFunc, lossGrad }) => {
      rows.push([event, training, epoch, iter, lossFunc === original])
      if (event !== 'beforeBackward' || !lossGrad) return
      const backward = lossGrad.backward.bind(lossGrad)
      lossGrad.backward = (...args) => {
        counts.backwards += 1
        backward(...args)
      }
    }),
  )
  if (recorded.throw) learn.addCb(thrower(recorded.throw))
  if (recorded.with_mixup || ['fit_with_mixup', 'validate_mixup_attached'].includes(recorded.name)) {
    learn.addCb(new MixUp(0.4))
  }
  if (recorded.name === 'fit_with_cutmix') learn.addCb(new CutMix())
  const cbsBefore = learn.cbs.length
  const before = weightsOf(learn.model)
  let error: unknown = null
  try {
    await (actions[recorded.name] ?? (it => it.fit(recorded.n_epoch)))(learn, rows, recorded)
  } catch (thrown) {
    error = thrown
  }
  const after = weightsOf(learn.model)
  const weightsChanged = after.some((value, i) => value !== before[i])
  return { learn, rows, error, ...counts, cbsBefore, weightsChanged, lossRestored: learn.lossFunc === original }
}

function thrower({ event, exception, epoch, iter, training, callback_order }: NonNullable<Case['throw']>): Callback {
  let fired = false
  const act = ({ learn }: Callback): void => {
    const here =
      (epoch === null || learn.epoch === epoch) &&
      (iter === null || learn.iter === iter) &&
      (training === null || learn.training === training)
    if (fired || !here) return
    fired = true
    const Signal = signals[exception]
    throw Signal ? new Signal() : new Error('an error of the user')
  }
  return new Callback({ order: callback_order, [camelEvent(event)]: act })
}
