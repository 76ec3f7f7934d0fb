// A tracker whose value no epoch can have says so when the fit begins, instead of doing nothing.
import { mkdtemp, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import {
  accuracy,
  type Callback,
  EarlyStopping,
  type Learner,
  Recorder,
  ReduceLROnPlateau,
  SaveModel,
  type TrackerOptions,
} from 'torch-learner'
import { tinyBatches, tinyLearner } from './helpers/learning.js'

const trackers: Record<string, (options: TrackerOptions) => Callback> = {
  SaveModel: options => new SaveModel(options),
  EarlyStopping: options => new EarlyStopping(options),
  ReduceLROnPlateau: options => new ReduceLROnPlateau(options),
}

async function unvalidated(valid: 'none' | 'empty' = 'none', recorder?: Recorder): Promise<Learner> {
  const learn = tinyLearner({ metrics: accuracy, path: await mkdtemp(join(tmpdir(), 'trackers-')) })
  learn.dls = valid === 'none' ? { train: tinyBatches(2) } : { train: tinyBatches(2), valid: [] }
  if (recorder) learn.removeCb(Recorder).addCb(recorder)
  return learn
}

for (const [name, make] of Object.entries(trackers)) {
  for (const monitor of [undefined, 'valid_loss', 'accuracy']) {
    test(`${name}, monitor ${monitor}: without a validation set the fit is refused at its start`, async t => {
      for (const valid of ['none', 'empty'] as const) {
        const learn = await unvalidated(valid)
        await t.throwsAsync(learn.fit(2, { cbs: make({ monitor }) }), {
          code: 'ERR_CALLBACK',
          message: new RegExp(
            `Error in ${name} at beforeFit: .*'${monitor ?? 'valid_loss'}', and there is no validation set`,
          ),
        })
        t.is(learn.trainIter, 0)
        learn.dls = { train: tinyBatches(2), valid: tinyBatches(1) }
        await learn.fit(1, { cbs: make({ monitor }) })
      }
    })
  }

  test(`${name}: what training measures can be monitored without a validation set`, async t => {
    const learn = await unvalidated()
    await t.notThrowsAsync(learn.fit(1, { cbs: make({ monitor: 'train_loss' }) }))
    const both = await unvalidated('none', new Recorder({ trainMetrics: true }))
    await t.notThrowsAsync(both.fit(1, { cbs: make({ monitor: 'train_accuracy' }) }))
    await t.throwsAsync(both.fit(1, { cbs: make({ monitor: 'valid_accuracy' }) }), { message: /no validation set/ })
    const training = await unvalidated('none', new Recorder({ trainMetrics: true, validMetrics: false }))
    await t.notThrowsAsync(training.fit(1, { cbs: make({ monitor: 'accuracy' }) }))
  })

  test(`${name}: a metric that the Recorder doesn't measure is refused`, async t => {
    const learn = tinyLearner({ metrics: accuracy })
      .removeCb(Recorder)
      .addCb(new Recorder({ validMetrics: false }))
    await t.throwsAsync(learn.fit(1, { cbs: make({ monitor: 'accuracy' }) }), {
      message: /the Recorder measures no metrics/,
    })
  })
}

test('SaveModel that saves whatever the value needs none', async t => {
  for (const options of [{ everyEpoch: true }, { atEnd: true }]) {
    const learn = await unvalidated()
    await learn.fit(1, { cbs: new SaveModel(options) })
    t.is((await readdir(join(learn.path, 'models'))).length, 1)
  }
})

test('a tracker that stays in the Learner minds no validation of its own set', async t => {
  const learn = await unvalidated()
  learn.addCb(new EarlyStopping())
  const row = await learn.validate({ dl: tinyBatches(1) })
  t.is(row?.length, 2)
})
