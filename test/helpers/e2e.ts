// Trainings of the reference, replayed: same weights, data and random choices.
import type { ExecutionContext } from 'ava'
import {
  Adam,
  accuracy,
  accuracyMulti,
  BCEWithLogitsLossFlat,
  Callback,
  CrossEntropyLossFlat,
  CutMix,
  GradientAccumulation,
  GradientClip,
  LabelSmoothingCrossEntropy,
  Learner,
  type LearnerOptions,
  type MixRandom,
  MixUp,
  nn,
  ProgressCallback,
  SGD,
  slice,
  type Tensor,
} from 'torch-learner'
import { assertClose, assertNumbers, type Fixture, numbersOf, toTensor } from './golden.js'

export interface Step {
  lr: number[]
  mom: number[]
  beta: Fixture | null
  perm: Fixture | null
  bbox_center: [number, number] | null
  lam: Fixture | null
  pred: Fixture
  loss: number
  smooth_loss: number
  grad_norms: Record<string, number | null>
}

export interface Run {
  kind: 'none' | 'mixup' | 'cutmix'
  loss: 'ce' | 'ls' | 'bce'
  opt: 'Adam' | 'SGD'
  lr: number | 'slice'
  lr_slice: [number | null, number] | null
  n_epoch: number
  fit: 'fit' | 'fit_one_cycle' | 'fit_flat_cos' | 'fine_tune'
  freeze: boolean
  wd: number | null
  train_bn: boolean
  two_groups: boolean
  ch: number
  c: number
  extra_callbacks: string[] | null
  init: Record<string, Fixture>
  train: Fixture[][]
  valid: Fixture[][]
  steps: Step[]
  epochs: Record<string, number>[]
  final: Record<string, Fixture>
  final_valid_preds: Fixture
}

export class Net extends nn.Module {
  readonly body: nn.Sequential
  readonly head: nn.Sequential
  constructor(inputs: number, ch: number, c: number) {
    super()
    this.body = new nn.Sequential(
      new nn.Conv2d(inputs, ch, 3, { stride: 2, padding: 1, bias: false }),
      new nn.BatchNorm2d(ch),
      new nn.ReLU(),
      new nn.Conv2d(ch, 2 * ch, 3, { padding: 1 }),
      new nn.BatchNorm2d(2 * ch),
      new nn.ReLU(),
    )
    this.head = new nn.Sequential(new nn.AdaptiveAvgPool2d(1), new nn.Flatten(), new nn.Linear(2 * ch, c))
  }
  forward(x: Tensor): Tensor {
    return this.head(this.body(x))
  }
}

const losses = {
  ce: () => new CrossEntropyLossFlat(),
  ls: () => new LabelSmoothingCrossEntropy(),
  bce: () => new BCEWithLogitsLossFlat(),
}

/** Replays the recorded draws, one step after the other. */
export function replay(steps: Step[]): MixRandom {
  let draws = 0
  let permutations = 0
  const centres = steps.flatMap(step => step.bbox_center ?? [])[Symbol.iterator]()
  return {
    beta: () => Float32Array.from(numbersOf(steps[draws++]?.beta as Fixture)),
    permutation: () => Int32Array.from(numbersOf(steps[permutations++]?.perm as Fixture)),
    integer: () => centres.next().value ?? Number.NaN,
  }
}

/** How the recording mixes, with `random` for draws: those of the recording, where none is given. */
export function mixing({ kind, steps }: Run, random: MixRandom = replay(steps)): Callback[] {
  if (kind === 'none') return []
  return [kind === 'mixup' ? new MixUp({ alpha: 0.4, random }) : new CutMix({ alpha: 1, random })]
}

/** The callbacks and the call that a recording of `e2e_extras` names, with the numbers that it says. */
export function extras({ extra_callbacks, n_epoch }: Run): Options {
  const call = /^(\w+)\((?:\w+=)?([\d.e-]+)(?:, base_lr=([\d.e-]+))?\)/
  const [, name, value, baseLr] = call.exec(extra_callbacks?.[0] ?? '') ?? []
  if (name === 'GradientClip') return { cbs: [new GradientClip(Number(value))] }
  if (name === 'GradientAccumulation') return { cbs: [new GradientAccumulation({ nAcc: Number(value) })] }
  if (name !== 'fine_tune') throw new Error(`unknown: ${extra_callbacks}`)
  return { run: learn => learn.fineTune(n_epoch, { baseLr: Number(baseLr) }) }
}

