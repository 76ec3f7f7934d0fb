// Saving and loading a Learner's model and optimizer.
import { mkdtemp, readdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import {
  CrossEntropyLossFlat,
  DataLoaders,
  Learner,
  type LearnerOptions,
  loadSafetensors,
  manualSeed,
  nn,
  optim,
  readSafetensors,
  saveSafetensors,
  tensor,
} from 'torch-learner'

const folder = await mkdtemp(join(tmpdir(), 'torch-learner-save-'))

function makeLearner(options: Partial<LearnerOptions> = {}, features = 4): Learner {
  const batch = (k: number) => [
    tensor(
      Float32Array.from({ length: 24 }, (_, i) => Math.sin(i * k)),
      { shape: [6, 4] },
    ),
    tensor([0, 1, 2, 0, 1, 2], { dtype: 'int64' }),
  ]
  manualSeed(3)
  const model = new nn.Sequential(new nn.Linear(4, features), new nn.BatchNorm1d(features), new nn.Linear(features, 3))
  const learn = new Learner(new DataLoaders([batch(1), batch(2)], [batch(3)]), model, {
    lossFunc: new CrossEntropyLossFlat(),
    path: folder,
    lr: 0.01,
    ...options,
  })
  learn.logger = () => undefined
  learn.silent = true
  return learn
}

const weights = async (learn: Learner) =>
  Object.fromEntries(
    await Promise.all([...learn.model.stateDict()].map(async ([name, x]) => [name, await x.toArray()])),
  )

async function warningsOf(body: () => Promise<unknown>): Promise<string[]> {
  const warnings: string[] = []
  const listen = (warning: Error) => warnings.push(warning.message)
  process.on('warning', listen)
  await body()
  await new Promise(resolve => setImmediate(resolve))
  process.off('warning', listen)
  return warnings
}

const optimizers: Record<string, LearnerOptions['optFunc']> = {
  Adam: (groups, { lr }) => new optim.Adam(groups, { lr }),
  SGD: (groups, { lr }) => new optim.SGD(groups, { lr, mom: 0.9 }),
  Larc: (groups, { lr }) => new optim.Larc(groups, { lr }),
  ranger: optim.ranger,
}

for (const [name, optFunc] of Object.entries(optimizers)) {
  test.serial(`training goes on from a file as from memory: ${name}`, async t => {
    const [one, two] = [makeLearner({ optFunc }), makeLearner({ optFunc })]
    await one.fit(2, { lr: 0.02 })
    t.is(await one.save(`on-${name}`), join(folder, 'models', `on-${name}.safetensors`))
    t.is(await two.load(`on-${name}`), two)
    t.deepEqual(await weights(two), await weights(one))
    t.deepEqual(two.opt?.hypers, one.opt?.hypers)
    await one.fit(2)
    await two.fit(2)
    t.deepEqual(await weights(two), await weights(one))
  })
}

test.serial('without the optimizer the file is the state dict', async t => {
  const learn = makeLearner()
  await learn.fit(1)
  const file = await learn.save('plain', { withOpt: false })
  t.deepEqual([...(await loadSafetensors(file)).keys()], [...learn.model.stateDict().keys()])
  const other = makeLearner()
  await other.load('plain')
  t.is(other.opt, null)
  t.deepEqual(await weights(other), await weights(learn))
})

test.serial('with it, the names of the model stay', async t => {
  const learn = makeLearner()
  await learn.fit(1)
  const { tensors, metadata } = await readSafetensors(await learn.save('sub/folder/both.safetensors'))
  const names = [...learn.model.stateDict().keys()]
  t.deepEqual([...tensors.keys()].slice(0, names.length), names)
  t.true(tensors.has('optimizer/0/gradAvg'))
  t.truthy(metadata.optimizer)
  const other = makeLearner()
  await other.load('sub/folder/both', { withOpt: false })
  t.is(other.opt, null)
  t.deepEqual(await readdir(join(folder, 'models', 'sub', 'folder')), ['both.safetensors'])
})

test.serial('flags and freezing survive', async t => {
  const learn = makeLearner({ splitter: model => model.children().map(child => child.parameters()) })
  learn.freezeTo(1)
  await learn.fit(1)
  await learn.save('frozen')
  const other = makeLearner({ splitter: model => model.children().map(child => child.parameters()) })
  await other.load('frozen')
  const flags = (which: Learner) =>
    which.opt?.stateDict().state.map(({ doWd, forceTrain, tensors }) => [doWd, forceTrain, Object.keys(tensors)])
  t.deepEqual(flags(other), flags(learn))
})

test.serial('a model that does not fit is refused and leaves this one as it was', async t => {
  await makeLearner({}, 5).save('wide')
  const learn = makeLearner()
  const before = await weights(learn)
  await t.throwsAsync(learn.load('wide'), { code: 'ERR_STATE_DICT' })
  t.deepEqual(await weights(learn), before)
})

test.serial('strict: false loads what fits', async t => {
  const learn = makeLearner()
  const file = join(folder, 'part.safetensors')
  await saveSafetensors(file, { '2.bias': tensor([1, 2, 3]), other: tensor([1]) })
  await t.throwsAsync(learn.load(file), { code: 'ERR_STATE_DICT' })
  await learn.load(file, { strict: false })
  t.deepEqual((await weights(learn))['2.bias'], [1, 2, 3])
})

test.serial('state of another optimizer is left, with a warning', async t => {
  const learn = makeLearner()
  await learn.fit(1)
  await learn.save('adam')
  const other = makeLearner({ optFunc: optimizers.SGD })
  const warnings = await warningsOf(() => other.load('adam'))
  t.is(warnings.length, 1)
  t.regex(warnings[0], /the model is loaded, the optimizer's state could not be taken over/)
  t.deepEqual(await weights(other), await weights(learn))
})

test.serial('files of PyTorch', async t => {
  const model = new nn.Sequential(new nn.Conv2d(1, 2, 3), new nn.BatchNorm2d(2), new nn.Flatten(), new nn.Linear(2, 3))
  const learn = new Learner(makeLearner().dls, model, { lossFunc: new CrossEntropyLossFlat() })
  await learn.load(fileURLToPath(new URL('fixtures/pytorch_checkpoint.pth', import.meta.url)))
  t.deepEqual((await weights(learn))['3.bias'], [-1, -0.875, -0.75])
})

test.serial('damaged descriptions of an optimizer', async t => {
  const learn = makeLearner()
  const state = learn.model.stateDict()
  const descriptions = ['{', '{}', 'null', '{"hypers":[{"lr":"1"}],"flags":[]}']
  for (const optimizer of descriptions) {
    const file = join(folder, 'damaged.safetensors')
    await saveSafetensors(file, state, { metadata: { optimizer } })
    await t.throwsAsync(learn.load(file), { code: 'ERR_FILE_FORMAT' })
  }
  const file = join(folder, 'strange.safetensors')
  const optimizer = JSON.stringify({ hypers: [], flags: [] })
  await saveSafetensors(
    file,
    { ...Object.fromEntries(state), 'optimizer/0/x': tensor([1]) },
    { metadata: { optimizer } },
  )
  await t.throwsAsync(learn.load(file), { code: 'ERR_FILE_FORMAT' })
})

test.serial('names and options', async t => {
  const learn = makeLearner()
  await t.throwsAsync(learn.load('nothing'), {
    code: 'ERR_NOT_FOUND',
    message: /nothing\.safetensors or .*nothing\.pth/,
  })
  await t.throwsAsync(learn.save(''), { code: 'ERR_INVALID_ARG' })
  await t.throwsAsync(learn.save('x', Object({ withOpt: 1 })), { code: 'ERR_INVALID_ARG' })
  await t.throwsAsync(learn.load('x', Object({ mapLocation: 'cpu' })), { code: 'ERR_INVALID_ARG' })
  await writeFile(join(folder, 'models', 'text.safetensors'), 'text')
  await t.throwsAsync(learn.load('text'), { code: 'ERR_FILE_FORMAT' })
})
