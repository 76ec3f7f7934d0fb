// A pass in the middle of a fit leaves each module's mode as it was, and a run leaves what others use alone.
import test from 'ava'
import {
  BnFreeze,
  Callback,
  CrossEntropyLossFlat,
  FetchPreds,
  Learner,
  type Loss,
  MixUp,
  nn,
  noneReduce,
  ProgressCallback,
  type Tensor,
  tensor,
} from 'torch-learner'
import { bnLearner, tinyBatches, tinyLearner, tinyModel, weightsOf } from './helpers/learning.js'

const modes = (learn: Learner) => learn.model.modules().map(module => module.training)

test('an inner pass in a training batch leaves frozen statistics alone', async t => {
  const learn = bnLearner([new BnFreeze()], false)
  learn.freeze()
  const norm = learn.model.modules().find(module => module instanceof nn.BatchNorm2d) as nn.BatchNorm2d
  const before = await norm.runningMean?.toArray()
  const peek = new Callback({
    runValid: false,
    afterBatch: async ({ learn }) => {
      await learn.getPreds({ inner: true })
      t.false(norm.training)
    },
  })
  await learn.fit(1, { cbs: [peek, new FetchPreds()] })
  t.deepEqual(await norm.runningMean?.toArray(), before)
})

test('inner passes leave every mode as it was, also when they fail', async t => {
  const learn = tinyLearner()
  const dropout = new nn.Dropout(0.5)
  const model = new nn.Sequential(...tinyModel(), dropout)
  const other = new Learner(learn.dls, model, { lossFunc: new CrossEntropyLossFlat(), defaultCbs: true })
  other.removeCb(ProgressCallback).logger = () => undefined
  const seen: boolean[][] = []
  const sleep = new Callback({
    beforeTrain: () => void dropout.eval(),
    afterBatch: async ({ learn }) => {
      const before = modes(learn)
      await learn.getPreds({ inner: true, dsIdx: 0 })
      seen.push(before, modes(learn))
      await t.throwsAsync(learn.getPreds({ inner: true, dl: [] }), { code: 'ERR_NO_DATA' })
      const bad = [[tensor([1]), tensor([1])]]
      await t.throwsAsync(learn.getPreds({ inner: true, dl: bad }))
      t.deepEqual(modes(learn), before)
    },
    runValid: false,
  })
  await other.fit(1, { cbs: sleep })
  t.is(seen.length, 4)
  for (let i = 0; i < seen.length; i += 2) {
    t.deepEqual(seen[i + 1], seen[i])
    t.deepEqual(seen[i], [true, true, true, false])
  }
})

test('outside of a fit an inner pass leaves the modes too', async t => {
  const learn = tinyLearner()
  learn.model.train()
  await learn.getPreds({ inner: true })
  t.true(modes(learn).every(Boolean))
})

test('an inner pass with losses in training under MixUp', async t => {
  const learn = tinyLearner()
  const shapes: number[][] = []
  const peek = new Callback({
    runValid: false,
    afterBatch: async ({ learn }) => {
      const { losses } = await learn.getPreds({ inner: true, withLoss: true })
      shapes.push(losses?.shape ?? [])
    },
  })
  await learn.fit(1, { cbs: [new MixUp(), peek] })
  t.deepEqual(shapes, [[4], [4]])
})

/** Trains `learn` and writes down each batch's loss, its number of dimensions first. */
async function trained(learn: Learner, epochs: number): Promise<[number, number][]> {
  const seen: Promise<[number, number]>[] = []
  const look = new Callback({
    runValid: false,
    afterBatch: ({ learn }) => {
      const loss = learn.loss?.clone().keep() as Tensor
      seen.push(loss.data().then(([value]) => [loss.ndim, Number(value)]))
    },
  })
  await learn.fit(epochs, { cbs: look })
  return Promise.all(seen)
}

test('two Learners share a loss: one gathers losses of single samples while the other trains', async t => {
  const shared = new CrossEntropyLossFlat()
  const alone = await trained(tinyLearner({ lossFunc: new CrossEntropyLossFlat() }), 8)
  const [a, b] = [tinyLearner({ lossFunc: shared }), tinyLearner({ lossFunc: shared })]
  let over = false
  const gather = async () => {
    let passes = 0
    while (!over) {
      const { losses } = await b.getPreds({ dl: tinyBatches(3), withLoss: true })
      t.deepEqual(losses?.shape, [12])
      passes += 1
    }
    return passes
  }
  const gathering = gather()
  const together = await trained(a, 8).finally(() => {
    over = true
  })
  t.true((await gathering) > 0)
  t.deepEqual(
    together.map(([ndim]) => ndim),
    together.map(() => 0),
  )
  t.is(together.length, alone.length)
  t.is(shared.reduction, 'mean')
  t.is(a.lossFunc, shared)
  t.is(b.lossFunc, shared)
})

test('losses of single samples from a loss with private fields, and its decodes', async t => {
  class Odd extends CrossEntropyLossFlat {
    #scale = 2
    override activation(pred: Tensor): Tensor {
      return pred.mul(this.#scale)
    }
  }
  const lossFunc: Loss = new Odd()
  const learn = tinyLearner({ lossFunc })
  const { losses, preds, decoded } = await learn.getPreds({ withLoss: true, withDecoded: true })
  t.deepEqual([losses?.shape, preds.shape, decoded?.shape], [[4], [4, 3], [4]])
  await learn.lossNotReduced(async () => {
    t.true(learn.lossFunc instanceof nn.Module)
    t.is(learn.lossFunc.reduction, 'none')
    t.is(lossFunc.reduction, 'mean')
    await learn.validate()
  })
})

test('noneReduce twice at once: the last one puts the reduction back', async t => {
  const loss: Loss = new CrossEntropyLossFlat({ reduction: 'sum' })
  const wait = (ms: number) => noneReduce(loss, () => new Promise(resolve => setTimeout(resolve, ms)))
  await Promise.all([wait(10), wait(60)])
  t.is(loss.reduction, 'sum')
  await Promise.all([wait(60), wait(10)])
  t.is(loss.reduction, 'sum')
})

test('createOpt during a fit is refused, and the fit goes on with its optimizer', async t => {
  const learn = tinyLearner()
  const before = learn.createOpt()
  const meddle = (event: 'beforeFit' | 'afterBatch' | 'afterFit') =>
    new Callback({
      [event]: ({ learn }: Callback) =>
        void t.throws(() => learn.createOpt(), { code: 'ERR_STATE', message: /createOpt: a fit is under way/ }),
    })
  await learn.fit(1, { cbs: [meddle('beforeFit'), meddle('afterBatch'), meddle('afterFit')] })
  t.is(learn.opt, before)
  const weights = weightsOf(learn.model)
  t.not(learn.createOpt(), before)
  await learn.fit(1, { resetOpt: true })
  t.notDeepEqual(weightsOf(learn.model), weights)
  await learn.session(() => void learn.createOpt()) // by hand it is the caller's affair
})
