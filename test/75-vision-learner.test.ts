// visionLearner, and where its weights come from.
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import {
  CrossEntropyLossFlat,
  DataLoader,
  DataLoaders,
  downloadWeights,
  imagenetStats,
  manualSeed,
  Normalize,
  randn,
  resnet18,
  resnet50,
  TensorDataset,
  tensor,
  type VisionLearnerOptions,
  visionLearner,
  zeros,
} from 'torch-learner'
import { fetchFile } from '../src/provision/index.js'
import { serveArchive, sha256 } from './helpers/archive-server.js'
import { legacyFile } from './helpers/pth.js'

const home = await mkdtemp(join(tmpdir(), 'torch-learner-weights-'))
const folder = join(home, 'hub', 'checkpoints')
process.env.TORCH_HOME = home
const nowhere = 'http://127.0.0.1:1'
process.env.TORCH_LEARNER_WEIGHTS_URL = nowhere

function makeData(batchTfms: Normalize[] = [], c?: number): DataLoaders {
  const pictures = () => new TensorDataset(randn([6, 3, 32, 32]), tensor([0, 1, 2, 0, 1, 2], { dtype: 'int64' }))
  const loader = (shuffle: boolean) => new DataLoader(pictures(), { bs: 3, shuffle, batchTfms })
  return new DataLoaders(loader(true), loader(false), { vocab: ['a', 'b', 'c'], c, path: home })
}

const lossFunc = new CrossEntropyLossFlat()
const make = (options: VisionLearnerOptions = {}, dls = makeData()) => {
  const learn = visionLearner(dls, resnet18, { lossFunc, ...options })
  learn.logger = () => undefined
  learn.silent = true
  return learn
}
const normalizers = ({ loaders }: DataLoaders) =>
  loaders.map(loader => (loader as DataLoader).batchTfms.filter(transform => transform instanceof Normalize).length)

test.serial('from random weights: everything trains, nothing is normalised', async t => {
  const dls = makeData()
  const learn = make({ pretrained: false }, dls)
  t.deepEqual(normalizers(dls), [0, 0])
  t.true(learn.model.parameters().every(parameter => parameter.requiresGrad))
  t.is(learn.model.children().length, 2)
  const names = [...learn.model.stateDict().keys()]
  t.is(names[0], '0.0.weight')
  t.is(names.at(-1), '1.8.weight')
  t.deepEqual(learn.model.stateDict().get('1.8.weight')?.shape, [3, 512])
  await learn.fit(1)
  t.is(learn.opt?.paramGroups.length, 3)
})

test.serial('options of the head and of the Learner go where they belong', t => {
  const options: VisionLearnerOptions = {
    pretrained: false,
    nOut: 7,
    linFtrs: [16],
    ps: 0,
    lr: 0.5,
    modelDir: 'x',
    wd: 0.1,
  }
  const learn = make(options)
  t.deepEqual(learn.model.stateDict().get('1.6.weight')?.shape, [7, 16])
  t.is(learn.lr, 0.5)
  t.is(learn.modelDir, 'x')
  t.is(make({ pretrained: false }, makeData([], 5)).model.stateDict().get('1.8.weight')?.shape[0], 5)
})

test.serial('weights that can not be had: a clear error, at once', async t => {
  const started = performance.now()
  const error = t.throws(() => make(), { code: 'ERR_DOWNLOAD' })
  t.true(error?.message.includes(join(folder, 'resnet18-f37072fd.pth')))
  t.true(error?.message.includes('pretrained: false'))
  t.true(error?.message.includes(`${nowhere}/resnet18-f37072fd.pth`))
  await t.throwsAsync(downloadWeights('resnet34'), { code: 'ERR_DOWNLOAD', message: /resnet34-b627a593\.pth/ })
  t.true(performance.now() - started < 30_000)
})

test.serial('the hash in the name is checked', async t => {
  await using server = await serveArchive(Buffer.from('not these weights'))
  process.env.TORCH_LEARNER_WEIGHTS_URL = `${server.url}/models/`
  const error = await t.throwsAsync(downloadWeights('resnet18'), { code: 'ERR_DOWNLOAD', message: /SHA-256/ })
  t.truthy(error?.cause)
  t.is(server.seen[0].url, '/models/resnet18-f37072fd.pth')
  t.deepEqual(await readdir(folder), [])
  process.env.TORCH_LEARNER_WEIGHTS_URL = nowhere
})

