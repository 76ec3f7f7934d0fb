// A fit that saves checkpoints and continues from them; prints its weights when it comes to its end. Killed by the test.
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import {
  Adam,
  accuracy,
  Callback,
  Checkpoint,
  CrossEntropyLossFlat,
  DataLoader,
  GradientAccumulation,
  Learner,
  MixUp,
  ModelEMA,
  manualSeed,
  nn,
  ProgressCallback,
  randint,
  randn,
  SaveModel,
  setNumThreads,
  TensorDataset,
} from 'torch-learner'

const [path, checkpointed, everyBatches = '1'] = process.argv.slice(2)
setNumThreads(1)
manualSeed(1)
const set = new TensorDataset(randn([40, 3, 6, 6]), randint(0, 3, [40]))
const train = new DataLoader(set, { bs: 4, shuffle: true })
const model = new nn.Sequential(
  new nn.Conv2d(3, 8, 3),
  new nn.BatchNorm2d(8),
  new nn.ReLU(),
  new nn.Flatten(),
  new nn.Dropout(0.3),
  new nn.Linear(128, 3),
)
const ema = new ModelEMA({ decay: 0.9 })
const slow = new Callback({ order: 70, afterBatch: () => new Promise(done => setTimeout(done, 2)) })
const learn = new Learner({ train, valid: new DataLoader(set, { bs: 20 }) }, model, {
  path,
  lossFunc: new CrossEntropyLossFlat(),
  optFunc: (groups, { lr }) => new Adam(groups, { lr }),
  metrics: accuracy,
})
learn.removeCb(ProgressCallback)
learn.logger = () => undefined
const checkpoint = new Checkpoint({ everyBatches: Number(everyBatches), resume: true })
const cbs = [new MixUp(0.4), ema, new GradientAccumulation(12), new SaveModel({ monitor: 'accuracy' }), slow]
process.stdout.write('started\n')
await learn.fitOneCycle(8, { lrMax: 0.01, cbs: checkpointed === 'yes' ? [...cbs, checkpoint] : cbs })

const hash = createHash('sha256')
const state = [...learn.model.stateDict().values(), ...ema.stateDict().values()]
for (const { tensors } of learn.opt.stateDict().state) state.push(...Object.values(tensors))
for (const tensor of state) hash.update(new Uint8Array((await tensor.data()).buffer))
const { losses, lrs, values, iters, hps } = learn.recorder
const history = JSON.stringify({ losses, lrs, values, iters, hps, best: cbs[3].best, smooth: learn.smoothLoss })
writeFileSync(
  `${path}/result.json`,
  JSON.stringify({ weights: hash.digest('hex'), history, resumed: checkpoint.resumedAt }),
)
