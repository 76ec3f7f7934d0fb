// A script that trains with checkpoints and can be killed and run again; at its end it writes what came of it.
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import {
  Adam,
  accuracy,
  BatchTransform,
  Callback,
  Checkpoint,
  CrossEntropyLossFlat,
  CSVLogger,
  DataLoader,
  EarlyStopping,
  F1Score,
  GradientAccumulation,
  Learner,
  MixedPrecision,
  MixUp,
  ModelEMA,
  manualSeed,
  nn,
  ProgressCallback,
  Recorder,
  RocAuc,
  randint,
  randn,
  SaveModel,
  setNumThreads,
  TensorDataset,
} from 'torch-learner'

const [path, script, checkpointed] = process.argv.slice(2)
setNumThreads(1)
manualSeed(1)

// the test kills in the middle of writes too: they are announced, and take their time
const handle = await open(new URL(import.meta.url))
const files = Object.getPrototypeOf(handle)
await handle.close()
const { sync } = files
files.sync = async function () {
  process.stdout.write('writing\n')
  await new Promise(done => setTimeout(done, 4))
  return await sync.call(this)
}

class Noise extends BatchTransform {
  encodes(x) {
    return x.add(x.randnLike(), { alpha: 0.1 })
  }
}

const set = new TensorDataset(randn([40, 3, 6, 6]), randint(0, 3, [40]))
const seed = script === 'oneCycle' ? 5 : undefined
const train = new DataLoader(set, { bs: 4, shuffle: true, seed, batchTfms: [new Noise()] })
const body = new nn.Sequential(new nn.Conv2d(3, 8, 3), new nn.BatchNorm2d(8), new nn.ReLU(), new nn.Flatten())
const head = new nn.Sequential(new nn.Dropout(0.3), new nn.Linear(128, 3))
const ema = new ModelEMA({ decay: 0.9 })
const slow = new Callback({ order: 70, afterBatch: () => new Promise(done => setTimeout(done, 1)) })
const learn = new Learner({ train, valid: new DataLoader(set, { bs: 20 }) }, new nn.Sequential(body, head), {
  path,
  lossFunc: new CrossEntropyLossFlat(),
  optFunc: (groups, { lr }) => new Adam(groups, { lr }),
  splitter: () => [body.parameters(), head.parameters()],
  metrics: [accuracy, new F1Score({ average: 'macro' }), RocAuc],
  cbs: [slow, new CSVLogger()],
})
learn.removeCb(ProgressCallback)
learn.logger = () => undefined
const checkpoint = new Checkpoint({ everyBatches: 3, resume: true })
const best = new SaveModel({ monitor: 'valid_loss' })
const history = []
function note() {
  const { losses, lrs, values, iters, hps } = learn.recorder
  history.push({ losses, lrs, values, iters, hps, best: best.best, smooth: learn.smoothLoss, row: learn.finalRecord })
}

const scripts = {
  async oneCycle() {
    learn.removeCb(Recorder).addCb(new Recorder({ trainMetrics: true }))
    if (checkpointed === 'yes') learn.addCb(checkpoint)
    const cbs = [new MixUp(0.4), ema, new GradientAccumulation(12), new SaveModel({ monitor: 'valid_loss' })]
    await learn.fitOneCycle(5, { lrMax: 0.01, cbs })
    note()
  },
  // several fits, and work in between that must find everything as it was
  async fineTune() {
    const saving = () => (checkpointed === 'yes' ? [new Checkpoint({ everyBatches: 3, resume: true })] : [])
    const precision = new MixedPrecision({ dtype: 'float16', growthInterval: 3 })
    await learn.fineTune(2, { baseLr: 0.01, cbs: [best, precision, ...saving()] })
    note()
    await learn.save('between')
    await learn.lrFind({ numIt: 6 })
    randn([3])
    await learn.fitFlatCos(3, { lr: 0.01, cbs: [best, new EarlyStopping({ patience: 1 }), ema, ...saving()] })
    note()
    await learn.validate()
    await learn.fitSgdr(1, 1, { lrMax: 0.01, cbs: [best, ...saving()] })
    note()
  },
}
process.stdout.write('started\n')
await scripts[script]()

const hash = createHash('sha256')
const state = [...learn.model.stateDict().values(), ...ema.stateDict().values()]
for (const { tensors } of learn.opt.stateDict().state) state.push(...Object.values(tensors))
for (const tensor of state) hash.update(new Uint8Array((await tensor.data()).buffer))
if (script === 'fineTune') hash.update(await readFile(`${path}/models/between.safetensors`))
const rows = (await learn.cbs.find(cb => cb instanceof CSVLogger).readLog()).map(({ time, ...row }) => row)
writeFileSync(
  `${path}/result.json`,
  JSON.stringify({
    weights: hash.digest('hex'),
    history: JSON.stringify(history),
    rows,
    resumed: script === 'oneCycle' ? checkpoint.resumedAt : null,
  }),
)
