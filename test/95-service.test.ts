// In a service: several Learners at once, aborts at any time, and a process that ends when its work does.
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { Callback, Checkpoint, getNumThreads, type Learner, setNumThreads } from 'torch-learner'
import { failAt, folder, learner } from './helpers/checkpoints.js'
import { runProgram } from './helpers/child.js'
import { tinyBatches, tinyLearner, weightsOf } from './helpers/learning.js'

const threads = getNumThreads()
test.serial.before(() => setNumThreads(1))
test.serial.after.always(() => setNumThreads(threads))

test.serial('two Learners at once train as each would alone', async t => {
  const batches = [tinyBatches(12), tinyBatches(9)]
  const make = (path: string, i: number): Learner => {
    const learn = tinyLearner({ path, cbs: new Checkpoint({ fname: `run${i}`, everyBatches: 2, resume: true }) })
    learn.dls = { train: batches[i], valid: batches[i].slice(0, 2) }
    return learn
  }
  const alone: number[][] = []
  for (const i of [0, 1]) {
    const learn = make(await folder(), i)
    await learn.fitOneCycle(3)
    alone.push(weightsOf(learn.model))
  }
  const path = await folder()
  const both = [make(path, 0), make(path, 1)]
  await Promise.all(both.map(learn => learn.fitOneCycle(3)))
  t.deepEqual(
    both.map(({ model }) => weightsOf(model)),
    alone,
  )
  // one fails in the middle; the other doesn't notice
  const [broken, whole] = [make(await folder(), 0), make(await folder(), 1)]
  const results = await Promise.allSettled([
    broken.fitOneCycle(3, { cbs: failAt(1, 3, 'afterBatch') }),
    whole.fitOneCycle(3),
  ])
  t.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'fulfilled'],
  )
  t.deepEqual(weightsOf(whole.model), alone[1])
  await broken.fitOneCycle(3)
  t.deepEqual(weightsOf(broken.model), alone[0], 'and it goes on')
})

for (const where of ['write', 'sync'] as const) {
  test.serial(`an abort in the middle of a checkpoint's ${where}`, async t => {
    const expected = learner(await folder())
    await expected.fit(3)
    const path = await folder()
    const stop = new AbortController()
    const handle = await open(import.meta.dirname)
    const methods: object = Object.getPrototypeOf(handle)
    await handle.close()
    const original = Reflect.get(methods, where)
    const training = learner(path)
    Reflect.set(methods, where, async function (this: object, ...args: unknown[]) {
      if (training.epoch === 1 && (training.iter ?? 0) >= 2) stop.abort(new Error('enough'))
      await new Promise(resolve => setTimeout(resolve, 5))
      return await Reflect.apply(original, this, args)
    })
    try {
      const saving = new Checkpoint({ everyBatches: 1, resume: true })
      await t.throwsAsync(training.fit(3, { cbs: saving, signal: stop.signal }), { message: 'enough' })
    } finally {
      Reflect.set(methods, where, original)
    }
    t.deepEqual(await readdir(join(path, 'models')), ['checkpoint.safetensors'])
    const again = learner(path)
    const saving = new Checkpoint({ everyBatches: 1, resume: true })
    await again.fit(3, { cbs: saving })
    t.is(saving.resumedAt?.epoch, 1)
    t.true((saving.resumedAt?.batch ?? 0) >= 3)
    t.deepEqual(weightsOf(again.model), weightsOf(expected.model))
  })
}

test.serial('a callback that hangs after an abort is the caller’s affair, one that ends is waited for', async t => {
  const stop = new AbortController()
  const learn = learner(await folder())
  let closed = false
  const slow = new Callback({
    afterCancelFit: async () => {
      await new Promise(resolve => setTimeout(resolve, 30))
      closed = true
    },
    afterBatch: () => stop.abort(new Error('enough')),
  })
  await t.throwsAsync(learn.fit(3, { cbs: slow, signal: stop.signal }), { message: 'enough' })
  t.true(closed)
  await learn.fit(1)
})

const program = (path: string, end: string) => `
  tl.manualSeed(1)
  const set = new tl.TensorDataset(tl.randn([64, 8]), tl.randint(0, 3, [64]))
  const loader = options => new tl.DataLoader(set, { bs: 8, ...options })
  const dls = new tl.DataLoaders(loader({ shuffle: true }), loader(), { path: ${JSON.stringify(path)} })
  const learn = new tl.Learner(dls, new tl.nn.Linear(8, 3), {
    lossFunc: new tl.CrossEntropyLossFlat(), metrics: tl.accuracy, cbs: new tl.Checkpoint({ everyBatches: 2 }) })
  const stop = new AbortController()
  await learn.fit(1, { cbs: new tl.MixUp(), signal: stop.signal })
  await learn.lrFind({ numIt: 6 })
  ${end}
  await new Promise(resolve => setTimeout(resolve, 100)) // Node lists requests for a moment after their end
  console.log('resources', JSON.stringify(process.getActiveResourcesInfo().filter(name => name !== 'PipeWrap')))`

const endings: Record<string, string> = {
  'a fit': '',
  'an abort':
    "await learn.fit(9, { signal: stop.signal, cbs: new tl.Callback({ afterBatch: () => stop.abort(new Error('x')) }) }).catch(() => 0)",
  'an error':
    "await learn.fit(9, { cbs: new tl.Callback({ afterStep: () => { throw new Error('x') } }) }).catch(() => 0)",
  'operators that are still queued': 'for (let i = 0; i < 50; i++) tl.randn([100, 100]).mm(tl.randn([100, 100]))',
}
for (const [name, end] of Object.entries(endings)) {
  test.serial(`after ${name} the process ends by itself`, async t => {
    const { code, signal, stdout, stderr } = await runProgram(program(await folder(), end), { seconds: 60 })
    t.is(signal, null)
    t.is(code, 0, stderr)
    t.true(stdout.includes('resources []'), stdout)
  })
}
