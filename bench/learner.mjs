// What the Learner costs: its loop with MixUp, recorder and metrics, against the same operators called one by one.
import {
  accuracy,
  CrossEntropyLossFlat,
  DataLoaders,
  Learner,
  MixUp,
  mark,
  rand,
  randint,
  resnet18,
} from 'torch-learner'
import { trainer } from './resnet.mjs'
import { median } from './table.mjs'

/** The same batch `n` times. */
function repeated(batch, n) {
  return {
    length: n,
    *[Symbol.iterator]() {
      for (let i = 0; i < n; i++) yield batch
    },
  }
}

export async function run({ size = 32, batch = 128, rounds = 6, steps = 20 } = {}) {
  const bare = trainer(size, batch)
  const x = rand([batch, 3, size, size]).to({ memoryFormat: 'channels_last' })
  const y = randint(0, 10, [batch])
  await mark()
  const learn = new Learner(new DataLoaders(repeated([x, y], steps), []), resnet18({ numClasses: 10 }), {
    lossFunc: new CrossEntropyLossFlat(),
    metrics: accuracy,
    cbs: new MixUp(0.4),
  })
  learn.logger = () => undefined
  learn.silent = true
  const ours = []
  const theirs = []
  for (let round = -1; round < rounds; round++) {
    let start = performance.now()
    await learn.fit(1)
    const fitted = (performance.now() - start) / steps
    start = performance.now()
    for (let i = 0; i < steps; i++) await bare()
    if (round < 0) continue
    ours.push(fitted)
    theirs.push((performance.now() - start) / steps)
  }
  const [a, b] = [median(ours), median(theirs)]
  return [
    {
      what: `Learner with MixUp against a bare loop of the same operators, ${size}x${size}, batch ${batch}`,
      here: `${a.toFixed(0)} ms`,
      reference: `${b.toFixed(0)} ms`,
      ratio: (a / b).toFixed(3),
      aim: '<= 1.02',
    },
  ]
}
