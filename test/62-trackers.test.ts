// Early stopping, saving the best, lower learning rates: decisions as recorded, and the reference's defects.
import { mkdtemp, readFile, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import {
  Callback,
  CancelEpoch,
  CancelTrain,
  EarlyStopping,
  type Learner,
  ModelEMA,
  ReduceLROnPlateau,
  SaveModel,
} from 'torch-learner'
import { assertNumbers, golden } from './helpers/golden.js'
import { tinyLearner, weightsOf } from './helpers/learning.js'
import { decisions, Scripted, type TrackerCase } from './helpers/trackers.js'

for (const [i, recorded] of golden<{ cases: TrackerCase[] }>('trackers').cases.entries()) {
  test(`recording ${i}: ${recorded.callback}, ${recorded.monitor}`, async t => {
    const { epochs_started_with_lr, saved } = await decisions(recorded, recorded.epochs_started_with_lr[0][1])
    assertNumbers(t, epochs_started_with_lr.flat(), recorded.epochs_started_with_lr.flat(), { rtol: 1e-12, atol: 0 })
    t.deepEqual(saved, recorded.saved)
  })
}

const epochs = (learn: Learner) => learn.recorder.values.length

async function inFolder(values: (number | null)[]) {
  const path = await mkdtemp(join(tmpdir(), 'trackers-'))
  return tinyLearner({ metrics: new Scripted('my_loss', values), batches: [2, 1], path })
}

test('the best weights are loaded back, the others are gone', async t => {
  const learn = await inFolder([0.5, 0.2, 0.4])
  let best: number[] = []
  const watch = new Callback({
    afterEpoch: ({ learn }) => {
      if (learn.epoch === 1) best = weightsOf(learn.model)
    },
  })
  const saver = new SaveModel({ monitor: 'my_loss' })
  await learn.fit(3, { cbs: [saver, watch] })
  t.deepEqual(weightsOf(learn.model), best)
  t.true((await stat(saver.lastSavedPath ?? '')).size > 0)
  t.is(saver.best, 0.2)
})

test('beside a ModelEMA the average is what is measured, and what is saved', async t => {
  const path = await mkdtemp(join(tmpdir(), 'trackers-'))
  const learn = tinyLearner({ batches: [4, 2], path })
  const [ema, saver] = [new ModelEMA({ decay: 0.6 }), new SaveModel()]
  await learn.fit(2, { cbs: [ema, saver] })
  const best = Math.min(...learn.recorder.values.map(row => Number(row[1])))
  const [loss] = (await learn.validate()) ?? []
  t.is(loss, best)
})

test('a fit in which nothing improved loads nothing', async t => {
  const learn = await inFolder([0.5, null, Number.NaN])
  await learn.fit(1, { cbs: new SaveModel({ monitor: 'my_loss' }) })
  const { mtimeMs } = await stat(join(learn.path, 'models', 'model.safetensors'))
  const saver = new SaveModel({ monitor: 'my_loss' })
  await learn.fit(2, { cbs: saver })
  t.is(saver.lastSavedPath, null)
  t.is((await stat(join(learn.path, 'models', 'model.safetensors'))).mtimeMs, mtimeMs)
})

test('epochs that a resumed fit skips count for nothing, and the best value stays', async t => {
  const learn = await inFolder([0.5, 0.2, 0.3, 0.1])
  const saver = new SaveModel({ monitor: 'my_loss' })
  await learn.fit(2, { cbs: saver })
  const file = join(learn.path, 'models', 'model.safetensors')
  const before = await readFile(file)
  const stopper = new EarlyStopping({ monitor: 'my_loss', patience: 3 })
  const saved: number[] = []
  const watch = new Callback({
    order: 62,
    afterEpoch: async ({ learn }) => {
      if (!(await readFile(file)).equals(before)) saved.push(learn.epoch ?? -1)
    },
  })
  await learn.fit(4, { startEpoch: 2, cbs: [saver, stopper, watch] })
  t.is(stopper.stoppedEpoch, null)
  t.deepEqual(saved, [3], 'epoch 2 is worse than the best of the fit before')
})

test('epochs cut short have no value, and are passed over', async t => {
  for (const Signal of [CancelEpoch, CancelTrain]) {
    const learn = await inFolder([0.5, 0.4, 0.3])
    const cut = new Callback({
      afterBatch: ({ learn }) => {
        if (learn.epoch === 1 && learn.training) throw new Signal()
      },
    })
    const stopper = new EarlyStopping({ monitor: 'train_loss' })
    await learn.fit(3, { lr: 0.01, cbs: [cut, stopper, new ReduceLROnPlateau({ monitor: 'train_loss' })] })
    t.is(epochs(learn), 3)
  }
})

test('validation and predictions leave trackers alone', async t => {
  const learn = await inFolder([0.5, 0.6])
  const saver = new SaveModel({ monitor: 'my_loss', atEnd: true })
  learn.addCb([saver, new EarlyStopping({ monitor: 'my_loss' })])
  await learn.validate()
  await learn.getPreds()
  t.is(saver.lastSavedPath, null)
  await learn.fit(1)
  t.regex(saver.lastSavedPath ?? '', /model\.safetensors$/)
})

test('misuse is told', async t => {
  const learn = tinyLearner()
  await t.throwsAsync(learn.fit(1, { cbs: new EarlyStopping({ monitor: 'acuracy' }) }), {
    message: /Expected one of train_loss, valid_loss for monitor but received 'acuracy'/,
  })
  t.throws(() => new SaveModel({ everyEpoch: true, atEnd: true }), { message: /exclude each other/ })
  t.throws(() => new EarlyStopping({ patience: 0 }), { message: /EarlyStopping's patience/ })
  t.throws(() => new ReduceLROnPlateau({ factor: 0 }), { message: /ReduceLROnPlateau's factor/ })
  t.throws(() => new SaveModel({ comp: 'np.less' as 'less' }), { message: /less or greater/ })
  await learn.fit(1)
  t.is(epochs(learn), 1)
})
