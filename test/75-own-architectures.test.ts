// visionLearner beyond the ResNets: networks of one's own, cuts, heads, weights, and the wider ResNets.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import {
  type Arch,
  accuracy,
  BasicBlock,
  bodyHeadSplit,
  CrossEntropyLossFlat,
  createBody,
  createHead,
  DataLoader,
  DataLoaders,
  downloadWeights,
  type Learner,
  manualSeed,
  Normalize,
  nn,
  noGrad,
  numFeatures,
  ResNet,
  randn,
  resnet18,
  resnet50,
  resnext50_32x4d,
  type Tensor,
  TensorDataset,
  tensor,
  type VisionLearnerOptions,
  visionLearner,
  wideResnet50_2,
  zeros,
} from 'torch-learner'
import { assertNumbers } from './helpers/golden.js'
import { legacyFile } from './helpers/pth.js'

const home = await mkdtemp(join(tmpdir(), 'torch-learner-weights-'))
process.env.TORCH_HOME = home
test.after.always(() => rm(home, { recursive: true, force: true }))
process.env.TORCH_LEARNER_WEIGHTS_URL = 'http://127.0.0.1:1'

/** A small network as people write them: features, pooling, classifier. */
class Net extends nn.Module<[Tensor], Tensor> {
  stem: nn.Sequential
  stage: nn.Sequential
  pool = new nn.AdaptiveAvgPool2d(1)
  flat = new nn.Flatten()
  fc = new nn.Linear(12, 1000)
  constructor(channels = 3, dtype: 'float32' | 'float64' = 'float32') {
    super()
    this.stem = new nn.Sequential(new nn.Conv2d(channels, 8, 3, { padding: 1, stride: 2 }), new nn.BatchNorm2d(8))
    this.stage = new nn.Sequential(new nn.MaxPool2d(2), new nn.Conv2d(8, 12, 3, { padding: 1 }), new nn.ReLU())
    this.to({ dtype })
  }
  forward(x: Tensor): Tensor {
    return this.fc(this.flat(this.pool(this.stage(this.stem(x)))))
  }
}

const arch: Arch = () => new Net()

function makeData(channels = 3): DataLoaders {
  const set = new TensorDataset(randn([6, channels, 32, 32]), tensor([0, 1, 2, 0, 1, 2], { dtype: 'int64' }))
  const loader = (shuffle: boolean) => new DataLoader(set, { bs: 3, shuffle })
  return new DataLoaders(loader(true), loader(false), { vocab: ['a', 'b', 'c'], path: home })
}

function make(options: VisionLearnerOptions = {}, network: Arch = arch, dls = makeData()): Learner {
  manualSeed(2)
  const learn = visionLearner(dls, network, { lossFunc: new CrossEntropyLossFlat(), metrics: accuracy, ...options })
  learn.logger = () => undefined
  learn.silent = true
  return learn
}

const normalizers = (learn: Learner) =>
  (learn.dls as DataLoaders).loaders.flatMap(loader =>
    (loader as DataLoader).batchTfms.filter(transform => transform instanceof Normalize),
  )
const invalid = { code: 'ERR_INVALID_ARG' }

test.serial('a network of one’s own: cut at its last pooling, its channels found, two groups', async t => {
  const learn = make({ pretrained: false })
  const names = [...learn.model.stateDict().keys()]
  t.deepEqual([names[0], names.includes('0.1.1.weight')], ['0.0.0.weight', true])
  t.is(learn.model.stateDict().get('1.2.weight')?.shape[0], 24, '12 channels, pooled twice')
  await learn.fit(1)
  t.deepEqual(
    learn.opt?.paramGroups.map(group => group.params.length),
    [6, 6],
  )
  t.deepEqual(normalizers(learn), [])
  await learn.fineTune(1)
  t.true(Number.isFinite(learn.recorder.losses.at(-1)))
})

