// Traces, orders of callbacks, recorder and schedules of a Learner with other numbers of epochs, batches and classes.
import {
  Adam,
  accuracy,
  Callback,
  CrossEntropyLossFlat,
  EVENTS,
  errorRate,
  Learner,
  manualSeed,
  nn,
  Recorder,
  randint,
  randn,
  SGD,
  TorchLearnerError,
  TrainEvalCallback,
} from 'torch-learner'
import { golden } from '../../helpers/golden.js'
import { tinyLearner } from '../../helpers/learning.js'
import { type Case, type Row, run } from '../../helpers/traces.js'
import { recordedBatches, recordedState, write } from './write.js'

const snake = (name: string) => name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)

export async function traces(folder: string): Promise<void> {
  const first = golden<{ cases: Case[] }>('traces')
  const sizes = { n_train_batches: 3, n_valid_batches: 2 }
  const cases: Case[] = []
  for (const recorded of first.cases) {
    const sized = { ...recorded, ...sizes, n_epoch: recorded.n_epoch === 0 ? 0 : 3 }
    const { learn, rows, error, steps, backwards, weightsChanged } = await run(sized)
    const gradients = await Promise.all(learn.model.parameters().map(({ grad }) => grad?.abs().sum().item() ?? 0))
    const raised = error instanceof TorchLearnerError ? 'RuntimeError' : error instanceof Error ? error.name : null
    cases.push({
      ...sized,
      trace: rows.map(([event, ...rest]): Row => [snake(event), ...rest]),
      raised,
      loss_func_restored: true,
      optimizer_steps: steps,
      backwards,
      final_training_flag: learn.training,
      model_training: learn.model.training,
      recorder_values_len: learn.callback(Recorder)?.values.length ?? 0,
      weights_changed: weightsChanged,
      grads_zero: gradients.every(sum => sum === 0),
    })
  }
  const batches = cases[0].trace.filter(([event]) => event === 'before_batch').length
  if (batches !== 3 * (3 + 2)) throw new Error(`${batches} batches in a fit of 3 epochs of 3 and 2`)
  write(folder, 'traces', { ...first, cases })
}

interface Orders {
  defined: { name: string; order: number; attrs: { run?: boolean; run_train?: boolean; run_valid?: boolean } }[]
}

export async function callbackOrder(folder: string): Promise<void> {
  const first = golden<Orders>('callback_order')
  let calls: [string, string, boolean][] = []
  const learn = tinyLearner({ batches: [2, 3] })
  for (const { name, order, attrs } of first.defined) {
    const log = (event: string) => (cb: Callback) => void calls.push([name, snake(event), cb.learn.training])
    const flags = { run: attrs.run, runTrain: attrs.run_train, runValid: attrs.run_valid }
    learn.addCb(
      new Callback({ name, order, ...flags, ...Object.fromEntries(EVENTS.map(event => [event, log(event)])) }),
    )
  }
  const fits: (typeof calls)[] = []
  for (const epochs of [2, 3]) {
    calls = []
    await learn.fit(epochs)
    fits.push(calls)
  }
  write(folder, 'callback_order', { ...first, first_fit: fits[0], second_fit: fits[1] })
}

interface Recorded {
  train_metrics: boolean
  valid_metrics: boolean
  add_time: boolean
}

