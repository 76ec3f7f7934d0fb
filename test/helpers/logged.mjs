// A script of two fits with a CSVLogger and checkpoints, which kills itself where it is told, once a place:
// node logged.mjs <folder> <append: yes|no> <places, as "fit/epoch/order/event" with commas>
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  accuracy,
  Callback,
  Checkpoint,
  CrossEntropyLossFlat,
  CSVLogger,
  DataLoader,
  Learner,
  manualSeed,
  nn,
  ProgressCallback,
  randint,
  randn,
  SGD,
  setNumThreads,
  TensorDataset,
} from 'torch-learner'

const [path, append, places] = process.argv.slice(2)
setNumThreads(1)
manualSeed(1)

const done = join(path, 'killed')
const killed = existsSync(done) ? readFileSync(done, 'utf8').split('\n') : []

/** Ends the process as a power cut would. */
function killers(fit) {
  const told = places.split(',').filter(place => place !== '')
  return told.flatMap(place => {
    const [at, epoch, order, event] = place.split('/')
    if (Number(at) !== fit || killed.includes(place)) return []
    const kill = ({ learn }) => {
      if (learn.epoch !== Number(epoch)) return
      appendFileSync(done, `${place}\n`)
      process.kill(process.pid, 'SIGKILL')
    }
    return [new Callback({ name: `killer${place}`, order: Number(order), [event]: kill })]
  })
}

const set = new TensorDataset(randn([8, 4]), randint(0, 3, [8]))
const dls = { train: new DataLoader(set, { bs: 4, shuffle: true }), valid: new DataLoader(set, { bs: 8 }) }
const learn = new Learner(dls, new nn.Sequential(new nn.Linear(4, 3)), {
  path,
  lossFunc: new CrossEntropyLossFlat(),
  optFunc: (groups, { lr }) => new SGD(groups, { lr }),
  metrics: accuracy,
})
learn.removeCb(ProgressCallback)
learn.logger = () => undefined
for (const fit of [0, 1]) {
  const cbs = [new CSVLogger({ append: append === 'yes' }), new Checkpoint({ everyBatches: 1, resume: true })]
  await learn.fit(2, { cbs: [...cbs, ...killers(fit)] })
}
console.log('finished')
