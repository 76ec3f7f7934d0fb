// Freezing, the search for a learning rate, trackers and predictions, in other numbers of layers, classes, batches and epochs.
import { manualSeed, randint, randn } from 'torch-learner'
import { act, type FreezeCase, freezeLearner } from '../../helpers/freeze.js'
import { type Fixture, golden } from '../../helpers/golden.js'
import { type FindRun, findLearner } from '../../helpers/lr-find.js'
import { type PredictionCase, predictionLearner } from '../../helpers/predictions.js'
import { decisions, type TrackerCase } from '../../helpers/trackers.js'
import { recordedBatches, recordedState, recordedTensor, write } from './write.js'

const WIDTHS = [3, 5, 4, 6]
const CLASSES = 5

/** Three blocks instead of two, so four groups, of other widths, with one row less a batch and a batch more. */
async function deeper(recorded: FreezeCase): Promise<FreezeCase> {
  const init: Record<string, Fixture> = {}
  const put = async (name: string, ...shape: number[]) => {
    const made = randn(shape, { dtype: 'float32' }).mul(0.3)
    init[name] = await recordedTensor(/(running_var|norm)/.test(name) ? made.abs().add(0.5) : made)
  }
  const norm = async (name: string, width: number) => {
    for (const part of ['weight', 'bias', 'running_mean', 'running_var']) await put(`${name}.${part}`, width)
    init[`${name}.num_batches_tracked`] = { shape: [], dtype: 'int64', data: [0] }
  }
  const blocks = WIDTHS.length - 1
  for (let i = 0; i < blocks; i++) {
    await put(`${i}.0.weight`, WIDTHS[i + 1], WIDTHS[i], 3, 2)
    await put(`${i}.0.bias`, WIDTHS[i + 1])
    await norm(`${i}.1`, WIDTHS[i + 1])
  }
  await norm(`${blocks}.2`, WIDTHS[blocks])
  await put(`${blocks}.3.weight`, CLASSES, WIDTHS[blocks])
  await put(`${blocks}.3.bias`, CLASSES)
  const batch = (bs: number) => [randn([bs, WIDTHS[0], 9, 8]), randint(0, CLASSES, [bs])]
  const sized: FreezeCase = {
    ...recorded,
    ...{ init, opt: 'SGD lr=.05 wd=0' },
    train: await recordedBatches([batch(5), batch(5), batch(4)]),
    valid: await recordedBatches([batch(2), batch(3)]),
    seq: [],
  }
  const learn = freezeLearner(sized)
  for (const action of [
    'freeze',
    'fit(2)',
    'freeze_to(2)',
    'freeze_to(-3)',
    'fit',
    'unfreeze',
    'fit',
    'freeze_to(4)',
  ]) {
    await act(learn, action)
    const { opt, model } = learn
    if (!opt) throw new Error('no optimizer')
    const saved = opt.stateDict().state
    const named = [...model.namedParameters()]
    const flags = named.map(([name], i) => {
      const keys = [saved[i].doWd === false && 'do_wd', saved[i].forceTrain && 'force_train']
      return [name, keys.filter(key => key !== false)]
    })
    sized.seq.push({
      action,
      requires_grad: Object.fromEntries(named.map(([name, parameter]) => [name, parameter.requiresGrad])),
      opt_state_keys: Object.fromEntries(flags),
      state: action.startsWith('fit') ? await recordedState(model) : null,
    })
  }
  return sized
}

export async function freeze(folder: string): Promise<void> {
  manualSeed(17)
  const first = golden<{ cases: FreezeCase[] }>('freeze')
  const cases: FreezeCase[] = []
  for (const recorded of first.cases) cases.push(await deeper(recorded))
  write(folder, 'freeze', { ...first, cases })
}