test.serial('a place that is no URL', async t => {
  process.env.TORCH_LEARNER_WEIGHTS_URL = 'file:///weights'
  await t.throwsAsync(downloadWeights('resnet18'), { code: 'ERR_INVALID_ARG' })
  process.env.TORCH_LEARNER_WEIGHTS_URL = nowhere
  await t.throwsAsync(downloadWeights(Object('resnet19')), { code: 'ERR_INVALID_ARG' })
})

test('a download goes on where the line was cut, once for all who want it', async t => {
  const content = Buffer.alloc(300_000, 'weights')
  const file = join(home, 'shared', 'tiny.pth')
  await using server = await serveArchive(content, { cutAfter: 100_000, cuts: 2 })
  const fetches = [1, 2].map(() => fetchFile(`${server.url}/tiny.pth`, file, sha256(content).slice(0, 8)))
  await Promise.all(fetches)
  t.deepEqual(await readFile(file), content)
  // each goes on where the one before ended: at the cut, or before it where the line broke with bytes still under way
  const starts = server.seen.map(({ headers: { range } }) => Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0))
  t.is(starts.length, 3)
  const [first = 0, second = 0, third = 0] = starts
  t.true(first === 0 && second > 0 && second <= 100_000 && third > second && third <= second + 100_000, starts.join())
  t.deepEqual(await readdir(join(home, 'shared')), ['tiny.pth'])
})

test('a server that falls silent is given up, and one that answers otherwise', async t => {
  const content = Buffer.alloc(300_000, 'weights')
  const fetch = (url: string) => fetchFile(url, join(home, 'silent', 'x.pth'), sha256(content), { idleTimeout: 300 })
  await using silent = await serveArchive(content, { cutAfter: 1000, cuts: 99, stall: true })
  await t.throwsAsync(fetch(silent.url))
  await using missing = await serveArchive(content, { status: 404 })
  await t.throwsAsync(fetch(missing.url), { message: /404/ })
  t.false(existsSync(join(home, 'silent', 'x.pth')))
})

test.serial('pretrained: weights from the cache, body frozen, inputs normalised', async t => {
  manualSeed(5)
  const original = resnet18()
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'resnet18-f37072fd.pth'), await legacyFile(original.stateDict()))

  const again = resnet18({ pretrained: true })
  t.deepEqual(await again.fc.weight.data(), await original.fc.weight.data())
  t.throws(() => resnet18({ pretrained: true, numClasses: 10 }), { code: 'ERR_INVALID_ARG' })

  const dls = makeData()
  const learn = make({}, dls)
  t.deepEqual(normalizers(dls), [1, 1])
  const body = learn.model.stateDict().get('0.4.1.conv2.weight')
  t.deepEqual(await body?.data(), await original.layer1.stateDict().get('1.conv2.weight')?.data())
  const frozen = [...learn.model.namedParameters()].filter(([, parameter]) => !parameter.requiresGrad)
  t.is(frozen.length, 20)
  t.true(frozen.every(([name, { ndim }]) => name.startsWith('0.') && ndim === 4))
  await learn.fit(1)
  t.deepEqual(await body?.data(), await original.layer1.stateDict().get('1.conv2.weight')?.data())
  learn.unfreeze()
  t.true(learn.model.parameters().every(parameter => parameter.requiresGrad))

  visionLearner(dls, resnet18, { lossFunc })
  t.deepEqual(normalizers(dls), [1, 1])
  const own = makeData([Normalize.fromStats(imagenetStats)])
  make({}, own)
  t.deepEqual(normalizers(own), [1, 1])
  const plain = makeData()
  make({ normalize: false }, plain)
  t.deepEqual(normalizers(plain), [0, 0])
})

test.serial('a damaged file in the cache is told, with its name', async t => {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'resnet50-0676ba61.pth'), 'damaged')
  t.throws(() => resnet50({ pretrained: true }), { code: 'ERR_FILE_FORMAT', message: /resnet50-0676ba61\.pth/ })
})

test('misuse', t => {
  const invalid = { code: 'ERR_INVALID_ARG' }
  const dls = makeData()
  t.throws(() => visionLearner(dls, Object('resnet18'), { lossFunc }), invalid)
  t.throws(() => visionLearner(dls, () => Object(zeros([1])), { lossFunc }), invalid)
  t.throws(() => visionLearner(dls, resnet18, Object({ lossFunc, pretrained: 1 })), invalid)
  t.throws(() => visionLearner(dls, resnet18, Object({ lossFunc, pretrained: false, nOuts: 3 })), invalid)
  t.throws(() => visionLearner(dls, resnet18, Object(null)), invalid)
  const nameless = new DataLoaders(dls.train, dls.valid)
  t.throws(() => visionLearner(nameless, resnet18, { lossFunc, pretrained: false }), { ...invalid, message: /nOut/ })
})
