// Checkpoints: a fit that was interrupted goes on as if nothing had happened.
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import {
  Callback,
  Checkpoint,
  EarlyStopping,
  getNumThreads,
  type Learner,
  MixChoice,
  MixedPrecision,
  type MixRandom,
  MixUp,
  ResizeMix,
  SaveModel,
  setNumThreads,
} from 'torch-learner'
import { failAt, folder, learner } from './helpers/checkpoints.js'
import { weightsOf } from './helpers/learning.js'

const threads = getNumThreads()
test.serial.before(() => setNumThreads(1))
test.serial.after.always(() => setNumThreads(threads))

for (const [epoch, iter, event] of [
  [0, 0, 'afterBatch'],
  [0, 3, 'afterBatch'],
  [1, 1, 'afterBatch'],
  [1, 4, 'afterBatch'],
  [1, 0, 'beforeValidate'],
  [2, 0, 'beforeEpoch'],
] as const) {
  test.serial(`interrupted at ${event}, epoch ${epoch}, batch ${iter}`, async t => {
    const make = (resume: boolean) => [
      new MixUp(0.4),
      new MixedPrecision({ dtype: 'float16', growthInterval: 3 }),
      new EarlyStopping({ patience: 9 }),
      new Checkpoint({ everyBatches: event === 'beforeValidate' ? 1 : 2, resume }),
    ]
    const plain = learner(await folder())
    await plain.fitOneCycle(3, { cbs: make(false) })
    const path = await folder()
    const broken = learner(path)
    const cut = failAt(epoch, iter, event)
    await t.throwsAsync(broken.fitOneCycle(3, { cbs: [...make(false), cut] }), { message: /power cut/ })
    t.deepEqual(
      broken.cbs.map(callback => callback.name),
      plain.cbs.map(callback => callback.name),
    )
    const again = learner(path)
    const cbs = make(true)
    await again.fitOneCycle(3, { cbs })
    t.deepEqual(weightsOf(again.model), weightsOf(plain.model))
    t.deepEqual(again.recorder.values, plain.recorder.values)
    t.deepEqual(again.recorder.losses, plain.recorder.losses)
    t.deepEqual(again.recorder.hps, plain.recorder.hps)
    t.deepEqual(again.recorder.iters, plain.recorder.iters)
    const { resumedAt } = cbs.at(-1) as Checkpoint
    t.is(resumedAt === null, epoch === 0 && iter === 0)
  })
}

test.serial('validation, predictions and lrFind leave the file alone', async t => {
  const path = await folder()
  const learn = learner(path)
  await learn.fit(1, { cbs: new Checkpoint() })
  const file = join(path, 'models', 'checkpoint.safetensors')
  const { mtimeMs } = await stat(file)
  learn.addCb(new Checkpoint({ everyBatches: 1, resume: true }))
  const before = weightsOf(learn.model)
  await learn.validate()
  await learn.getPreds()
  await learn.lrFind({ numIt: 10 })
  t.deepEqual(weightsOf(learn.model), before)
  t.is((await stat(file)).mtimeMs, mtimeMs)
})

test.serial('a fit that is aborted saves where it is, and goes on from there', async t => {
  const path = await folder()
  const plain = learner(await folder())
  await plain.fitOneCycle(3, { cbs: new MixUp(0.4) })
  const stop = new AbortController()
  const press = new Callback({
    afterBatch: ({ learn }) => {
      if (learn.epoch === 1 && learn.training && learn.iter === 2) stop.abort(new Error('enough'))
    },
  })
  const options = { resume: true, fname: 'sub/run' }
  const broken = learner(path)
  const cbs = [new MixUp(0.4), new Checkpoint(options), press]
  await t.throwsAsync(broken.fitOneCycle(3, { cbs, signal: stop.signal }), { message: 'enough' })
  const again = learner(path)
  const checkpoint = new Checkpoint(options)
  await again.fitOneCycle(3, { cbs: [new MixUp(0.4), checkpoint] })
  t.deepEqual(checkpoint.resumedAt, { epoch: 1, batch: 3, done: false })
  t.is(checkpoint.path, join(path, 'models', 'sub', 'run.safetensors'))
  t.deepEqual(weightsOf(again.model), weightsOf(plain.model))
})

