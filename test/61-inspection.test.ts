// What a Learner tells of itself: layers, loop; and losses that aren't reduced.
import test from 'ava'
import {
  Callback,
  CancelFit,
  CrossEntropyLossFlat,
  Learner,
  MixUp,
  manualSeed,
  nn,
  PlainRenderer,
  ProgressCallback,
  rng,
  type Tensor,
  tensor,
} from 'torch-learner'
import { tinyBatches, tinyLearner, tinyModel, weightsOf } from './helpers/learning.js'

class Net extends nn.Module {
  conv = new nn.Conv2d(2, 4, 3, { padding: 1 })
  body = new nn.Sequential(new nn.BatchNorm2d(4), new nn.Dropout(0.5), new nn.Flatten(), new nn.Linear(36, 3))
  spare = new nn.Linear(1, 1)
  forward(x: Tensor): Tensor {
    return this.body(this.conv(x))
  }
}

test.serial('summary', async t => {
  manualSeed(1)
  const model = new Net()
  const learn = new Learner({ train: tinyBatches(1, 5) }, model, { lossFunc: new CrossEntropyLossFlat() })
  model.conv.requiresGrad_(false)
  model.train()
  const before = [weightsOf(model), Array.from(rng.getState().dataSync(), Number)]
  const lines = (await learn.summary()).split('\n')
  t.is(lines[0], 'Net (input: 5 x 2 x 3 x 3)')
  const rows = lines.map(line => line.split(/ {2,}/))
  t.deepEqual(rows[2], ['Layer', 'Output shape', 'Parameters', 'Trainable'])
  t.deepEqual(rows.slice(4, 10), [
    ['conv Conv2d', '5 x 4 x 3 x 3', '76', 'no'],
    ['body.0 BatchNorm2d', '5 x 4 x 3 x 3', '8', 'yes'],
    ['body.1 Dropout', '5 x 4 x 3 x 3'],
    ['body.2 Flatten', '5 x 36'],
    ['body.3 Linear', '5 x 3', '111', 'yes'],
    ['spare Linear', 'not used', '2', 'yes'],
  ])
  t.true(lines.includes("Parameters: 197, of which 121 train and 76 don't"))
  t.true(lines.includes('Optimizer: none yet'))
  t.true(lines.includes('Loss: CrossEntropyLossFlat'))
  t.deepEqual([weightsOf(model), Array.from(rng.getState().dataSync(), Number)], before)
  t.true(model.modules().every(module => module.training && !Object.hasOwn(module, 'forward')))
})

test.serial('summary: frozen groups, several outputs, errors', async t => {
  const learn = new Learner({ train: tinyBatches(1) }, new nn.Sequential(new nn.Flatten(), new nn.Linear(18, 3)), {
    lossFunc: (pred: Tensor) => pred.mean(),
    splitter: model => model.parameters().map(parameter => [parameter]),
  })
  learn.freeze()
  const text = await learn.summary()
  t.regex(text, /1 Linear +4 x 3 +57 +in part/)
  t.regex(text, /Adam, 2 parameter groups, 1 of them frozen/)
  await t.throwsAsync(new Learner({ train: [] }, tinyModel(), { lossFunc: new CrossEntropyLossFlat() }).summary(), {
    code: 'ERR_NO_DATA',
  })
  class Broken extends nn.Module {
    forward = (x: Tensor): Tensor => {
      throw new Error(`broken ${typeof x}`)
    }
  }
  const broken = new Broken()
  const { forward } = broken
  await t.throwsAsync(
    new Learner({ train: tinyBatches(1) }, broken, { lossFunc: new CrossEntropyLossFlat() }).summary(),
    { message: 'broken object' },
  )
  t.is(broken.forward, forward)
  t.true(broken.training)
})

test('the loop with the callbacks in it', t => {
  const learn = new Learner({ train: tinyBatches(1) }, tinyModel(), {
    lossFunc: new CrossEntropyLossFlat(),
    cbs: [
      new MixUp(),
      new Callback({ name: 'early', order: -20, beforeBatch: () => undefined, afterCancelFit: () => undefined }),
    ],
  })
  const text = learn.showTrainingLoop()
  const lines = text.split('\n').map(line => line.replace(/ +/g, ' ').trim())
  t.deepEqual(lines.slice(0, 3), [
    'beforeFit TrainEvalCallback, Recorder, ProgressCallback',
    'for each epoch:',
    'beforeEpoch Recorder',
  ])
  t.deepEqual(
    lines.filter(line => line.startsWith('beforeBatch')),
    ['beforeBatch early, MixUp', 'beforeBatch early'],
  )
  t.true(lines.includes('afterCancelFit early, MixUp'))
  t.false(text.includes('afterCancelBatch'))
  t.true(text.indexOf('opt.step()') < text.indexOf('validation, without gradients'))
})

test('losses that are not reduced', async t => {
  const learn = tinyLearner()
  const [pred, y] = [
    tensor([
      [1, 0],
      [0, 3],
    ]),
    tensor([0, 0], { dtype: 'int64' }),
  ]
  t.deepEqual((await learn.lossNotReduced(() => learn.lossFunc(pred, y))).shape, [2])
  t.is(learn.lossFunc.reduction, 'mean')
  await t.throwsAsync(
    learn.lossNotReduced(async () => {
      throw new CancelFit()
    }),
    { instanceOf: CancelFit },
  )
  t.is(learn.lossFunc.reduction, 'mean')
})