/** Five classes of six numbers, batches of different sizes, three epochs. */
export async function recorder(folder: string): Promise<void> {
  const first = golden<{ cases: Recorded[] }>('recorder')
  manualSeed(5)
  const batch = (bs: number) => [randn([bs, 6]), randint(0, 5, [bs])]
  const cases: object[] = []
  for (const recorded of first.cases) {
    const dls = { train: [batch(3), batch(4)], valid: [batch(5), batch(2), batch(1)] }
    const model = new nn.Sequential(new nn.Flatten(), new nn.Linear(6, 5))
    const weights = await recordedState(model)
    const raw: [boolean, number, number][] = []
    const log = new Callback({
      afterLoss: async ({ learn }) => void raw.push([learn.training, (await learn.loss?.item()) ?? 0, learn.bs]),
    })
    const options = {
      trainMetrics: recorded.train_metrics,
      validMetrics: recorded.valid_metrics,
      addTime: recorded.add_time,
    }
    const learn = new Learner(dls, model, {
      lossFunc: new CrossEntropyLossFlat(),
      optFunc: (groups, { lr }) => new SGD(groups, { lr }),
      metrics: [accuracy, errorRate],
      defaultCbs: false,
      cbs: [TrainEvalCallback, new Recorder(options), log],
    })
    const lengths: number[] = []
    learn.logger = row => void lengths.push(row.length)
    await learn.fit(3, { lr: 0.2 })
    const { metricNames, values, losses, lrs, iters } = learn.recorder
    cases.push({
      ...recorded,
      ...{ metric_names: metricNames, values, losses, lrs, iters, log_lens: lengths, weights, lr: 0.2 },
      ...{ final_record: learn.finalRecord, raw_batch_losses: raw },
      ...{ train: await recordedBatches(dls.train), valid: await recordedBatches(dls.valid) },
    })
  }
  write(folder, 'recorder', { ...first, cases })
}

/** One run of each entry point, in other numbers of epochs, batches and groups, with other rates. */
export async function schedules(folder: string): Promise<void> {
  const calls: [string, number, number, number, (learn: Learner) => Promise<unknown>][] = [
    ['fit_one_cycle(2, 2e-2)', 4, 3, 2, learn => learn.fitOneCycle(2, { lrMax: 0.02 })],
    ['fit_one_cycle(5, 1e-2, start_epoch=3)', 2, 2, 5, learn => learn.fitOneCycle(5, { lrMax: 0.01, startEpoch: 3 })],
    ['fit_flat_cos(2, 3e-2, pct_start=.5)', 2, 3, 2, learn => learn.fitFlatCos(2, { lr: 0.03, pctStart: 0.5 })],
    ['fit_sgdr(2,2,2e-2)', 3, 2, 6, learn => learn.fitSgdr(2, 2, { lrMax: 0.02 })],
    ['fine_tune(3, freeze_epochs=1)', 2, 3, 4, learn => learn.fineTune(3, { freezeEpochs: 1 })],
  ]
  const runs: object[] = []
  for (const [desc, groups, batches, epochs, call] of calls) {
    const seen = { lr: [] as number[][], mom: [] as number[][], pct_train: [] as number[] }
    const watch = new Callback({
      order: 61,
      beforeBatch({ learn }) {
        if (!learn.training || !learn.opt) return
        seen.lr.push(learn.opt.paramGroups.map(group => group.lr))
        seen.mom.push(learn.opt.paramGroups.map(group => group.mom))
        seen.pct_train.push(learn.pctTrain)
      },
    })
    const layers = Array.from({ length: groups }, () => new nn.Linear(18, 18))
    const batch = () => [randn([2, 2, 3, 3]), randint(0, 18, [2])]
    const dls = { train: Array.from({ length: batches }, batch), valid: [batch()] }
    const learn = new Learner(dls, new nn.Sequential(new nn.Flatten(), ...layers), {
      lossFunc: new CrossEntropyLossFlat(),
      optFunc: (made, { lr }) => new Adam(made, { lr }),
      splitter: () => layers.map(layer => layer.parameters()),
      cbs: watch,
    })
    learn.silent = true
    learn.logger = () => undefined
    await call(learn)
    const { lrs, hps } = learn.recorder
    const sizes = { n_groups: groups, n_train_batches: batches, n_epoch: epochs }
    runs.push({ desc, ...sizes, ...seen, recorder_lrs: lrs, hps_lr_last_group: hps.lr })
  }
  write(folder, 'schedules', { ...golden<object>('schedules'), runs })
}
