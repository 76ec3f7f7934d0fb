// visionLearner and learn.load on weights of one's own: other numbers of classes, checkpoints of PyTorch scripts.
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import {
  CrossEntropyLossFlat,
  loadPth,
  manualSeed,
  nn,
  ResNet,
  resnet18,
  type Tensor,
  visionLearner,
  zeros,
} from 'torch-learner'
import { tinyLearner } from './helpers/learning.js'
import { dictPickle, int, pickled, tensorPickle, text } from './helpers/pth.js'
import { zip } from './helpers/zip.js'

const folder = await mkdtemp(join(tmpdir(), 'torch-learner-own-'))
const batch = [zeros([2, 3, 32, 32]), zeros([2], { dtype: 'int64' })]
const dls = () => ({ train: [batch], valid: [batch], vocab: ['a', 'b', 'c'] })
const lossFunc = new CrossEntropyLossFlat()
const first = async (tensor: Tensor | undefined) => await tensor?.detach().flatten().narrow(0, 0, 5).toArray()

test('a ResNet whose classifier has another number of classes, or none, is a start for visionLearner', async t => {
  manualSeed(3)
  const state = new Map([...resnet18().stateDict(), ['fc.weight', zeros([7, 512])], ['fc.bias', zeros([7])]])
  const headless = new Map([...state].filter(([name]) => !name.startsWith('fc.')))
  const other = new Map([...headless, ['fc.1.weight', zeros([7, 512])], ['fc.1.bias', zeros([7])]])
  for (const weights of [state, headless, other]) {
    const learn = visionLearner(dls(), resnet18, { lossFunc, weights })
    const made = learn.model.stateDict()
    t.deepEqual(await first(made.get('0.0.weight')), await first(state.get('conv1.weight')))
    t.deepEqual(await first(made.get('0.7.1.conv2.weight')), await first(state.get('layer4.1.conv2.weight')))
  }
  const gray = visionLearner(dls(), resnet18, { lossFunc, weights: state, nIn: 1, nOut: 2 })
  t.deepEqual(gray.model.stateDict().get('0.0.weight')?.shape, [64, 1, 7, 7])
})

test('what does not fit the body is still refused', t => {
  const net = resnet18()
  const without = new Map([...net.stateDict()].filter(([name]) => name !== 'layer1.0.conv1.weight'))
  const refused = (message: RegExp) => ({ code: 'ERR_STATE_DICT', message })
  t.throws(
    () => visionLearner(dls(), resnet18, { lossFunc, weights: without }),
    refused(/1 key missing: layer1\.0\.conv1\.weight$/),
  )
  const more = new Map([...net.stateDict(), ['layer5.weight', zeros([1])]])
  t.throws(
    () => visionLearner(dls(), resnet18, { lossFunc, weights: more }),
    refused(/1 key unexpected: layer5\.weight/),
  )
  const shaped = new Map([...net.stateDict(), ['conv1.weight', zeros([64, 1, 7, 7])]])
  t.throws(
    () => visionLearner(dls(), resnet18, { lossFunc, weights: shaped }),
    refused(/of another shape: conv1\.weight/),
  )
})

test('own architectures are cut where they are told', async t => {
  const make = (classes: number) =>
    new nn.Sequential(new nn.Conv2d(3, 4, 3), new nn.AdaptiveAvgPool2d(1), new nn.Flatten(), new nn.Linear(4, classes))
  const saved = make(9)
  const learn = visionLearner(dls(), () => make(5), { lossFunc, weights: saved.stateDict(), cut: 1 })
  t.deepEqual(await first(learn.model.stateDict().get('0.0.weight')), await first(saved.stateDict().get('0.weight')))
  t.false(learn.model instanceof ResNet)
})

test('learn.load takes the key of a PyTorch checkpoint', async t => {
  const weight = tensorPickle({ key: '0', elements: 54, size: [3, 18], stride: [18, 1] })
  const bias = tensorPickle({ key: '1', elements: 3, size: [3], stride: [1] })
  const state = pickled('}(', text('1.weight'), weight, text('1.bias'), bias, 'u')
  const pickle = dictPickle([
    ['epoch', int(3)],
    ['model_state_dict', state],
  ])
  const file = join(folder, 'script.pth')
  const bytes = Buffer.from(Float32Array.of(1, 2, 3).buffer)
  await writeFile(file, zip({ 'x/data.pkl': pickle, 'x/data/0': Buffer.alloc(216), 'x/data/1': bytes }))
  const learn = tinyLearner({ path: folder })
  await t.throwsAsync(learn.load(file), { code: 'ERR_FILE_FORMAT', message: /\{ key: 'model_state_dict' \}/ })
  await learn.load(file, { key: 'model_state_dict' })
  t.deepEqual(await learn.model.stateDict().get('1.bias')?.toArray(), [1, 2, 3])
  t.deepEqual((await loadPth(file, { key: 'model_state_dict' })).size, 2)
  await learn.save('own')
  await t.throwsAsync(learn.load('own', { key: 'model' }), { code: 'ERR_INVALID_ARG' })
  await t.throwsAsync(learn.load(file, { key: Object(1) }), { code: 'ERR_INVALID_ARG' })
})