export function learnerFor(run: Run, options: LearnerOptions): Learner {
  const model = new Net(run.init['body.0.weight'].shape[1], run.ch, run.c)
  model.loadStateDict(Object.fromEntries(Object.entries(run.init).map(([name, value]) => [name, toTensor(value)])))
  const batches = (list: Fixture[][]) => list.map(batch => batch.map(toTensor))
  const learn = new Learner({ train: batches(run.train), valid: batches(run.valid) }, model, {
    lossFunc: losses[run.loss](),
    optFunc: (groups, { lr }) => (run.opt === 'Adam' ? new Adam(groups, { lr }) : new SGD(groups, { lr })),
    splitter: () => (run.two_groups ? [model.body.parameters(), model.head.parameters()] : [model.parameters()]),
    metrics: [run.loss === 'bce' ? accuracyMulti : accuracy],
    trainBn: run.train_bn,
    ...options,
  })
  learn.logger = () => undefined
  return learn.removeCb(ProgressCallback)
}

export async function train(learn: Learner, run: Run): Promise<void> {
  const [start, stop] = run.lr_slice ?? [null, 0]
  const lr = typeof run.lr === 'number' ? run.lr : start === null ? slice(stop) : slice(start, stop)
  const wd = run.wd ?? undefined
  if (run.freeze) learn.freeze()
  if (run.fit === 'fit') await learn.fit(run.n_epoch, { lr, wd })
  else if (run.fit === 'fit_flat_cos') await learn.fitFlatCos(run.n_epoch, { lr, wd })
  else await learn.fitOneCycle(run.n_epoch, { lrMax: lr, wd })
}

/**
 * What float32 gives on any CPU after these few steps: 4e-7 in losses and 1e-5 in predictions were seen between layouts and
 * between kernels with and without AVX2. The recordings' note allows 1e-5 to 1e-3 for another build of libtorch.
 */
const ROUNDING = { loss: 5e-6, predictions: { atol: 1e-4, rtol: 1e-4 } }

export interface Options extends LearnerOptions {
  cbs?: Callback[]
  run?: typeof train
}

interface Seen {
  pred: number[]
  loss: number
  lr: number[]
  norms: Record<string, number | null>
}

/** Trains as recorded, and says what each step was like. */
export async function observe(
  run: Run,
  { cbs = [], run: go = train, ...options }: Options,
): Promise<{ learn: Learner; seen: Seen[] }> {
  const seen: Seen[] = []
  const watch = new Callback({
    order: 5, // gradients as recorded: before anything is done to them
    async afterBackward({ learn }) {
      const { pred, loss, opt } = learn
      const norms: Record<string, number | null> = {}
      for (const [name, { grad }] of learn.model.namedParameters()) norms[name] = (await grad?.norm().item()) ?? null
      seen.push({
        pred: Array.from((await pred?.detach().data()) as Float32Array),
        loss: (await loss?.item()) ?? Number.NaN,
        lr: opt?.paramGroups.map(group => group.lr) ?? [],
        norms,
      })
    },
  })
  const learn = learnerFor(run, { ...options, cbs: [...cbs, watch] })
  await go(learn, run)
  return { learn, seen }
}

/** Trains as recorded, and compares every step, the table, the weights and the predictions. */
export async function assertRun(t: ExecutionContext, run: Run, options: Options): Promise<void> {
  const { learn, seen } = await observe(run, options)
  t.is(seen.length, run.steps.length)
  for (const [k, { pred, loss, lr, norms }] of seen.entries()) {
    const step = run.steps[k] as Step
    assertNumbers(t, lr, step.lr, { atol: 0, rtol: 1e-9 }, `lr of step ${k}`)
    assertNumbers(t, [loss], [step.loss], { atol: 0, rtol: ROUNDING.loss }, `loss of step ${k}`)
    assertNumbers(t, pred, numbersOf(step.pred), ROUNDING.predictions, `predictions of step ${k}`)
    for (const [name, norm] of Object.entries(step.grad_norms)) {
      if (norm === null) t.is(norms[name], null, `gradient of ${name} in step ${k}`)
      else assertNumbers(t, [norms[name] ?? Number.NaN], [norm], { atol: 1e-6, rtol: 1e-4 }, `gradient of ${name}`)
    }
  }
  const { recorder } = learn
  assertNumbers(
    t,
    recorder.losses,
    run.steps.slice(-recorder.losses.length).map(step => step.smooth_loss),
    { atol: 0, rtol: ROUNDING.loss },
    'smoothed losses',
  )
  const rows = run.epochs.map(epoch => Object.values(epoch))
  assertNumbers(t, recorder.values.flat().map(Number), rows.flat(), ROUNDING.predictions, 'table')
  for (const [name, value] of learn.model.stateDict()) {
    // A bias before a batch norm changes nothing but the norm's mean: its gradient is rounding noise, blown up by Adam.
    const atol = /^body\.(3\.bias|4\.running_mean)$/.test(name) ? 1e-3 : 1e-5
    await assertClose(t, value, run.final[name] as Fixture, { atol, rtol: 1e-4 }, name)
  }
  const { preds } = await learn.getPreds()
  const [rowsRecorded = 0] = run.final_valid_preds.shape
  await assertClose(t, preds.narrow(0, 0, rowsRecorded), run.final_valid_preds, ROUNDING.predictions, 'predictions')
}
