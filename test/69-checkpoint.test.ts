// Checkpoints: a fit that is killed goes on as if nothing had happened.
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import {
  Callback,
  CancelFit,
  Checkpoint,
  DataLoader,
  EarlyStopping,
  getNumThreads,
  type Learner,
  MixedPrecision,
  MixUp,
  manualSeed,
  Recorder,
  randint,
  randn,
  setNumThreads,
  TensorDataset,
} from 'torch-learner'
import { tinyLearner, weightsOf } from './helpers/learning.js'

const program = fileURLToPath(new URL('helpers/checkpointed.mjs', import.meta.url))

interface Result {
  weights: string
  history: string
  resumed: { epoch: number; batch: number } | null
}

/** Runs the fit; killed `after` milliseconds from its start, unless it is done before. */
function run(path: string, args: string[], after?: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, path, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let complaints = ''
    child.stderr.setEncoding('utf8').on('data', text => {
      complaints += text
    })
    child.stdout.once('data', () => {
      if (after !== undefined) setTimeout(() => child.kill('SIGKILL'), after)
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (signal === 'SIGKILL') resolve(false)
      else if (code === 0) resolve(true)
      else reject(new Error(`the fit failed with code ${code}: ${complaints}`))
    })
  })
}

const resultOf = async (path: string) => JSON.parse(await readFile(join(path, 'result.json'), 'utf8')) as Result
const folder = () => mkdtemp(join(tmpdir(), 'checkpoint-'))

test.serial('killed 20 times at random moments, the weights are those of a fit left alone', async t => {
  const [alone, killed] = [await folder(), await folder()]
  await run(alone, ['no'])
  const expected = await resultOf(alone)
  let inWrite = 0
  let kills = 0
  const models = join(killed, 'models')
  while (kills < 20) {
    if (await run(killed, ['yes', '1'], 1 + Math.random() * 250)) {
      // finished before it could be killed: compare, and begin anew
      t.deepEqual({ ...(await resultOf(killed)), resumed: null }, expected)
      await rm(models, { recursive: true })
      continue
    }
    kills += 1
    await mkdir(models, { recursive: true })
    if ((await readdir(models)).some(name => name.startsWith('checkpoint') && name.endsWith('.tmp'))) inWrite += 1
  }
  t.true(await run(killed, ['yes', '1']))
  const actual = await resultOf(killed)
  t.true(actual.resumed !== null && actual.resumed.epoch + actual.resumed.batch > 0, 'it did go on')
  t.deepEqual({ ...actual, resumed: null }, expected)
  t.deepEqual((await readdir(models)).sort(), ['checkpoint.safetensors', 'model.safetensors'], 'no leftovers')
  t.log(`${inWrite} of ${kills} in the middle of a write; the last resumption at`, actual.resumed)
})

/** A Learner on data in random order. */
function learner(path: string, cbs: Callback[] = []): Learner {
  const learn = tinyLearner({ path, cbs })
  manualSeed(9)
  const set = new TensorDataset(randn([20, 2, 3, 3]), randint(0, 3, [20]))
  learn.dls = { train: new DataLoader(set, { bs: 4, shuffle: true }), valid: new DataLoader(set, { bs: 10 }) }
  return learn
}

function failAt(epoch: number, iter: number, event: 'afterBatch' | 'beforeValidate' | 'beforeEpoch'): Callback {
  return new Callback({
    order: 100,
    [event]: ({ learn }: Callback) => {
      if (learn.epoch === epoch && (event !== 'afterBatch' || (learn.training && learn.iter === iter)))
        throw new Error('power cut')
    },
  })
}

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

test.serial('a stopped fit goes on where it was', async t => {
  const path = await folder()
  const plain = learner(await folder())
  await plain.fit(4)
  const stop = new Callback({
    beforeEpoch: ({ learn }) => {
      if (learn.epoch === 2) throw new CancelFit()
    },
  })
  const options = { resume: true, fname: 'sub/run' }
  await learner(path).fit(4, { cbs: [new Checkpoint(options), stop] })
  const again = learner(path)
  const checkpoint = new Checkpoint(options)
  await again.fit(4, { cbs: checkpoint })
  t.deepEqual(checkpoint.resumedAt, { epoch: 2, batch: 0, nEpoch: 4, nIter: 5 })
  t.deepEqual(weightsOf(again.model), weightsOf(plain.model))
})

test.serial('what doesn’t fit is refused', async t => {
  const path = await folder()
  await learner(path).fit(1, { cbs: new Checkpoint() })
  const other = learner(path)
  await t.throwsAsync(other.fit(2, { cbs: new Checkpoint({ resume: true }) }), {
    message: /Expected the checkpoint of a fit of 2 epochs of 5 batches/,
  })
  await other.save('checkpoint')
  await t.throwsAsync(other.fit(1, { cbs: new Checkpoint({ resume: true }) }), {
    message: /Expected a checkpoint written by the Checkpoint callback/,
  })
  await writeFile(join(path, 'models', 'checkpoint.safetensors'), 'no')
  await t.throwsAsync(other.fit(1, { cbs: new Checkpoint({ resume: true }) }), { message: /safetensors file/ })
  await other.fit(1, { cbs: new Checkpoint() })
  other.removeCb(Recorder).addCb(new Recorder({ trainMetrics: true }))
  await t.throwsAsync(other.fit(1, { cbs: new Checkpoint({ everyBatches: 1 }) }), { message: /trainMetrics/ })
  t.throws(() => new Checkpoint({ everyBatches: 0 }), { message: /a whole number of at least 1/ })
})
