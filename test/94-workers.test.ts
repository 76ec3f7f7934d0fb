import { Worker } from 'node:worker_threads'
import test from 'ava'

interface Fitted {
  losses: number[]
  from: number
  to: number
}

// No random numbers: the generator is one per process, so only without them must workers give what a thread alone gives.
const program = `
  const { parentPort, workerData } = require('node:worker_threads')
  import(workerData.url).then(async tl => {
    const { DataLoaders, Learner, MixUp, CrossEntropyLossFlat, SGD, accuracy, nn, tensor } = tl
    tl.setNumThreads(1)
    const waves = (shape, phase) => {
      const count = shape.reduce((a, b) => a * b, 1)
      return tensor(Float32Array.from({ length: count }, (_, i) => Math.sin(0.7 * i + phase)), { shape })
    }
    const batches = Array.from({ length: 40 }, (_, i) => [
      waves([16, 3, 12, 12], i),
      tensor(Array.from({ length: 16 }, (_, k) => (k + i) % 4), { dtype: 'int64' }),
    ])
    const model = new nn.Sequential(
      new nn.Conv2d(3, 8, 3, { padding: 1 }), new nn.BatchNorm2d(8), new nn.ReLU(),
      new nn.AdaptiveAvgPool2d(1), new nn.Flatten(), new nn.Linear(8, 4))
    const state = new Map([...model.stateDict()].map(([name, value], i) =>
      [name, name.endsWith('weight') && value.ndim > 1 ? waves(value.shape, i).mul(0.2) : tl.ops.aten.zeros_like(value)]))
    state.set('1.weight', tl.ones([8]))
    state.set('1.running_var', tl.ones([8]))
    model.loadStateDict(state)
    let draw = workerData.seed
    const random = {
      beta: (alpha, n) => Float32Array.from({ length: n }, (_, i) => ((draw++ * 37) % 100) / 100),
      permutation: n => Int32Array.from({ length: n }, (_, i) => (i + 1 + draw) % n),
      integer: limit => draw % limit,
    }
    const learn = new Learner(new DataLoaders(batches, batches.slice(0, 4)), model, {
      lossFunc: new CrossEntropyLossFlat(), metrics: accuracy, optFunc: (groups, { lr }) => new SGD(groups, { lr, mom: 0.9 }) })
    learn.logger = () => undefined
    learn.silent = true
    // workers don't load equally fast: each waits for the others
    Atomics.add(workerData.gate, 0, 1)
    while (Atomics.load(workerData.gate, 0) < workerData.parties) await new Promise(resolve => setTimeout(resolve, 1))
    const from = Date.now()
    await learn.fitOneCycle(3, { lrMax: 0.05, cbs: new MixUp({ alpha: 0.4, random }) })
    parentPort.postMessage({ losses: learn.recorder.losses.map(Number), from, to: Date.now() })
  }).catch(error => { throw error })`

async function train(seed: number, gate: Int32Array, parties: number): Promise<Fitted> {
  const url = new URL('../dist/index.js', import.meta.url).href
  const worker = new Worker(program, { eval: true, workerData: { url, seed, gate, parties } })
  try {
    return await new Promise((resolve, reject) => {
      worker.on('message', resolve)
      worker.on('error', reject)
    })
  } finally {
    await worker.terminate()
  }
}

test.serial('two Learners in two workers at once train as each would alone', async t => {
  const gate = () => new Int32Array(new SharedArrayBuffer(4))
  const alone = [await train(1, gate(), 1), await train(2, gate(), 1)]
  const shared = gate()
  const together = await Promise.all([train(1, shared, 2), train(2, shared, 2)])
  const [a, b] = together
  t.true(Math.max(a.from, b.from) < Math.min(a.to, b.to), 'they did train at the same time')
  for (const [i, { losses }] of together.entries()) {
    t.is(losses.length, 120)
    t.deepEqual(losses, alone[i].losses)
  }
  t.notDeepEqual(a.losses, b.losses)
})
