// Batches without targets: what was to be measured by them is refused, and a fit that goes on all the same says so.
import test, { type ExecutionContext } from 'ava'
import {
  accuracy,
  Callback,
  DataLoader,
  DataLoaders,
  EarlyStopping,
  IterableDataset,
  type Learner,
  ReduceLROnPlateau,
  randint,
  randn,
  SaveModel,
  type Tensor,
  TensorDataset,
  type TrackerOptions,
} from 'torch-learner'
import { tinyBatches, tinyLearner } from './helpers/learning.js'
import { temporaryFolder } from './helpers/pictures.js'

const inputs = (n: number) => randn([n, 2, 3, 3])
const pairs = () => new DataLoader(new TensorDataset(inputs(8), randint(0, 3, [8])), { bs: 4 })
const samples = () => Array.from({ length: 4 }, () => ({ x: new Float32Array(18) }))

/** Validation sets without targets; of the first ones that is known before there is a batch. */
const KNOWN: Record<string, () => DataLoader | Tensor[][]> = {
  'a TensorDataset': () => new DataLoader(new TensorDataset(inputs(4)), { bs: 4 }),
  'an array of samples': () => new DataLoader(samples(), { bs: 4 }),
  'an array of batches': () => [[inputs(4)]],
}
const UNKNOWN: Record<string, () => DataLoader> = {
  'a dataset': () => new DataLoader({ length: 4, get: index => samples()[index] }, { bs: 4 }),
  'a generator': () => new DataLoader(new IterableDataset(samples, { n: 4 }), { bs: 4 }),
}
const TRACKERS: Record<string, (options: TrackerOptions) => Callback> = {
  SaveModel: options => new SaveModel(options),
  EarlyStopping: options => new EarlyStopping(options),
  ReduceLROnPlateau: options => new ReduceLROnPlateau(options),
}

async function untargeted(t: ExecutionContext, valid: DataLoader | Tensor[][], metrics: (typeof accuracy)[] = []) {
  const learn = tinyLearner({ metrics, path: await temporaryFolder(t) })
  learn.dls = new DataLoaders(pairs(), valid)
  return learn
}

/** The warnings of batches without targets while `body` ran. */
async function warned(body: () => Promise<unknown>): Promise<string[]> {
  const told: string[] = []
  const note = (warning: Error) => {
    if ('code' in warning && warning.code === 'ERR_NO_DATA') told.push(warning.message)
  }
  process.on('warning', note)
  try {
    await body()
    await new Promise(resolve => setImmediate(resolve))
  } finally {
    process.off('warning', note)
  }
  return told
}

const of = (metric: string) => new RegExp(`The validation set has no targets, so that ${metric} can't be measured`)

for (const [what, valid] of Object.entries({ ...KNOWN, ...UNKNOWN })) {
  const first = what in KNOWN ? 0 : 2

  test.serial(`${what} without targets: trackers are refused`, async t => {
    for (const [name, make] of Object.entries(TRACKERS)) {
      const learn = await untargeted(t, valid())
      await t.throwsAsync(learn.fit(3, { cbs: make({}) }), {
        code: 'ERR_CALLBACK',
        message: new RegExp(`Error in ${name} at .*'valid_loss', and the validation set has no targets`),
      })
      t.is(learn.trainIter, first, `${name}: refused ${first === 0 ? 'at the start' : 'in the first epoch'}`)
      await learn.fit(1, { cbs: make({ monitor: 'train_loss' }) })
    }
  })

  test.serial(`${what} without targets: metrics are refused`, async t => {
    const learn = await untargeted(t, valid(), [accuracy])
    await t.throwsAsync(learn.fit(3), { code: 'ERR_CALLBACK', message: of('accuracy') })
    t.is(learn.trainIter, first)
    await t.throwsAsync(learn.validate(), { code: 'ERR_CALLBACK', message: of('accuracy') })
    await t.throwsAsync(learn.validate({ dl: valid() }), { code: 'ERR_CALLBACK', message: of('accuracy') })
    const { preds, targs } = await learn.getPreds({ dl: valid() })
    t.deepEqual(preds.shape, [4, 3])
    t.is(targs, null)
  })

  test.serial(`${what} without targets: a plain fit says once that nothing is measured`, async t => {
    const learn = await untargeted(t, valid())
    const told = await warned(() => learn.fit(3))
    t.deepEqual(
      told.map(message => message.slice(0, 70)),
      ['The validation set has no targets: no validation loss is computed. Giv'],
    )
    t.true(learn.recorder.values.every(([train, loss]) => typeof train === 'number' && loss === null))
  })
}

test.serial('training without targets says once that nothing is trained', async t => {
  const learn = tinyLearner()
  learn.dls = { train: [[inputs(4)], [inputs(4)]], valid: [[inputs(4)]] }
  const told = await warned(() => learn.fit(2))
  t.deepEqual(
    told.map(message => message.slice(0, 50)),
    ['The training set has no targets: no loss is comput', 'The validation set has no targets: no validation l'],
  )
})

/** An autoencoder's: a batch's input is its target too. */
class OwnTarget extends Callback {
  beforeBatch() {
    const { learn } = this
    learn.yb = [randint(0, 3, [learn.bs])]
  }
}

test.serial('a callback may give the targets', async t => {
  const learn: Learner = tinyLearner({ metrics: accuracy, cbs: new OwnTarget() })
  learn.dls = { train: [[inputs(4)], [inputs(4)]], valid: [[inputs(4)]] }
  t.deepEqual(await warned(() => learn.fit(2, { cbs: new EarlyStopping({ patience: 5 }) })), [])
  t.true(learn.recorder.values.flat().every(value => typeof value === 'number'))
})

test.serial('the search for a learning rate needs no validation', async t => {
  const learn = await untargeted(t, [[inputs(4)]], [accuracy])
  await t.notThrowsAsync(learn.lrFind({ numIt: 6 }))
  learn.dls = { train: tinyBatches(2), valid: tinyBatches(1) }
  t.deepEqual(await warned(() => learn.fit(1)), [])
})
