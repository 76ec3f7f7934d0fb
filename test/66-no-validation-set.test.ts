// Whoever measures on a validation set that isn't there hears of it; a fit needs none.
import test from 'ava'
import { accuracy } from 'torch-learner'
import { tinyBatches, tinyLearner } from './helpers/learning.js'

function learner(valid?: []) {
  const learn = tinyLearner({ metrics: accuracy })
  learn.dls = { train: tinyBatches(2), ...(valid && { valid }) }
  return learn
}

const none = {
  code: 'ERR_INVALID_ARG',
  message:
    "Expected 0, the training set, for dsIdx but received 1 of type number. There is no validation set: give the Learner's data one (dls.valid), or pass a loader as dl",
}

test('without a validation set', async t => {
  const learn = learner()
  await t.throwsAsync(learn.validate(), none)
  await t.throwsAsync(learn.getPreds(), none)
  await t.throwsAsync(learn.tta(), none)
  await t.throwsAsync(learn.showResults(), none)
})

test('with an empty one', async t => {
  const learn = learner([])
  const empty = { code: 'ERR_NO_DATA', message: 'The validation set has no batches' }
  await t.throwsAsync(learn.validate(), empty)
  await t.throwsAsync(learn.getPreds(), empty)
  const given = { code: 'ERR_NO_DATA', message: 'The loader in dl has no batches' }
  await t.throwsAsync(learn.validate({ dl: [] }), given)
})

test('the training set, another loader and a fit need none', async t => {
  const learn = learner()
  await learn.fit(1)
  t.deepEqual(learn.recorder.values.length, 1)
  t.is((await learn.validate({ dsIdx: 0 }))?.length, 2)
  t.true(Number.isFinite((await learn.validate({ dl: tinyBatches(1) }))?.[0]))
  t.is((await learn.getPreds({ dsIdx: 0 })).preds.shape[0], 8)
})