test.serial('a fit that failed goes on in the same Learner', async t => {
  const plain = learner(await folder())
  await plain.fit(3)
  await plain.fit(1)
  const flaky = learner(await folder(), [new Checkpoint({ resume: true })])
  const cut = failAt(1, 2, 'afterBatch')
  await t.throwsAsync(flaky.fit(3, { cbs: cut }), { message: /power cut/ })
  await flaky.fit(3)
  t.deepEqual(flaky.callback(Checkpoint)?.resumedAt, { epoch: 1, batch: 0, done: false })
  await flaky.fit(1)
  t.is(flaky.callback(Checkpoint)?.resumedAt, null, 'a fit of its own')
  t.deepEqual(weightsOf(flaky.model), weightsOf(plain.model))
})

test.serial('several fits: the finished ones are put back, without training', async t => {
  const script = async (learn: Learner, resume: boolean, cut?: Callback) => {
    const events: string[] = []
    const watch = new Callback({
      beforeTrain: ({ learn: { nEpoch, epoch } }) => void events.push(`${nEpoch}:${epoch}`),
    })
    const cbs = [new Checkpoint({ resume, everyBatches: 2 }), new SaveModel({ fname: 'best' }), watch]
    await learn.fit(2, { cbs })
    const between = weightsOf(learn.model)
    const mode = learn.model.training
    await learn.fitOneCycle(3, { cbs: cut ? [...cbs, cut] : cbs })
    return { events, between, mode, values: learn.recorder.values }
  }
  const plain = learner(await folder())
  const expected = await script(plain, false)
  const path = await folder()
  await t.throwsAsync(script(learner(path), false, failAt(1, 3, 'afterBatch')), { message: /power cut/ })
  const again = learner(path)
  const actual = await script(again, true)
  t.deepEqual(actual, { ...expected, events: ['3:1', '3:2'] })
  t.deepEqual(weightsOf(again.model), weightsOf(plain.model))
  t.deepEqual(await readdir(join(path, 'models')), [
    'best.safetensors',
    'checkpoint.fit2.safetensors',
    'checkpoint.safetensors',
  ])
})

/** A generator of one's own, as tests and replays give it to mixing callbacks. */
class Lehmer implements MixRandom {
  at = 11
  #next(): number {
    this.at = (this.at * 16807) % 2147483647
    return this.at / 2147483647
  }
  beta(_alpha: number, n: number): Float32Array {
    return Float32Array.from({ length: n }, () => this.#next())
  }
  permutation(n: number): Int32Array {
    const start = this.integer(n)
    return Int32Array.from({ length: n }, (_, i) => (i + start) % n)
  }
  integer(limit: number): number {
    return Math.floor(this.#next() * limit)
  }
}

class Resumable extends Lehmer {
  getState(): unknown {
    return this.at
  }
  setState(state: unknown): void {
    this.at = Number(state)
  }
}

test.serial('mixing callbacks with random numbers of their own', async t => {
  const run = async (path: string, make: () => MixRandom, cut?: Callback) => {
    const learn = learner(path)
    const [one, two] = [make(), make()]
    const mix = new MixChoice([new MixUp({ random: one }), new ResizeMix({ random: two })], { random: make() })
    const saving = new Checkpoint({ resume: true, everyBatches: 1 })
    await learn.fit(2, { cbs: [mix, saving, ...(cut ? [cut] : [])] })
    return weightsOf(learn.model)
  }
  const expected = await run(await folder(), () => new Resumable())
  const path = await folder()
  await t.throwsAsync(
    run(path, () => new Resumable(), failAt(1, 1, 'afterBatch')),
    { message: /power cut/ },
  )
  t.deepEqual(await run(path, () => new Resumable()), expected)
  const silent = await folder()
  await t.throwsAsync(
    run(silent, () => new Lehmer(), failAt(1, 1, 'afterBatch')),
    { message: /power cut/ },
  )
  t.notDeepEqual(await run(silent, () => new Lehmer()), expected, 'without a state it begins anew')
})
