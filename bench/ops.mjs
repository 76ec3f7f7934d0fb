// What one operator costs: the time JavaScript spends to queue it, and the time until it has run.
import { pathToFileURL } from 'node:url'
import { noGrad, scope, synchronizeSync, tensor } from 'torch-learner'
import { median, print } from './table.mjs'

const BURST = 1000
const ROUNDS = 200

/** Nanoseconds an operator, over many bursts: a burst fits the queue, so that JavaScript never waits for room in it. */
function measure(burst) {
  const queued = []
  const done = []
  for (let round = 0; round < ROUNDS + 20; round++) {
    const start = performance.now()
    burst()
    const middle = performance.now()
    synchronizeSync()
    const end = performance.now()
    if (round < 20) continue
    queued.push(((middle - start) / BURST) * 1e6)
    done.push(((end - start) / BURST) * 1e6)
  }
  return { queued: median(queued), best: Math.min(...queued), done: median(done) }
}

const times = fn => () => {
  for (let i = 0; i < BURST; i++) fn()
}

/** @returns rows for the table: nanoseconds on the JavaScript thread for an operator on 2x2 tensors */
export async function run() {
  const a = tensor([
    [1, 2],
    [3, 4],
  ])
  const b = a.add(1)
  const bursts = {
    'x.add(y) in a scope': () => scope(times(() => a.add(b))),
    'x.add(y) with dispose()': times(() => a.add(b).dispose()),
    'x.add(y) left to the collector': times(() => a.add(b)),
    'x.add_(y) under noGrad': () => noGrad(times(() => a.add_(b))),
    'x.mul(2) in a scope': () => scope(times(() => a.mul(2))),
    'x.add(y, { alpha: 2 }) in a scope': () => scope(times(() => a.add(b, { alpha: 2 }))),
    'x.sum([1], true) in a scope': () => scope(times(() => a.sum([1], true))),
  }
  const rows = []
  for (const [name, burst] of Object.entries(bursts)) {
    const { queued, best, done } = measure(burst)
    const ns = value => `${value.toFixed(0)} ns`
    rows.push({
      what: `queue ${name}`,
      here: `${ns(queued)} (best ${ns(best)}); run ${ns(done)}`,
      reference: '',
      ratio: '',
      aim: '<= 600 ns',
    })
  }
  for (const x of [a, b]) x.dispose()
  return rows
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) print(await run())
