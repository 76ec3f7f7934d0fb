// A training step of ResNet-18 with MixUp, from Node and from Python in turns.
import {
  Adam,
  autocast,
  CrossEntropyLossFlat,
  hostRandom,
  manualSeed,
  mark,
  mixedLoss,
  mixup,
  rand,
  randint,
  resnet18,
  scope,
  tensor,
} from 'torch-learner'
import { median } from './table.mjs'

/** @returns one training step as a function that resolves when its loss is known; `bf16`: under autocast */
export function trainer(size, batch, { bf16 = false } = {}) {
  manualSeed(0)
  const model = resnet18({ numClasses: 10 })
  model.to({ memoryFormat: 'channels_last' })
  model.train()
  const optimizer = new Adam(model.parameters(), { lr: 1e-3 })
  const lossFunc = new CrossEntropyLossFlat()
  const x = rand([batch, 3, size, size]).to({ memoryFormat: 'channels_last' })
  const y = randint(0, 10, [batch])

  return async () => {
    const loss = scope(() => {
      const lam = tensor(hostRandom.beta(0.4, batch).map(b => Math.max(b, 1 - b)))
      const perm = tensor(hostRandom.permutation(batch))
      const pred = autocast({ enabled: bf16 }, () => model(mixup(x, perm, lam))).to('float32')
      const mixed = mixedLoss(lossFunc, pred, [y], [y.indexSelect(0, perm)], lam)
      mixed.backward()
      optimizer.step()
      optimizer.zeroGrad()
      return mixed.detach()
    })
    await mark()
    const value = await loss.item()
    loss.dispose()
    return value
  }
}

export async function timed(step, repeats) {
  const seconds = []
  for (let i = 0; i < repeats; i++) {
    const start = performance.now()
    await step()
    seconds.push((performance.now() - start) / 1000)
  }
  return seconds
}

/**
 * @param reference the Python side, or null
 * @param {{ size: number, batch: number }[]} settings
 */
export async function run(reference, { settings, rounds = 6, steps = 6 }) {
  const rows = []
  for (const { size, batch } of settings) {
    const step = trainer(size, batch)
    const ours = []
    const theirs = []
    await timed(step, 2)
    if (reference !== null) await reference.ask(`${size} ${batch} 2`)
    for (let round = 0; round < rounds; round++) {
      ours.push(...(await timed(step, steps)))
      if (reference !== null) theirs.push(...(await reference.ask(`${size} ${batch} ${steps}`)))
    }
    const [a, b] = [median(ours), median(theirs)]
    rows.push({
      what: `ResNet-18 step with MixUp, ${size}x${size}, batch ${batch}`,
      here: `${(a * 1000).toFixed(0)} ms`,
      reference: theirs.length ? `${(b * 1000).toFixed(0)} ms` : '-',
      ratio: theirs.length ? (a / b).toFixed(2) : '-',
      aim: '<= 1.02',
    })
  }
  return rows
}

/** The same step while another process keeps a core busy. */
export async function busyNeighbour({ size, batch }, { rounds = 3, steps = 4 } = {}) {
  const { spawn } = await import('node:child_process')
  const step = trainer(size, batch)
  const quiet = []
  const busy = []
  await timed(step, 2)
  for (let round = 0; round < rounds; round++) {
    quiet.push(...(await timed(step, steps)))
    const neighbour = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' })
    try {
      busy.push(...(await timed(step, steps)))
    } finally {
      neighbour.kill('SIGKILL')
    }
  }
  const [a, b] = [median(busy), median(quiet)]
  return [
    {
      what: `the same step beside a busy process, ${size}x${size}, batch ${batch}`,
      here: `${(a * 1000).toFixed(0)} ms`,
      reference: `${(b * 1000).toFixed(0)} ms (quiet)`,
      ratio: (a / b).toFixed(2),
      aim: '<= 3',
    },
  ]
}
