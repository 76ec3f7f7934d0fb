import test from 'ava'
import {
  Callback,
  type CallbackHandlers,
  type Learner,
  noGrad,
  ones,
  onUnreadError,
  randn,
  synchronize,
  type TorchLearnerError,
  zeros,
} from 'torch-learner'
import { endOf, failing, failureLearner as learner, turn } from './helpers/failures.js'

// A fit in which something was left undone rejects, whoever else was told of the cause, and when.

test.serial('what a fit leaves undone because of a failure that others were told of', async t => {
  const told = failing().keep()
  t.is((await endOf(told.data()))?.code, 'ERR_OP_FAILED')
  const total = zeros([2, 2]).keep()
  const undone: Record<string, CallbackHandlers> = {
    'the backward pass': {
      beforeBackward({ learn }) {
        learn.lossGrad = learn.lossGrad?.mul(told.sum()) ?? null
      },
    },
    'a sum of its own': { afterBatch: () => void total.add_(told) },
    'a parameter': {
      afterStep({ learn }) {
        const [weight] = learn.model.parameters()
        noGrad(() => weight.add_(told))
      },
    },
  }
  for (const [what, methods] of Object.entries(undone)) {
    const learn = learner({ cbs: new Callback({ name: 'Mine', ...methods }) })
    const before = await learn.model.parameters()[0].clone().toArray()
    const error = await endOf(learn.fit(1))
    const own = (error?.code === 'ERR_CALLBACK' ? error.cause : error) as TorchLearnerError | null
    t.is(own?.code, 'ERR_OP_FAILED', what)
    t.regex(own?.message ?? '', /mat1 and mat2/, what)
    if (what === 'the backward pass') t.deepEqual(await learn.model.parameters()[0].toArray(), before)
    learn.removeCb([...learn.cbs].filter(callback => callback.name === 'Mine'))
    t.is(await endOf(learn.fit(1)), null, `${what}: the next fit`)
    t.is(await endOf(learn.validate()), null, what)
  }
})

test.serial('a failure that a callback has read and let pass, with what depends on it left undone', async t => {
  const swallowing = new Callback({
    async beforeBackward({ learn }) {
      const bad = failing()
      await bad.data().catch(() => undefined)
      learn.lossGrad = learn.lossGrad?.mul(bad.sum()) ?? null
    },
  })
  t.is((await endOf(learner({ cbs: swallowing }).fit(1)))?.code, 'ERR_OP_FAILED')
})

test.serial('a parameter that a fit has failed to change is read by others first', async t => {
  class Spoils extends Callback {
    spoilt = false
    override async afterStep() {
      if (this.spoilt) return
      this.spoilt = true
      const [weight] = this.learn.model.parameters()
      noGrad(() => weight.add_(randn([7, 7])))
      for (let i = 0; i < 20; i++) await turn() // the others come to read
    }
  }
  const readers: Record<string, (learn: Learner) => Promise<unknown>> = {
    'a monitor': learn => learn.model.parameters()[0].sum().item(),
    'the model in a service': learn => noGrad(() => learn.model(ones([2, 8]))).data(),
  }
  for (const [who, read] of Object.entries(readers)) {
    let rejected = 0
    for (let i = 0; i < 5; i++) {
      const learn = learner()
      let over = false
      const fit = endOf(learn.fit(4, { cbs: new Spoils() })).finally(() => {
        over = true
      })
      do {
        if (await endOf(read(learn))) rejected++
        await turn()
      } while (!over)
      const error = await fit
      t.regex(error?.message ?? '', /aten::add_.*Spoils at afterStep/, who)
      t.is(await endOf(read(learn)), null, `${who}: the fit has told of it`)
    }
    t.true(rejected > 0, who)
  }
})

test.serial('whoever has heard of a failed fit need not hear of it again', async t => {
  const unread: string[] = []
  const stop = onUnreadError(error => unread.push(error.message))
  const told = failing().keep()
  await endOf(told.data())
  for (let i = 0; i < 5; i++) {
    const learn = learner({ cbs: new Callback({ afterBatch: () => void zeros([2, 2]).add_(told) }) })
    t.is((await endOf(learn.fit(2)))?.code, 'ERR_OP_FAILED')
  }
  await synchronize()
  await turn()
  stop()
  t.deepEqual(unread, [])
})