/** Three layers instead of two, and one; other numbers of steps, also from rates that are no powers of ten. */
export async function lrFind(folder: string): Promise<void> {
  manualSeed(19)
  const searches: [number[], number, { num_it: number; start_lr: number; end_lr: number }][] = [
    [[4, 7, 5, CLASSES], 3, { num_it: 47, start_lr: 3e-6, end_lr: 20 }],
    [[9, 4], 5, { num_it: 16, start_lr: 1e-5, end_lr: 0.7 }],
  ]
  const runs: FindRun[] = []
  for (const [widths, batches, options] of searches) {
    const weights: Record<string, Fixture> = {}
    for (const [i, outputs] of widths.slice(1).entries()) {
      weights[`${2 * i}.weight`] = await recordedTensor(randn([outputs, widths[i]]).mul(0.4))
      weights[`${2 * i}.bias`] = await recordedTensor(randn([outputs]).mul(0.1))
    }
    const made = Array.from({ length: batches }, () => [randn([7, widths[0]]), randint(0, widths.at(-1) ?? 0, [7])])
    const train = await recordedBatches(made)
    const learn = findLearner({ weights, train })
    const { lrs, losses, ...suggestions } = await learn.lrFind({
      numIt: options.num_it,
      startLr: options.start_lr,
      endLr: options.end_lr,
    })
    runs.push({
      ...options,
      ...{ weights, train, lrs, suggestions, smooth_losses: losses, stopped_after: losses.length },
      lr_after: learn.opt?.hypers.map(({ lr }) => lr) ?? [],
    })
  }
  // the suggestions on given curves have the length of the curve, and nothing else that could be other
  write(folder, 'lr_find', { ...golden<object>('lr_find'), runs })
}

/** Other numbers of epochs, other options, another learning rate. */
export async function trackers(folder: string): Promise<void> {
  const first = golden<{ cases: TrackerCase[] }>('trackers')
  const values = [
    [0.9, 0.7, 0.72, 0.71, 0.69, 0.8, 0.81, 0.82, 0.4, 0.5],
    [3, 2, 2, 2],
  ]
  const calls = [
    ...['EarlyStopping(patience=3)', 'EarlyStopping(min_delta=.2,patience=1)', 'SaveModel()'],
    ...['ReduceLROnPlateau(patience=2,factor=5,min_lr=1e-3)', 'SaveModel(every_epoch=3)'],
  ]
  const cases: TrackerCase[] = []
  for (const monitor of ['other_loss', 'other_score']) {
    for (const scripted of values) {
      for (const callback of calls) {
        const sized = { callback, monitor, values: scripted }
        cases.push({ ...sized, ...(await decisions(sized, 0.02)) })
      }
    }
  }
  write(folder, 'trackers', { ...first, cases })
}

/** Batches of up to five parts; predictions of seven rows in two batches, of which the first three are recorded. */
export async function misc(folder: string): Promise<void> {
  manualSeed(23)
  const first = golden<PredictionCase>('misc_learner')
  const [inputs, outputs, rows] = [12, 4, 3]
  const weights = {
    '1.weight': await recordedTensor(randn([outputs, inputs]).mul(0.3)),
    '1.bias': await recordedTensor(randn([outputs])),
  }
  const batch = (bs: number) => [randn([bs, 3, 2, 2]), randint(0, outputs, [bs])]
  const get_preds = { ...first.get_preds, weights, valid: await recordedBatches([batch(5), batch(2)]) }
  const learn = predictionLearner(get_preds)
  const all = await learn.getPreds({ withLoss: true, withDecoded: true })
  const raw = await learn.getPreds({ act: pred => pred })
  const { preds, targs, losses, decoded } = all
  if (!targs || !losses || !decoded) throw new Error('a part is missing')
  const top = (x: typeof preds) => recordedTensor(x.narrow(0, 0, rows))
  const split = [
    { n_inp: null, batch_len: 5, xb: [0, 1, 2, 3], yb: [4], x: [0, 1, 2, 3] },
    { n_inp: 3, batch_len: 5, xb: [0, 1, 2], yb: [3, 4], x: [0, 1, 2] },
    { n_inp: 1, batch_len: 4, xb: [0], yb: [1, 2, 3], x: 0 },
    { n_inp: 0, batch_len: 3, xb: [], yb: [0, 1, 2], x: null },
  ]
  write(folder, 'misc_learner', {
    ...first, // defaults and refusals are what they are: no size is in them
    split,
    validate: (await learn.validate())?.map(Number),
    get_preds: {
      ...get_preds,
      preds: await top(preds),
      targs: await top(targs),
      losses: await top(losses),
      decoded: await top(decoded),
    },
    noact: await top(raw.preds),
  })
}
