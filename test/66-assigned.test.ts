// What is assigned to a Learner's fields is checked at that moment, by name.
import test from 'ava'
import { Adam, AvgMetric, accuracy, Callback, Learner, nn, ones, SGD, TorchLearnerError, tensor } from 'torch-learner'
import { tinyBatches, tinyLearner } from './helpers/learning.js'

const fields = [
  ...['xb', 'yb', 'output', 'pred', 'preds', 'lossGrad', 'loss', 'mixed', 'softTargets', 'bs', 'dl', 'dls', 'training'],
  ...['epoch', 'nEpoch', 'iter', 'nIter', 'trainIter', 'pctTrain', 'smoothLoss', 'finalRecord', 'autocast', 'silent'],
  ...['logger', 'lossFunc', 'optFunc', 'opt', 'lr', 'wd', 'moms', 'splitter', 'metrics', 'path', 'modelDir', 'model'],
]

for (const name of fields) {
  test(`learn.${name}: junk is refused by name, and the value stays`, t => {
    const learn = tinyLearner({ metrics: accuracy })
    const before: unknown = Reflect.get(learn, name)
    // an array is a loader, of whatever batches
    for (const junk of [Symbol('x'), undefined, { a: 1 }, ...(name === 'dl' ? [] : [[Symbol('y')]])]) {
      const error = t.throws(
        () => {
          Reflect.set(learn, name, junk)
        },
        { instanceOf: TorchLearnerError, code: 'ERR_INVALID_ARG' },
      )
      t.regex(error?.message ?? '', new RegExp(`for (learn\\.)?${name} but received`))
    }
    t.deepEqual(Reflect.get(learn, name), before)
  })
}

test('what can only be read says what to do', t => {
  const learn = tinyLearner()
  for (const [name, remedy] of [
    ['x', 'learn.xb'],
    ['y', 'learn.yb'],
    ['cbs', 'addCb'],
    ['recorder', 'addCb'],
    ['isRunning', 'at work'],
    ['purpose', 'method that is called'],
  ]) {
    t.throws(() => Reflect.set(learn, name, []), {
      code: 'ERR_STATE',
      message: new RegExp(`learn\\.${name} .*${remedy}`),
    })
  }
})

test('junk that a callback assigns is the error of that callback, and the Learner is usable', async t => {
  const learn = tinyLearner()
  for (const name of ['xb', 'yb', 'lossGrad', 'loss', 'pred', 'lossFunc', 'opt']) {
    const spoil = new Callback({ name: 'spoil', afterLoss: ({ learn }) => void Reflect.set(learn, name, 'junk') })
    await t.throwsAsync(learn.fit(1, { cbs: spoil }), {
      code: 'ERR_CALLBACK',
      message: new RegExp(`Error in spoil at afterLoss: .*learn\\.${name}`),
    })
    await learn.fit(1)
  }
})

test('right values are taken, as they are', async t => {
  const learn = tinyLearner()
  const x = [ones([4, 2, 3, 3])]
  learn.xb = x
  t.is(learn.xb, x)
  learn.metrics = accuracy
  t.true(learn.metrics[0] instanceof AvgMetric)
  learn.metrics = [accuracy, new AvgMetric(accuracy, 'other')]
  learn.lossFunc = new nn.CrossEntropyLoss()
  learn.opt = new SGD(learn.model.parameters(), { lr: 0.1 })
  learn.opt = null
  learn.optFunc = (groups, { lr }) => new Adam(groups, { lr })
  learn.lr = Float32Array.of(1e-3)
  learn.wd = null
  learn.dls = { train: tinyBatches(1) }
  learn.loss = tensor(1)
  learn.loss = null
  learn.output = [tensor(1), tensor(2)]
  learn.autocast = 'bfloat16'
  learn.autocast = null
  await learn.fit(1)
  t.true(learn instanceof Learner)
  t.true(learn.opt !== null)
})