/** What is printed while `body` runs. */
async function printed(body: (learn: Learner) => Promise<unknown>): Promise<string> {
  let text = ''
  const learn = tinyLearner()
  const renderer = new PlainRenderer({ write: part => (text += part) })
  learn.addCb(new ProgressCallback({ renderer }))
  await body(learn)
  return text
}

test.serial('a table is shown only when something was measured', async t => {
  const session = (learn: Learner) =>
    learn.session(async () => {
      learn.training = true
      learn.split(tinyBatches(1)[0] ?? [])
      await learn.emit(['beforeTrain', 'beforeBatch'])
    })
  t.is(await printed(session), '')
  t.is(await printed(learn => learn.fit(0)), '')
  t.is((await printed(learn => learn.fit(2))).split('\n').length, 4)
  t.is((await printed(learn => learn.fit(3, { startEpoch: 2 }))).split('\n').length, 3)
})

test.serial('predictions: as the loader gives them, and without targets', async t => {
  const learn = tinyLearner({ batches: [3, 2] })
  t.is((await learn.getPreds({ withTargs: false })).targs, null)
  t.deepEqual((await learn.getPreds({ concatDim: 1, withTargs: false })).preds.shape, [4, 6])
  const asked: unknown[] = []
  const dl = Object.assign(tinyBatches(2), {
    new: (options: object) => {
      asked.push(options)
      return tinyBatches(3)
    },
  })
  t.deepEqual((await learn.getPreds({ dl, reorder: false })).preds.shape, [8, 3])
  t.deepEqual(asked, [])
  t.deepEqual((await learn.getPreds({ dl })).preds.shape, [12, 3])
  t.deepEqual(asked, [{ shuffle: false, dropLast: false }])
  await t.throwsAsync(learn.getPreds({ concatDim: 0.5 }), { code: 'ERR_INVALID_ARG' })
})

test.serial('predictions of several inputs and targets', async t => {
  class Sum extends nn.Module {
    forward(a: Tensor, b: Tensor): Tensor {
      return a.add(b)
    }
  }
  const batch = () => [1, 2, 3, 4].map(value => tensor([[value], [value]]))
  const lossFunc = (pred: Tensor, y: Tensor, z: Tensor) => pred.sub(y).sub(z).mean()
  const learn = new Learner({ train: [], valid: [batch(), batch()], nInp: 2 }, new Sum(), { lossFunc })
  const { preds, targs, otherTargs, inputs, otherInputs } = await learn.getPreds({ withInput: true })
  const parts = [preds, targs, ...(otherTargs ?? []), inputs, ...(otherInputs ?? [])]
  const found = await Promise.all(parts.map(part => part?.flatten().toArray()))
  t.deepEqual(
    found,
    [3, 3, 4, 1, 2].map(value => [value, value, value, value]),
  )
})

test.serial('noBar and noLogging: nothing is shown, and everything is back, however it ends', async t => {
  let shown = ''
  const renderer = new PlainRenderer({
    write: text => {
      shown += text
      return true
    },
  })
  const learn = tinyLearner()
  const rows: unknown[] = []
  const logger = (row: unknown) => void rows.push(row)
  learn.logger = logger
  learn.addCb(new ProgressCallback({ renderer }))
  await learn.noBar(() => learn.fit(1))
  t.deepEqual([shown, rows.length], ['', 1])
  t.is(await learn.noBar(() => learn.noLogging(() => learn.fit(1).then(() => 7))), 7)
  t.deepEqual([shown, rows.length], ['', 1])
  await t.throwsAsync(learn.noBar(() => learn.noLogging(() => Promise.reject(new Error('of the user')))))
  t.is(learn.logger, logger)
  await learn.fit(1)
  t.true(shown.length > 0)
})

test.serial('before a fit: the loss moves with the model, and a recurrent model forgets', async t => {
  class Recurrent extends nn.Module {
    fc = new nn.Linear(18, 3)
    resets = 0
    reset(): void {
      this.resets += 1
    }
    forward(x: Tensor): Tensor {
      return this.fc(x.flatten(1))
    }
  }
  const model = new Recurrent()
  const lossFunc = new CrossEntropyLossFlat({ weight: [1, 2, 3] })
  const moved: unknown[] = []
  const to = lossFunc.to.bind(lossFunc)
  lossFunc.to = target => {
    moved.push(target)
    return to(target)
  }
  const learn = new Learner({ train: tinyBatches(1), valid: tinyBatches(1) }, model, { lossFunc })
  learn.silent = true
  learn.logger = () => undefined
  await learn.fit(2)
  await learn.validate()
  t.deepEqual([model.resets, moved], [2, [{ device: 'cpu' }, { device: 'cpu' }]])
})

test.serial('freezing everything is told', async t => {
  const warnings: Error[] = []
  const note = (warning: Error) => void warnings.push(warning)
  process.on('warning', note)
  const learn = tinyLearner()
  learn.freezeTo(0)
  learn.freezeTo(1)
  await new Promise(resolve => setImmediate(resolve))
  process.off('warning', note)
  t.deepEqual(
    warnings.map(({ message }) => /freezeTo\(1\) freezes all 1 parameter groups/.test(message)),
    [true],
  )
  t.true(learn.model.parameters().every(parameter => !parameter.requiresGrad))
})