test.serial('pretrained: the body is frozen; normalised by what it says', async t => {
  const learn = make({
    pretrained: true,
    normalize: [
      [0.5, 0.5, 0.5],
      [0.1, 0.1, 0.1],
    ],
  })
  t.deepEqual(
    normalizers(learn).map(one => [...one.std]),
    [
      [0.1, 0.1, 0.1],
      [0.1, 0.1, 0.1],
    ],
  )
  const frozen = [...learn.model.namedParameters()].filter(([, parameter]) => !parameter.requiresGrad)
  t.deepEqual(
    frozen.map(([name]) => name),
    ['0.0.0.weight', '0.0.0.bias', '0.1.1.weight', '0.1.1.bias'],
  )
  t.deepEqual(normalizers(make({ pretrained: true })), [], 'whose statistics are not known')
  t.is(normalizers(make({ pretrained: true, normalize: true })).length, 2)
  const asked: unknown[] = []
  make({ pretrained: true }, options => {
    asked.push(options)
    return new Net()
  })
  t.deepEqual(asked, [{ pretrained: true }])
  t.throws(() => make(), {
    ...invalid,
    message: /^Expected true or false for an architecture of your own for pretrained/,
  })
  // a ResNet that didn't get its options is one's own too
  t.throws(() => make({}, () => resnet18()), { ...invalid, message: /pretrained/ })
  t.is(make({ pretrained: true }, () => resnet18()).opt?.paramGroups.length, 3)
})

test.serial('weights as a state dict of the whole network', async t => {
  manualSeed(9)
  const trained = new Net()
  const learn = make({ weights: trained.stateDict() })
  const weight = learn.model.stateDict().get('0.1.1.weight')
  t.deepEqual(await weight?.data(), await trained.stateDict().get('stage.1.weight')?.data())
  t.false(learn.model.parameters()[0]?.requiresGrad)
  t.throws(() => make({ weights: { x: zeros([1]) } }), { code: 'ERR_STATE_DICT' })
  t.throws(() => make({ weights: trained.stateDict(), pretrained: false }), { ...invalid, message: /pretrained/ })
  t.throws(() => make({ weights: 'IMAGENET' } as object), { ...invalid, message: /weights/ })
})

test.serial('cuts: a number, a function', async t => {
  const one = make({ pretrained: false, cut: 1 })
  t.is(one.model.stateDict().get('1.2.weight')?.shape[0], 16)
  const negative = make({ pretrained: false, cut: -3 })
  t.is(negative.model.stateDict().get('1.2.weight')?.shape[0], 24)
  const func = make({ pretrained: false, cut: net => (net as Net).stem })
  t.is(func.model.stateDict().get('1.2.weight')?.shape[0], 16)
  await func.fit(1)
  const shallow = make({ pretrained: false, cut: -3 }, resnet18)
  t.deepEqual(shallow.model.stateDict().get('1.2.weight')?.shape, [512], '256 channels, pooled twice')
  await shallow.fit(1)
  t.is(shallow.opt?.paramGroups.length, 3)
  const inner = make({ pretrained: false, cut: net => createBody(net, { cut: 5 }) }, resnet18)
  t.deepEqual(inner.model.stateDict().get('1.2.weight')?.shape, [128])
  for (const cut of [0, -9, 1.5, 'x', () => 7]) t.throws(() => make({ pretrained: false, cut } as object), invalid)
  class NoPool extends nn.Module<[Tensor], Tensor> {
    conv = new nn.Conv2d(3, 4, 3)
    forward(x: Tensor): Tensor {
      return this.conv(x)
    }
  }
  t.throws(() => make({ pretrained: false }, () => new NoPool()), { ...invalid, message: /for cut/ })
  await make({ pretrained: false, cut: 1 }, () => new NoPool()).fit(1)
})

