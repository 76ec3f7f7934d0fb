// What fails while a run ends: neither hides what ended it, nor goes unhandled, nor leaves the Learner at work.
import test, { type ExecutionContext } from 'ava'
import { Callback, CancelTrain, type Learner, type Tensor } from 'torch-learner'
import { shortly } from './helpers/failures.js'
import { tinyBatches, tinyLearner } from './helpers/learning.js'

// an AbortSignal's reason is a DOMException, which ava takes for anything but an error
const aborted = { any: true, name: 'AbortError' } as const

/** The warnings that come while `body` runs, and the rejections that nobody handles. */
async function noticed(body: () => Promise<unknown>): Promise<{ warnings: string[]; unhandled: unknown[] }> {
  const [warnings, unhandled]: [string[], unknown[]] = [[], []]
  const warn = (warning: Error) => void warnings.push(warning.message)
  const miss = (reason: unknown) => void unhandled.push(reason)
  process.on('warning', warn)
  process.on('unhandledRejection', miss)
  try {
    await body()
    await shortly()
  } finally {
    process.off('warning', warn)
    process.off('unhandledRejection', miss)
  }
  return { warnings, unhandled }
}

/** Batches whose pass can't be ended early without an error. */
function stuck(fail: () => Promise<IteratorResult<Tensor[]>>) {
  const batches = tinyBatches(4)
  return {
    length: batches.length,
    [Symbol.asyncIterator]: (): AsyncIterator<Tensor[]> => {
      let next = 0
      return {
        next: async () => (next < batches.length ? { value: batches[next++] } : { value: undefined, done: true }),
        return: fail,
      }
    },
  }
}

const closing: Record<string, () => Promise<IteratorResult<Tensor[]>>> = {
  rejects: async () => {
    await new Promise(resolve => setTimeout(resolve, 10))
    throw new Error('cannot close')
  },
  throws: () => {
    throw new Error('cannot close')
  },
}

for (const [how, fail] of Object.entries(closing)) {
  test.serial(`a loader whose return() ${how}: the run ends as it would, and a warning tells`, async t => {
    const learn = tinyLearner()
    learn.dls = { train: stuck(fail), valid: tinyBatches(1) }
    const controller = new AbortController()
    const stop = new Callback({ afterBatch: ({ learn }) => void (learn.iter === 1 && controller.abort()) })
    const abort = await noticed(() => t.throwsAsync(learn.fit(1, { cbs: stop, signal: controller.signal }), aborted))
    t.deepEqual(abort.unhandled, [])
    t.is(abort.warnings.filter(text => text.includes('cannot close')).length, 1)
    const cancel = new Callback({
      runValid: false,
      afterBatch: () => {
        throw new CancelTrain()
      },
    })
    const cut = await noticed(() => learn.fit(1, { cbs: cancel }))
    t.deepEqual(cut.unhandled, [])
    t.is(cut.warnings.filter(text => text.includes('cannot close')).length, 1)
    const error = await noticed(() => t.throwsAsync(learn.fit(1, { cbs: failing() }), { message: /of the user/ }))
    t.is(error.warnings.length, 1)
    await learn.fit(1)
  })
}

function failing(): Callback {
  return new Callback({
    afterBatch: () => {
      throw new Error('of the user')
    },
  })
}

/** Fails in one of its methods, once. */
class Sticky extends Callback {
  left = 1
  constructor(readonly where: 'detach' | 'cleanup' | 'attach') {
    super()
  }
  #fail(where: string): void {
    if (where === this.where && this.left-- > 0) throw new Error(`stuck in ${where}`)
  }
  override attach(learn: Learner): void {
    super.attach(learn)
    this.#fail('attach')
  }
  override detach(learn: Learner): void {
    this.#fail('detach')
    super.detach(learn)
  }
  override cleanup(): void {
    this.#fail('cleanup')
  }
}

async function usable(t: ExecutionContext, learn: Learner, callbacks: number): Promise<void> {
  t.false(learn.isRunning)
  t.is(learn.cbs.length, callbacks)
  await learn.fit(1)
  await learn.validate()
}

for (const where of ['detach', 'cleanup'] as const) {
  test.serial(`a callback whose ${where} throws: the error names it, and the Learner is usable`, async t => {
    const learn = tinyLearner()
    const before = learn.cbs.length
    const complaint = { code: 'ERR_CALLBACK', message: `Error in Sticky at ${where}: stuck in ${where}` }
    const seen: string[] = []
    const other = new Callback({ name: 'other' })
    other.detach = () => void seen.push('other')
    await t.throwsAsync(learn.fit(1, { cbs: [new Sticky(where), other] }), complaint)
    t.deepEqual(seen, ['other'])
    await usable(t, learn, before)
    await t.throwsAsync(learn.getPreds({ cbs: new Sticky(where) }), complaint)
    await t.throwsAsync(learn.validate({ cbs: new Sticky(where) }), complaint)
    await usable(t, learn, before)
  })

  test.serial(`a fit that fails says why, also when ${where} fails after it`, async t => {
    const learn = tinyLearner()
    const before = learn.cbs.length
    const { warnings } = await noticed(() =>
      t.throwsAsync(learn.fit(1, { cbs: [new Sticky(where), failing()] }), { message: /of the user/ }),
    )
    t.true(warnings.some(text => text.includes(`stuck in ${where}`)))
    await usable(t, learn, before)
  })
}

test.serial('addedCbs and removedCbs: callbacks are where they were, and the error is that of the body', async t => {
  const learn = tinyLearner()
  const before = learn.cbs.length
  const body = () => {
    throw new Error('of the body')
  }
  const { warnings } = await noticed(() =>
    t.throwsAsync(learn.addedCbs(new Sticky('detach'), body), { message: 'of the body' }),
  )
  t.true(warnings.some(text => text.includes('stuck in detach')))
  await t.throwsAsync(
    learn.addedCbs(new Sticky('detach'), () => 1),
    { code: 'ERR_CALLBACK' },
  )
  await usable(t, learn, before)
  learn.addCb(new Sticky('detach'))
  await t.throwsAsync(
    learn.removedCbs(Sticky, () => 1),
    { message: /stuck in detach/ },
  )
  t.is(learn.cbs.length, before + 1)
})

test('a callback that refuses to be attached: the others of the call are free again', async t => {
  const learn = tinyLearner()
  const before = learn.cbs.length
  const first = new Callback({ name: 'first' })
  await t.throwsAsync(learn.fit(1, { cbs: [first, new Sticky('attach')] }), { message: /stuck in attach/ })
  t.throws(() => first.learn, { code: 'ERR_STATE' })
  await usable(t, learn, before)
})
