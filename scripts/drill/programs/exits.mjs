// Ends in the middle of a training, in the way that the first argument says.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import * as torch from 'torch-learner'

const [way, delay] = isMainThread ? process.argv.slice(2) : [workerData.way, workerData.delay]
const end = {
  exit: () => process.exit(0),
  uncaught: () => {
    throw new Error('drill: uncaught')
  },
  signal: () => console.log('READY'),
  worker: () => parentPort.postMessage('training'),
}

async function fitForever() {
  const { CrossEntropyLossFlat, DataLoader, DataLoaders, Learner, nn, TensorDataset } = torch
  const set = new TensorDataset(torch.randn([256, 3, 32, 32]), torch.randint(0, 4, [256]))
  const dls = new DataLoaders(new DataLoader(set, { bs: 32 }), new DataLoader(set, { bs: 32 }))
  const model = new nn.Sequential(new nn.Conv2d(3, 32, 3), new nn.ReLU(), new nn.Flatten(), new nn.Linear(32 * 900, 4))
  await new Learner(dls, model, { lossFunc: new CrossEntropyLossFlat() }).fit(10_000, { lr: 1e-3 })
}

if (way === 'terminate') {
  const worker = new Worker(new URL(import.meta.url), { workerData: { way: 'worker', delay }, stdout: true })
  worker.once('message', () => worker.terminate().then(() => process.exit(0)))
} else {
  setTimeout(end[way], 200 + Number(delay))
  await fitForever()
}