test.serial('pictures of other than three channels', async t => {
  const learn = make({ pretrained: true, nIn: 1, normalize: true }, arch, makeData(1))
  manualSeed(2)
  const original = new Net()
  const state = learn.model.stateDict()
  const found = state.get('0.0.0.weight')
  t.deepEqual(found?.shape, [8, 1, 3, 3])
  const expected = original.stateDict().get('stem.0.weight')?.sum([1], true)
  assertNumbers(t, Array.from((await found?.data()) ?? [], Number), Array.from((await expected?.data()) ?? [], Number))
  t.deepEqual(await state.get('0.0.0.bias')?.data(), await original.stateDict().get('stem.0.bias')?.data())
  t.deepEqual(normalizers(learn), [])
  await learn.fit(1)
  const gray = createBody(new Net(), { nIn: 5, cut: net => (net as Net).stem })
  t.deepEqual(noGrad(() => (gray as nn.Layer)(zeros([1, 5, 8, 8]))).shape, [1, 8, 4, 4])
  t.throws(() => createBody(new Net(4), { nIn: 1 }), { ...invalid, message: /^Expected 3, as the first layer/ })
  t.throws(() => createBody(new nn.Sequential(new nn.MaxPool2d(2), new nn.MaxPool2d(2)), { nIn: 1 }), invalid)
})

test.serial('heads: of one’s own, with a start of one’s own, with a range', async t => {
  const customHead = new nn.Sequential(new nn.AdaptiveAvgPool2d(1), new nn.Flatten(), new nn.Linear(12, 3))
  const weight = await customHead.stateDict().get('2.weight')?.data()
  const learn = make({ pretrained: false, customHead })
  t.is(learn.model.children()[1], customHead)
  t.deepEqual(await customHead.stateDict().get('2.weight')?.data(), weight, 'as it was')
  await learn.fit(1)
  t.throws(() => make({ pretrained: false, customHead, ps: 0.1 }), {
    ...invalid,
    message: /customHead is given for ps/,
  })
  t.throws(() => make({ pretrained: false, customHead, nOut: 3 }), { ...invalid, message: /for nOut/ })
  t.throws(() => make({ pretrained: false, customHead: 3 } as object), invalid)

  const ones = make({ pretrained: false, init: w => w.fill_(1), bnFinal: true, yRange: [0, 2], concatPool: false })
  const head = ones.model.children()[1] as nn.Sequential
  const linear = [...head].filter(layer => layer instanceof nn.Linear)
  for (const layer of linear) t.is(await layer.weight.sub(1).abs().max().item(), 0)
  t.is(linear[0]?.inFeatures, 12)
  const out = noGrad(() => ones.model.eval()(randn([4, 3, 32, 32])))
  t.true((await out.min().item()) >= 0 && (await out.max().item()) <= 2)
  manualSeed(4)
  const asMade = createHead(4, 2, { init: null })
  t.true((await (asMade[4] as nn.Linear).weight.abs().max().item()) <= 1 / Math.sqrt(8))
  t.throws(() => createHead(4, 2, { init: 'he' } as object), { ...invalid, message: /for init/ })
})

test('channels of a body: by a trial that leaves it as it was', async t => {
  const body = createBody(new Net())
  t.is(numFeatures(body), 12)
  t.true(body.modules().every(module => module.training))
  t.is(await body.stateDict().get('0.1.running_mean')?.abs().sum().item(), 0)
  t.is(numFeatures(createBody(new Net(3, 'float64'))), 12)
  t.is(numFeatures(createBody(resnet50())), 2048)
  class Large extends nn.Module<[Tensor], Tensor> {
    forward(x: Tensor): Tensor {
      return x.narrow(2, 0, 100).repeat([1, 3, 1, 1])
    }
  }
  t.is(numFeatures(new Large(), 2), 6, 'at the first size that it doesn’t fail at')
  class Never extends nn.Module<[Tensor], Tensor> {
    forward(x: Tensor): Tensor {
      return x.narrow(2, 0, 10_000)
    }
  }
  const error = t.throws(() => numFeatures(new Never()), { ...invalid, message: /2048 pixels. Pass customHead/ })
  t.true(error?.cause instanceof Error)
  t.throws(() => numFeatures({} as nn.AnyModule), invalid)
  t.throws(() => bodyHeadSplit(new nn.Linear(1, 1)), invalid)
})

