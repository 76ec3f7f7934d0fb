// A pipeline that you have already, and a Learner behind it: no files, no datasets, no tensors in your code.
//
//   npx tsx examples/pipeline.ts
//
// The task: is there a heartbeat in a noisy recording? Recordings come one by one from something asynchronous (here a
// generator; it might be a database cursor, a Kafka consumer, a stream of parsed lines), as typed arrays.
import { setImmediate as breathe } from 'node:timers/promises'
import { accuracy, CrossEntropyLossFlat, DataLoaders, Learner, manualSeed, nn } from 'torch-learner'

const SAMPLES = 64

/** What your code has: an object for each recording. */
interface Recording {
  signal: Float32Array
  alive: boolean
}

/** Where your recordings come from. Seeded, so that each pass sees the same ones. */
async function* recordings(count: number, seed: number): AsyncGenerator<Recording> {
  let state = seed
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  for (let i = 0; i < count; i++) {
    if (i % 100 === 0) await breathe() // it takes its time
    const alive = random() < 0.5
    const [period, phase] = [8 + Math.floor(random() * 8), Math.floor(random() * 8)]
    const signal = Float32Array.from({ length: SAMPLES }, (_, t) => {
      const beat = alive && (t + phase) % period === 0 ? 1.5 : 0
      return beat + random() - 0.5
    })
    yield { signal, alive }
  }
}

/** The only thing to write: what of a recording is the input, and what the target. */
async function* samples(count: number, seed: number) {
  for await (const { signal, alive } of recordings(count, seed)) {
    yield { x: { data: signal, shape: [1, 1, SAMPLES] }, y: Number(alive) } // a picture of one row
  }
}

manualSeed(1)
const dls = await DataLoaders.from(
  () => samples(4000, 1), // a function, since every epoch begins anew
  () => samples(500, 2),
  { bs: 50, n: 4000, validN: 500, shuffle: true, vocab: ['noise', 'heartbeat'], lossFunc: new CrossEntropyLossFlat() },
)
const model = new nn.Sequential(
  new nn.Conv2d(1, 16, [1, 7], { stride: [1, 2], padding: [0, 3] }),
  new nn.ReLU(),
  new nn.Conv2d(16, 32, [1, 5], { stride: [1, 2], padding: [0, 2] }),
  new nn.ReLU(),
  new nn.Flatten(),
  new nn.Linear(32 * (SAMPLES / 4), 2),
)
const learn = new Learner(dls, model, { metrics: [accuracy] })
await learn.fitOneCycle(3, { lrMax: 3e-3 })

// new recordings, without an answer
for await (const { x, y } of samples(3, 99)) {
  const { label } = await learn.predict(x)
  console.log(`${label}, and it is ${dls.vocab?.[y]}`)
}
