// Curves of a training: losses, schedules, metrics.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { accuracy, errorRate, Recorder } from 'torch-learner'
import { tinyLearner } from './helpers/learning.js'
import { coded, temporaryFolder } from './helpers/pictures.js'

const texts = async (file: string) =>
  [...(await readFile(file, 'utf8')).matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => text)

test.serial('losses, schedule, metrics', async t => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'a.svg')
  const learn = tinyLearner({ metrics: [accuracy, errorRate] })
  await learn.fitOneCycle(3, { lrMax: 0.01 })
  const { recorder } = learn
  t.is(await recorder.plotLoss({ file, skipStart: 1 }), file)
  const loss = await texts(file)
  for (const text of ['Loss', 'train', 'valid', 'iteration', 'loss']) t.true(loss.includes(text), text)
  t.is((await readFile(file, 'utf8')).match(/<circle/g)?.length, 3, 'a dot at each epoch’s end')
  t.false((await texts(await recorder.plotLoss({ file, skipStart: 1, withValid: false }))).includes('valid'))
  t.regex((await texts(await recorder.plotLoss({ file, skipStart: 0, log: true }))).join(), /\de-\d|,1,/)
  const sched = await texts(await recorder.plotSched({ file }))
  for (const text of ['Schedule', 'learning rate', 'momentum']) t.true(sched.includes(text), text)
  t.false((await texts(await recorder.plotSched({ file, keys: ['mom'] }))).includes('learning rate'))
  const metrics = await texts(await recorder.plotMetrics({ file, title: 'How it went', theme: 'dark' }))
  for (const text of ['How it went', 'train_loss', 'valid_loss', 'accuracy', 'error_rate', 'epoch', '1', '2', '3']) {
    t.true(metrics.includes(text), text)
  }
  t.false(metrics.includes('1.5'))
})

test.serial('validations and predictions leave the curves of the training', async t => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'a.svg')
  const learn = tinyLearner({ metrics: accuracy })
  await learn.fitOneCycle(2, { lrMax: 0.01 })
  const { recorder } = learn
  const { losses } = recorder
  const plots = async () => [
    await texts(await recorder.plotLoss({ file, skipStart: 0 })),
    await texts(await recorder.plotSched({ file })),
    await texts(await recorder.plotMetrics({ file })),
  ]
  const drawn = await plots()
  await learn.validate()
  await learn.getPreds()
  t.is(recorder.training.losses, losses)
  t.deepEqual(await plots(), drawn)
  await learn.fit(1)
  t.is(recorder.training, recorder)
})

test.serial('without a schedule, a validation loss, metrics', async t => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'a.svg')
  const learn = tinyLearner()
  await learn.fit(1, { lr: 0.1, cbs: new Recorder({ validMetrics: false }) })
  await learn.fit(1, { lr: 0.1 })
  t.true((await texts(await learn.recorder.plotSched({ file }))).includes('learning rate'))
  t.true((await texts(await learn.recorder.plotLoss({ file, skipStart: 0 }))).includes('train'))
})

test('nothing to draw; misuse', async t => {
  const { recorder } = tinyLearner()
  for (const plot of ['plotLoss', 'plotSched', 'plotMetrics'] as const) {
    await coded(t, () => recorder[plot](), 'ERR_NO_DATA', new RegExp(`${plot}: nothing has been recorded; train first`))
    await coded(t, () => Reflect.apply(recorder[plot], recorder, [{ flie: 1 }]), 'ERR_INVALID_ARG', /flie/)
  }
  recorder.losses = [1, 2]
  recorder.lrs = [1, 2]
  await coded(t, () => recorder.plotLoss(), 'ERR_NO_DATA', /nothing has been recorded after the first 2 batches/)
  await coded(t, () => recorder.plotSched({ keys: ['mom'] }), 'ERR_INVALID_ARG', /mom was not scheduled, only lr/)
  await coded(t, () => recorder.plotLoss({ skipStart: -1 }), 'ERR_INVALID_ARG', /a whole number from 0/)
})