test.serial('ResNeXt and wide ResNets are torchvision’s', async t => {
  const picture = tensor(
    Float32Array.from({ length: 3 * 64 * 64 }, (_, i) => i / (3 * 64 * 64)),
    { shape: [1, 3, 64, 64] },
  )
  const count = (net: ResNet) => net.parameters().reduce((sum, { numel }) => sum + numel, 0)
  const inOrder = (net: ResNet) => net.parameters().reduce((sum, { numel }, i) => sum + numel * (i + 1), 0)
  // recorded from torchvision 0.28 after torch.manual_seed(3)
  const cases: [(options: object) => ResNet, number, number, number[], number][] = [
    [
      resnext50_32x4d,
      25028904,
      3200308456,
      [0.015609772875905037, 0.02030353620648384, -0.037392280995845795, 0.022287573665380478],
      -0.005307132378220558,
    ],
    [
      wideResnet50_2,
      68883240,
      8663101672,
      [-2.2485482692718506, -2.1163415908813477, 1.3835490942001343, 3.8379175662994385],
      0.11757799983024597,
    ],
  ]
  for (const [network, parameters, ordered, logits, weight] of cases) {
    manualSeed(3)
    const net = network({ memoryFormat: 'contiguous_format' }).eval()
    t.deepEqual([count(net), inOrder(net), net.stateDict().size], [parameters, ordered, 320])
    const [first] = Array.from((await net.stateDict().get('layer1.0.conv2.weight')?.data()) ?? [], Number)
    assertNumbers(t, [Number(first)], [weight])
    const out = Array.from(await noGrad(() => net(picture)).data(), Number)
    assertNumbers(t, out.slice(0, 4), logits, { rtol: 1e-4, atol: 1e-4 })
  }
  t.throws(() => new ResNet(BasicBlock, [1, 1, 1, 1], 10, { groups: 2 }), invalid)
  t.throws(() => new ResNet(BasicBlock, [1, 1, 1, 1], 10, { width: 2 } as object), invalid)
})

test.serial('torchvision’s second weights', async t => {
  const folder = join(home, 'hub', 'checkpoints')
  await mkdir(folder, { recursive: true })
  manualSeed(6)
  const original = resnet50()
  await writeFile(join(folder, 'resnet50-11ad3fa6.pth'), await legacyFile(original.stateDict()))
  const same = async (net: ResNet) => t.deepEqual(await net.fc.weight.data(), await original.fc.weight.data())
  await same(resnet50({ weights: 'IMAGENET1K_V2', pretrained: true }))
  const learn = make({ weights: 'IMAGENET1K_V2' }, resnet50)
  t.false(learn.model.parameters()[0]?.requiresGrad)
  t.is(normalizers(learn).length, 2)
  t.throws(() => resnet50({ weights: 'IMAGENET1K_V2', pretrained: false }), { ...invalid, message: /pretrained/ })
  t.throws(() => resnet50({ weights: 'IMAGENET1K_V3' } as object), { ...invalid, message: /IMAGENET1K_V2/ })
  t.throws(() => resnet18({ weights: 'IMAGENET1K_V2' }), {
    ...invalid,
    message: /^Expected IMAGENET1K_V1 for resnet18/,
  })
  t.throws(() => make({ weights: 'IMAGENET1K_V1' }, resnet50), { code: 'ERR_DOWNLOAD', message: /resnet50-0676ba61/ })
  t.is(await downloadWeights('resnet50', 'IMAGENET1K_V2'), join(folder, 'resnet50-11ad3fa6.pth'))
  await t.throwsAsync(downloadWeights('resnet34', 'IMAGENET1K_V2'), invalid)
  await t.throwsAsync(downloadWeights('wide_resnet50_2'), { code: 'ERR_DOWNLOAD', message: /wide_resnet50_2-95faca4d/ })
})
