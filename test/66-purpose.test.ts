// A run says what it is for: what a callback sees at each event of whatever runs.
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import {
  accuracy,
  BatchTransform,
  Callback,
  DataLoader,
  DataLoaders,
  EarlyStopping,
  FetchPreds,
  type Learner,
  type RunPurpose,
  rand,
  randint,
  randn,
  type Tensor,
  TensorDataset,
  tensor,
} from 'torch-learner'
import { spy, tinyBatches, tinyLearner } from './helpers/learning.js'
import { temporaryFolder } from './helpers/pictures.js'

type Seen = RunPurpose | null

/** A Learner, and a callback's view: the purposes that it sees, without repetitions in a row. */
function watched(): { learn: Learner; seen: () => Seen[] } {
  const all: Seen[] = []
  const see = spy((_, learn) => all.push(learn.purpose))
  class Last extends Callback {
    override cleanup(): void {
      all.push(this.learn.purpose)
    }
  }
  const learn = tinyLearner({ cbs: [see, new Last()] })
  all.length = 0
  return { learn, seen: () => all.filter((one, i) => i === 0 || one !== all[i - 1]) }
}

class Identity extends BatchTransform {
  encodes(x: Tensor): Tensor {
    return x
  }
}

/** Pictures of as many values as the model takes, from a loader with transforms. */
function withPictures(learn: Learner): Learner {
  const set = new TensorDataset(rand([4, 3, 2, 3]), randint(0, 3, [4]))
  const loader = () => new DataLoader(set, { bs: 2, batchTfms: [new Identity()] })
  learn.dls = new DataLoaders(loader(), loader())
  return learn
}

const RUNS: Record<string, [Seen, (learn: Learner, folder: string) => Promise<unknown>]> = {
  fit: ['fit', learn => learn.fit(2)],
  fitOneCycle: ['fit', learn => learn.fitOneCycle(1)],
  fitFlatCos: ['fit', learn => learn.fitFlatCos(1)],
  fitSgdr: ['fit', learn => learn.fitSgdr(1, 1)],
  fineTune: ['fit', learn => learn.fineTune(1)],
  lrFind: ['find', learn => learn.lrFind({ numIt: 12 })],
  validate: ['validate', learn => learn.validate()],
  'validate of the training set': ['validate', learn => learn.validate({ dsIdx: 0 })],
  getPreds: ['predict', learn => learn.getPreds()],
  predict: ['predict', learn => learn.predict(tensor(Array(18).fill(0.5)).reshape([2, 3, 3]))],
  tta: ['predict', learn => withPictures(learn).tta({ n: 2 })],
  showResults: ['predict', (learn, at) => withPictures(learn).showResults({ file: join(at, 'x.svg') })],
  session: [null, learn => learn.session(async () => await learn.emit('beforeTrain'))],
}

for (const [name, [purpose, run]] of Object.entries(RUNS)) {
  test.serial(`${name}: its purpose is ${purpose} at every event, and afterwards null`, async t => {
    const { learn, seen } = watched()
    t.is(learn.purpose, null)
    await run(learn, await temporaryFolder(t))
    t.deepEqual(seen(), [purpose])
    t.is(learn.purpose, null)
  })
}

test.serial('a session that await using closes has no purpose', async t => {
  const { learn, seen } = watched()
  {
    await using _open = await learn.session()
    t.is(learn.purpose, null)
  }
  t.deepEqual(seen(), [null])
})

/** Purposes around a pass in `event`, and within it. */
async function around(t: ExecutionContext, inner: (learn: Learner) => Promise<unknown>): Promise<Seen[]> {
  const { learn, seen } = watched()
  const peek = new Callback({
    async afterEpoch({ learn }) {
      await inner(learn)
      t.is(learn.purpose, 'fit')
      t.is(learn.fitting, 'yes')
    },
  })
  await learn.fit(1, { cbs: peek })
  t.is(learn.purpose, null)
  return seen()
}

test.serial('a pass within a fit is for predictions while it lasts, however it ends', async t => {
  const pass = (learn: Learner) => learn.getPreds({ inner: true })
  t.deepEqual(await around(t, pass), ['fit', 'predict', 'fit'])
  const failing = new Callback({ beforeBatch: () => Promise.reject(new Error('of the user')) })
  const failed = (learn: Learner) => t.throwsAsync(learn.getPreds({ inner: true, cbs: failing }))
  t.deepEqual(await around(t, failed), ['fit', 'predict', 'fit'])
})

test.serial('FetchPreds predicts within the fit', async t => {
  const { learn, seen } = watched()
  await learn.fit(1, { cbs: new FetchPreds() })
  t.deepEqual(seen(), ['fit', 'predict', 'fit'])
})

test.serial('a pass within nothing is for predictions too', async t => {
  const { learn, seen } = watched()
  await learn.getPreds({ inner: true })
  t.deepEqual(seen(), ['predict'])
  t.is(learn.purpose, null)
})

test.serial('a call that is refused while another is at work changes nothing, nor what is shown', async t => {
  const { learn, seen } = watched()
  const rows: unknown[] = []
  learn.logger = row => rows.push(row)
  const refused = new Callback({
    async afterBatch({ learn }) {
      for (const call of [() => learn.validate(), () => learn.getPreds(), () => learn.lrFind()]) {
        await t.throwsAsync(async () => await call(), { code: 'ERR_STATE' })
        t.deepEqual([learn.purpose, learn.silent], ['fit', false])
      }
    },
  })
  await learn.fit(1, { cbs: refused })
  t.deepEqual(seen(), ['fit'])
  t.is(rows.length, 1)
})

test.serial('only fits and sessions show something, and afterwards it is as it was, also after an error', async t => {
  const learn = tinyLearner()
  const rows: unknown[] = []
  const logger = (row: readonly unknown[]) => void rows.push(row)
  learn.logger = logger
  const quiet: boolean[] = []
  learn.addCb(new Callback({ beforeFit: cb => void quiet.push(cb.learn.silent) }))
  const failing = new Callback({ afterBatch: () => Promise.reject(new Error('of the user')) })
  await learn.validate()
  await learn.getPreds()
  await learn.lrFind({ numIt: 12 })
  await t.throwsAsync(learn.validate({ cbs: failing }))
  t.deepEqual(quiet, [true, true, true, true])
  t.deepEqual([rows.length, learn.silent, learn.logger], [0, false, logger])
  await learn.fit(1)
  t.deepEqual([quiet.at(-1), rows.length], [false, 1])
})

test.serial('a callback named lrFinder or gatherPreds is one like any other', async t => {
  const cbs = ['lrFinder', 'gatherPreds'].map(name => new Callback({ name }))
  const learn = tinyLearner({ cbs, metrics: accuracy })
  learn.dls = { train: tinyBatches(2), valid: [[randn([4, 2, 3, 3])]] }
  await t.throwsAsync(learn.fit(1), { message: /has no targets/ })
  learn.dls = { train: tinyBatches(2), valid: tinyBatches(1) }
  const tracker = new EarlyStopping()
  await learn.fit(1, { cbs: tracker })
  t.not(tracker.best, null)
})
