// What the Learner costs: its loop with MixUp, recorder and metrics, against the same operators called one by one.
//   node bench/learner.mjs [rounds] [resnet|cnn|tiny]   by itself; `npm run bench` runs it with the others
//
// One fit lasts all the time. Its loader hands out a few batches, waits until they are computed, and then lets the other
// side have its turn, so that a round of the Learner and one of the bare loop lie a fraction of a second apart and are
// compared as a pair. Order alternates. What is told: the median of the pairs' ratios and its 95 % interval.
import { performance } from 'node:perf_hooks'
import { pathToFileURL } from 'node:url'
import {
  Adam,
  accuracy,
  CrossEntropyLossFlat,
  hostRandom,
  Learner,
  MixUp,
  manualSeed,
  mark,
  mixedLoss,
  mixup,
  nn,
  rand,
  randint,
  resnet18,
  scope,
  tensor,
} from 'torch-learner'
import { median, print } from './table.mjs'

const models = {
  resnet: { label: 'ResNet-18', make: () => resnet18({ numClasses: 10 }), batch: 128, size: 32, steps: 3 },
  cnn: { label: 'a CNN of 3 convolutions', make: smallNet, batch: 64, size: 32, steps: 20 },
  // hardly any arithmetic: what is left is what a batch costs in itself
  tiny: { label: 'one linear layer', make: linear, batch: 4, size: 2, steps: 300 },
}

function linear() {
  return new nn.Sequential(new nn.Flatten(), new nn.Linear(12, 10))
}

function smallNet() {
  const block = (from, to) => [
    new nn.Conv2d(from, to, 3, { stride: 2, padding: 1 }),
    new nn.BatchNorm2d(to),
    new nn.ReLU(),
  ]
  const blocks = [...block(3, 16), ...block(16, 32), ...block(32, 64)]
  return new nn.Sequential(...blocks, new nn.AdaptiveAvgPool2d(1), new nn.Flatten(), new nn.Linear(64, 10))
}

/**
 * The bare loop: what a person writes without a Learner. `ahead` lets it record the next step while one computes, as the
 * Learner does; without, each step waits for its loss, as most loops in Python do.
 */
function bareLoop(make, x, y, ahead) {
  const batch = y.shape[0]
  const model = make()
  model.to({ memoryFormat: 'channels_last' })
  model.train()
  const optimizer = new Adam(model.parameters(), { lr: 1e-3 })
  const lossFunc = new CrossEntropyLossFlat()
  const step = () =>
    scope(() => {
      const lam = tensor(hostRandom.beta(0.4, batch).map(b => Math.max(b, 1 - b)))
      const perm = tensor(hostRandom.permutation(batch))
      const loss = mixedLoss(lossFunc, model(mixup(x, perm, lam)), [y], [y.indexSelect(0, perm)], lam)
      loss.backward()
      optimizer.step()
      optimizer.zeroGrad()
      return loss.detach()
    })
  return async steps => {
    const pending = []
    for (let i = 0; i < steps; i++) {
      if (pending.length >= 2) await pending.shift()
      const loss = step()
      const read = loss.item().then(() => loss.dispose())
      if (ahead) pending.push(read)
      else await read
    }
    await Promise.all(pending)
    await mark()
  }
}

/** @returns what tells wall time, CPU time of all threads, and time of the JavaScript thread that isn't idle, in ms */
function startClock() {
  const [cpu, loop, wall] = [process.cpuUsage(), performance.eventLoopUtilization(), performance.now()]
  return () => {
    const { user, system } = process.cpuUsage(cpu)
    const { active } = performance.eventLoopUtilization(loop)
    return { wall: performance.now() - wall, cpu: (user + system) / 1000, js: active }
  }
}

async function measured(work) {
  const stop = startClock()
  await work()
  return stop()
}

/** The median, and the interval that holds it with 95 % confidence (order statistics, no distribution assumed). */
function interval(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const reach = 0.98 * Math.sqrt(sorted.length)
  const at = i => sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(i)))]
  const middle = (sorted.length - 1) / 2
  return { median: median(values), low: at(middle - reach), high: at(middle + reach) }
}

/** Runs the Learner against one bare loop, in pairs of rounds. */
async function compare({ make, batch, size, steps }, rounds, ahead) {
  manualSeed(0)
  const x = rand([batch, 3, size, size]).to({ memoryFormat: 'channels_last' })
  const y = randint(0, 10, [batch])
  await mark()
  const bare = bareLoop(make, x, y, ahead)
  const warmUp = 2
  const pairs = []
  const train = {
    length: (rounds + warmUp) * steps,
    async *[Symbol.asyncIterator]() {
      for (let round = 0; round < rounds + warmUp; round++) {
        const bareFirst = round % 2 === 0
        let theirs = bareFirst ? await measured(() => bare(steps)) : null
        const stop = startClock()
        for (let i = 0; i < steps; i++) yield [x, y]
        await mark()
        const ours = stop()
        theirs ??= await measured(() => bare(steps))
        if (round >= warmUp) pairs.push({ ours, theirs })
      }
    },
  }
  const learn = new Learner({ train, valid: [] }, make(), {
    lossFunc: new CrossEntropyLossFlat(),
    metrics: accuracy,
    cbs: new MixUp(0.4),
  })
  learn.logger = () => undefined
  learn.silent = true
  await learn.fit(1)
  const per = (side, what) => median(pairs.map(pair => pair[side][what])) / steps
  return {
    wall: interval(pairs.map(({ ours, theirs }) => ours.wall / theirs.wall)),
    cpu: interval(pairs.map(({ ours, theirs }) => ours.cpu / theirs.cpu)),
    ...{ ours: per('ours', 'wall'), theirs: per('theirs', 'wall') },
    ...{ oursCpu: per('ours', 'cpu'), theirsCpu: per('theirs', 'cpu') },
    ...{ oursJs: per('ours', 'js'), theirsJs: per('theirs', 'js') },
  }
}

const shown = ({ median: m, low, high }) => `${m.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`
const ms = value => (value < 1 ? `${(value * 1000).toFixed(0)} us` : `${value.toFixed(value < 10 ? 2 : 0)} ms`)

export async function run({ rounds = 24, which = ['resnet', 'cnn', 'tiny'] } = {}) {
  const rows = []
  for (const setting of which.map(name => models[name])) {
    for (const ahead of [false, true]) {
      const { wall, cpu, ...per } = await compare(setting, rounds, ahead)
      const other = ahead ? 'a bare loop that records ahead' : 'a bare loop that reads each loss'
      const what = `Learner with MixUp against ${other}: ${setting.label}, ${setting.size}x${setting.size}, batch ${setting.batch}`
      const aim = setting === models.resnet ? '<= 1.02' : ''
      rows.push(
        { what, here: ms(per.ours), reference: ms(per.theirs), ratio: shown(wall), aim },
        { what: '... CPU time, all threads', here: ms(per.oursCpu), reference: ms(per.theirsCpu), ratio: shown(cpu) },
        { what: '... JavaScript thread at work', here: ms(per.oursJs), reference: ms(per.theirsJs) },
      )
    }
  }
  return rows
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [rounds = '24', only] = process.argv.slice(2)
  print(await run({ rounds: Number(rounds), ...(only && { which: [only] }) }))
}
