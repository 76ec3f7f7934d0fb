// Losses with and without their reduction: what mixing needs to weigh sample by sample.
import test from 'ava'
import { type LossFunction, noneReduce, reduce_loss, reduceLoss, type Tensor, tensor } from 'torch-learner'
import { withReduction } from '../dist/mix/index.js'
import { assertClose, type Fixture, golden, toTensor } from './helpers/golden.js'
import { functionLoss, type LossFixture, lossOf } from './helpers/losses.js'

interface ReduceCase {
  loss: Fixture
  reduction: string | null
  out: Fixture
}

interface NoneReduceCase {
  loss: LossFixture
  pred: Fixture
  y: Fixture
  before?: string
  inside?: string
  after?: string
  value_inside: Fixture
  yields_same_object: boolean
}

test('reduceLoss: mean, sum, and anything else untouched (golden)', async t => {
  for (const { loss, reduction, out } of golden<{ cases: ReduceCase[] }>('reduce_loss').cases) {
    const input = toTensor(loss)
    const result = reduction === null ? reduceLoss(input) : reduceLoss(input, reduction)
    await assertClose(t, result, out, {}, `${reduction}`)
    if (reduction !== null && !['mean', 'sum'].includes(reduction)) t.is(result, input)
  }
})

test('reduce_loss is fastai’s spelling of it', t => {
  t.is(reduce_loss, reduceLoss)
  t.throws(() => Reflect.apply(reduceLoss, null, [3]), {
    code: 'ERR_INVALID_ARG',
    message: /a tensor for loss .* 3 of/,
  })
})

test('noneReduce: unreduced inside, as before afterwards (golden)', async t => {
  for (const c of golden<{ cases: NoneReduceCase[] }>('none_reduce').cases) {
    const loss = lossOf(c.loss)
    const [pred, y] = [toTensor(c.pred), toTensor(c.y)]
    t.is(loss.reduction, c.before)
    const value = noneReduce(loss, unreduced => {
      t.is(unreduced === loss, c.yields_same_object)
      t.is(unreduced.reduction, c.inside)
      return unreduced(pred, y)
    })
    await assertClose(t, value, c.value_inside, {}, c.loss.name)
    t.is(loss.reduction, c.after)
  }
})

test('noneReduce puts the reduction back after an error, sync or async', async t => {
  const loss = lossOf({ name: 'CrossEntropyLossFlat', kwargs: { reduction: 'sum' } })
  t.throws(
    () =>
      noneReduce(loss, () => {
        throw new Error('stop')
      }),
    { message: 'stop' },
  )
  t.is(loss.reduction, 'sum')
  const pending = noneReduce(loss, async () => {
    await Promise.resolve()
    t.is(loss.reduction, 'none')
    throw new Error('later')
  })
  await t.throwsAsync(pending, { message: 'later' })
  t.is(loss.reduction, 'sum')
})

test('a reduction of null is null again, where fastai leaves it at none', t => {
  const loss: LossFunction = (pred: Tensor) => pred
  loss.reduction = null
  t.is(
    noneReduce(loss, unreduced => unreduced.reduction),
    'none',
  )
  t.is(loss.reduction, null)
})

test('withReduction: by property, or by another function in its place', async t => {
  const holder: { lossFunc: LossFunction } = { lossFunc: lossOf({ name: 'CrossEntropyLossFlat' }) }
  const [pred, y] = [tensor([[1, 2]]), tensor([1], { dtype: 'int64' })]
  t.deepEqual(
    withReduction(holder, 'none', () => holder.lossFunc(pred, y).shape),
    [1],
  )
  t.is(holder.lossFunc.reduction, 'mean')
  holder.lossFunc = functionLoss
  await withReduction(holder, 'none', async () => {
    await Promise.resolve()
    t.deepEqual(holder.lossFunc(pred, y).shape, [1])
  })
  t.is(holder.lossFunc, functionLoss)
})

test('noneReduce needs a loss', t => {
  t.throws(() => Reflect.apply(noneReduce, null, [{}, () => 0]), {
    code: 'ERR_INVALID_ARG',
    message: /a loss for lossFunc/,
  })
})
