// Checkpoints in trouble: disks that are full, files that are damaged, scripts that have changed. Nothing saved is lost.
import { copyFile, open, readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import {
  Adam,
  Callback,
  CancelFit,
  Checkpoint,
  CrossEntropyLossFlat,
  EarlyStopping,
  GradientAccumulation,
  getNumThreads,
  Learner,
  MixedPrecision,
  nn,
  type OptFunc,
  ProgressCallback,
  Recorder,
  readSafetensors,
  SGD,
  saveSafetensors,
  setNumThreads,
} from 'torch-learner'
import { failAt, folder, learner } from './helpers/checkpoints.js'
import { weightsOf } from './helpers/learning.js'

const threads = getNumThreads()
test.serial.before(() => setNumThreads(1))
test.serial.after.always(() => setNumThreads(threads))

const fileIn = (path: string) => join(path, 'models', 'checkpoint.safetensors')
const saving = () => new Checkpoint({ resume: true, everyBatches: 1 })

/** A fit that was interrupted in its second epoch. */
async function interrupted(): Promise<string> {
  const path = await folder()
  const cut = failAt(1, 2, 'afterBatch')
  await learner(path)
    .fit(3, { cbs: [saving(), cut] })
    .catch(complain)
  return path
}

function complain(error: unknown): void {
  if (!/power cut/.test(String(error))) throw error
}

async function refused(
  t: ExecutionContext,
  path: string,
  learn: Learner,
  message: RegExp,
  cbs: Callback[] = [saving()],
): Promise<void> {
  const before = await readFile(fileIn(path))
  await t.throwsAsync(learn.fit(3, { cbs }), { message })
  t.deepEqual(await readFile(fileIn(path)), before, 'the file is as it was')
  t.deepEqual(await readdir(join(path, 'models')), ['checkpoint.safetensors'], 'nothing is left beside it')
}

/** What files can do, of whatever file. */
type FileMethods = { sync: () => Promise<void>; write: (...args: never[]) => Promise<unknown> }

/** Runs `body` while `write` or `sync` of files fails as the system's would. */
async function failing(method: keyof FileMethods, code: string, body: () => Promise<void>): Promise<void> {
  const handle = await open(import.meta.dirname)
  const methods: FileMethods = Object.getPrototypeOf(handle)
  await handle.close()
  const original = Reflect.get(methods, method)
  let calls = 0
  Reflect.set(methods, method, async function (this: object, ...args: unknown[]) {
    if (calls++ > 0) throw Object.assign(new Error(`${code}: no, ${method}`), { code, syscall: method })
    return await Reflect.apply(original, this, args)
  })
  try {
    await body()
  } finally {
    Reflect.set(methods, method, original)
  }
}

for (const [method, code, reason] of [
  ['write', 'ENOSPC', 'the disk is full'],
  ['sync', 'ENOSPC', 'the disk is full'],
  ['sync', 'EIO', 'the disk reports an error'],
  ['write', 'EDQUOT', 'the quota of disk space is used up'],
  ['write', 'EWHAT', 'EWHAT: no, write'],
] as const) {
  test.serial(`${code} at ${method}`, async t => {
    const path = await interrupted()
    const message = new RegExp(
      `checkpoint.safetensors can't be written: ${reason} \\(${code}\\)\\. What was saved before`,
    )
    await failing(method, code, async () => {
      await t.throwsAsync(learner(path).fit(3, { cbs: saving() }), { message })
    })
    t.deepEqual(await readdir(join(path, 'models')), ['checkpoint.safetensors'])
    const plain = learner(await folder())
    await plain.fit(3)
    const again = learner(path)
    await again.fit(3, { cbs: saving() })
    t.deepEqual(weightsOf(again.model), weightsOf(plain.model))
  })
}

test.serial('a folder that can’t be written to is found out at once', async t => {
  const path = await folder()
  await writeFile(join(path, 'models'), 'in the way')
  const learn = learner(path)
  await t.throwsAsync(learn.fit(1, { cbs: new Checkpoint() }), { message: /can't be written: .*EEXIST/ })
  t.is(learn.trainIter, 0)
})

test.serial('two processes on one checkpoint', async t => {
  const path = await folder()
  const file = fileIn(path)
  const intruder = new Callback({
    beforeTrain: async ({ learn: { epoch } }) => {
      if (epoch === 1) await writeFile(file, 'somebody else')
    },
  })
  await t.throwsAsync(learner(path).fit(3, { cbs: [new Checkpoint(), intruder] }), {
    message: /has been written by somebody else since .* give each another fname/,
  })
  t.is(await readFile(file, 'utf8'), 'somebody else')
  const early = await folder()
  const first = new Callback({ beforeTrain: () => copyFile(file, fileIn(early)) })
  await t.throwsAsync(learner(early).fit(1, { cbs: [new Checkpoint(), first] }), {
    message: /written by somebody else/,
  })
})

test.serial('two Learners, or two Checkpoints of one, with the same name', async t => {
  const path = await folder()
  await learner(path).fit(1, { cbs: saving() })
  await t.throwsAsync(learner(path).fit(1, { cbs: saving() }), {
    message: /holds a fit that another Learner of this process has finished: give each Learner another fname/,
  })
  await t.notThrowsAsync(learner(path).fit(1, { cbs: new Checkpoint() }), 'anew')
  await t.throwsAsync(learner(path).fit(1, { cbs: [new Checkpoint(), new Checkpoint()] }), {
    message: /Expected another name for each Checkpoint of a fit/,
  })
  await t.notThrowsAsync(learner(path).fit(1, { cbs: [new Checkpoint(), new Checkpoint({ fname: 'other' })] }))
})

test.serial('truncated and garbled files', async t => {
  const path = await interrupted()
  const file = fileIn(path)
  const whole = await readFile(file)
  for (const at of [0.3, 0.6, 0.99].map(share => Math.floor(share * whole.length))) {
    await truncate(file, at)
    await refused(t, path, learner(path), /Expected a safetensors file but received .*checkpoint\.safetensors/)
    const garbled = Buffer.from(whole)
    garbled[at] ^= 1
    await writeFile(file, garbled)
    await refused(t, path, learner(path), /Expected a safetensors file but received .*checkpoint\.safetensors/)
  }
  await writeFile(file, whole)
  await t.notThrowsAsync(learner(path).fit(3, { cbs: saving() }))
})

test.serial('a file of something else, and of other formats', async t => {
  const path = await interrupted()
  const file = fileIn(path)
  const { tensors, metadata } = await readSafetensors(file)
  await saveSafetensors(file, tensors, { metadata: {} })
  await refused(t, path, learner(path), /its content is not what was written/)
  const { saveSealed } = await import('../dist/files/safetensors.js')
  const { sha256: _, ...told } = metadata
  await saveSealed(file, tensors, { checkpoint: 'no' })
  await refused(t, path, learner(path), /Expected a checkpoint written by the Checkpoint callback/)
  for (const [version, which] of [
    [99, /has format 99, of a newer torch-learner: continue with that release/],
    [1, /has format 1, of an older torch-learner/],
  ] as const) {
    await saveSealed(file, tensors, { checkpoint: JSON.stringify({ ...JSON.parse(told.checkpoint), version }) })
    await refused(t, path, learner(path), which)
  }
})

test.serial('another model, other callbacks, another optimizer, another length', async t => {
  const path = await interrupted()
  const made = (model: nn.Module, optFunc: OptFunc = (groups, { lr }) => new SGD(groups, { lr })) => {
    const { dls } = learner(path)
    const learn = new Learner(dls, model, { path, lossFunc: new CrossEntropyLossFlat(), optFunc })
    learn.logger = () => undefined
    return learn.removeCb(ProgressCallback)
  }
  const wide = new nn.Sequential(new nn.Flatten(), new nn.Linear(18, 4))
  await refused(
    t,
    path,
    made(wide),
    /has float32 \[3, 18\] for 1\.weight, where the model has float32 \[4, 18\] \(and 1/,
  )
  const deep = new nn.Sequential(new nn.Flatten(), new nn.Linear(18, 3), new nn.Linear(3, 3))
  const before = weightsOf(deep)
  await refused(t, path, made(deep), /has nothing for 2\.weight, where the model has float32 \[3, 3\] \(and 1 more\)/)
  t.deepEqual(weightsOf(deep), before, 'the model is as it was')
  const same = new nn.Sequential(new nn.Flatten(), new nn.Linear(18, 3))
  const untouched = weightsOf(same)
  const adam: OptFunc = (groups, { lr }) => new Adam(groups, { lr })
  await refused(t, path, made(same, adam), /Expected the checkpoint of a fit with Adam but .* is of one with SGD/)
  t.deepEqual(weightsOf(same), untouched)
  const more = [saving(), new GradientAccumulation()]
  await refused(t, path, learner(path), /same callbacks but .* has no state of gradientAccumulation: continue/, more)
  const bare = learner(path).removeCb(Recorder)
  await refused(t, path, bare, /has the state of recorder, which this fit is without/)
  await t.throwsAsync(learner(path).fit(2, { cbs: saving() }), {
    message: /Expected the checkpoint of a fit of 2 epochs but .* is of one of 3 epochs: continue with the same script/,
  })
})

test.serial('a callback that ends the fit finishes it', async t => {
  const path = await folder()
  const stop = new Callback({
    beforeEpoch: ({ learn }) => {
      if (learn.epoch === 2) throw new CancelFit()
    },
  })
  const learn = learner(path)
  await learn.fit(4, { cbs: [saving(), stop, new EarlyStopping({ patience: 9 }), new MixedPrecision()] })
  const { metadata } = await readSafetensors(fileIn(path))
  t.true(JSON.parse(metadata.checkpoint).position.done)
})
