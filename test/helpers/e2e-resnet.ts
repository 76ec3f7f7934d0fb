// A ResNet-18 trained as recorded: same weights, pictures and random choices, in whatever sizes the recording has.
import {
  Callback,
  CrossEntropyLossFlat,
  CutMix,
  type DType,
  errorRate,
  type Learner,
  MixUp,
  mixup,
  resnet18,
  slice,
  visionLearner,
} from 'torch-learner'
import { replay, type Step } from './e2e.js'
import { type Fixture, toTensor } from './golden.js'
import { hashFill, hashTensor } from './hash-fill.js'

export interface ResnetRun {
  kind: 'none' | 'mixup' | 'cutmix'
  frozen: boolean
  lr_slice: [number | null, number]
  n_out: number
  bs: number
  size: number
  n_epoch: number
  init_salt0: number
  train_x_salts: number[]
  valid_x_salt: number
  x_scale: number
  train_y: Fixture[]
  valid_y: Fixture
  steps: (Step & { pred_first_row: Fixture })[]
  epochs: { train_loss: number; valid_loss: number; error_rate: number }[]
  final_param_norms: Record<string, number>
  final_bn: Record<string, { mean_sum: number; var_sum: number }>
}

export interface ResnetRecording {
  dtype?: DType
  runs: ResnetRun[]
}

/**
 * MixUp by the recorded weights, of the recording's dtype: the reference's `max(b, 1 - b)` was a float64 number there, while
 * MixUp's weights are float32 numbers, 3e-8 away, which is more than float64 may deviate.
 */
class RecordedMixUp extends MixUp {
  #step = 0
  constructor(readonly steps: Step[]) {
    super()
  }
  override beforeBatch(): void {
    const { perm, lam } = this.steps[this.#step++] ?? {}
    const [partners, weights] = [toTensor(perm as Fixture), toTensor(lam as Fixture)]
    this.learn.xb = this.learn.xb.map(x => mixup(x, partners, weights))
    this.mixTargets(partners, weights)
  }
}

export interface ResnetSeen {
  loss: number
  first: number[]
  lr: number[]
  mom: number[]
}

function learnerOf(run: ResnetRun, dtype: DType, watch: Callback): Learner {
  const pictures = (salt: number) => hashTensor([run.bs, 3, run.size, run.size], salt, run.x_scale).to({ dtype })
  const train = run.train_x_salts.map((salt, i) => [pictures(salt), toTensor(run.train_y[i])])
  const valid = [[pictures(run.valid_x_salt), toTensor(run.valid_y)]]
  const mixing = {
    none: [],
    mixup: [dtype === 'float64' ? new RecordedMixUp(run.steps) : new MixUp({ random: replay(run.steps) })],
    cutmix: [new CutMix({ random: replay(run.steps) })],
  }
  const learn = visionLearner({ train, valid }, resnet18, {
    pretrained: false,
    nOut: run.n_out,
    ps: 0,
    lossFunc: new CrossEntropyLossFlat(),
    metrics: [errorRate],
    channelsLast: false,
    cbs: [...mixing[run.kind], watch],
  })
  learn.model.to({ dtype, memoryFormat: 'contiguous_format' })
  hashFill(learn.model, run.init_salt0)
  learn.logger = () => undefined
  learn.silent = true
  if (run.frozen) learn.freeze()
  return learn
}

/** Trains as recorded, and says what each step was like. */
export async function observeResnet(run: ResnetRun, dtype: DType): Promise<{ learn: Learner; seen: ResnetSeen[] }> {
  const seen: ResnetSeen[] = []
  const watch = new Callback({
    async afterBackward({ learn: { loss, pred, opt } }) {
      const first = (await pred?.detach().narrow(0, 0, 1).data()) as Float32Array | Float64Array
      const groups = opt?.paramGroups ?? []
      const hypers = { lr: groups.map(group => group.lr), mom: groups.map(group => group.mom) }
      seen.push({ loss: (await loss?.item()) ?? Number.NaN, first: [...first], ...hypers })
    },
  })
  const learn = learnerOf(run, dtype, watch)
  const [start, stop] = run.lr_slice
  await learn.fitOneCycle(run.n_epoch, { lrMax: start === null ? slice(stop) : slice(start, stop) })
  return { learn, seen }
}
