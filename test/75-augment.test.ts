// augTransforms: pixels as the reference made them from the same draws; what is random, and what isn't.
import { join } from 'node:path'
import test from 'ava'
import {
  AffineAugment,
  type AffineAugmentOptions,
  augTransforms,
  BatchResizedCrop,
  type BatchTransform,
  ImageDataLoaders,
  imagenetStats,
  LightingAugment,
  manualSeed,
  Normalize,
  ones,
  ops,
  RandomErasing,
  rand,
  type Tensor,
  tensor,
} from 'torch-learner'
import { assertClose, assertNumbers, type Fixture, golden, numbersOf, toTensor } from './helpers/golden.js'
import { classFolders, coded, temporaryFolder } from './helpers/pictures.js'

interface Case {
  op: string
  args: { draw?: number[]; draw_x?: number[]; draw_y?: number[]; pad_mode?: 'zeros'; size?: number }
  x: Fixture
  out: Fixture
}
const recorded = golden<{
  cases: Case[]
  aug_transforms: Record<string, { type: string; aff?: { fn: string }[]; coord?: object[]; fs?: object[] }[]>
}>('augment')

function affine(options: AffineAugmentOptions): (x: Tensor) => Tensor {
  return x => new AffineAugment(options).encodes(x, 'cpu', true)
}

/** The transform of a recorded case, with its draws. */
function transformOf({ op, args }: Case): (x: Tensor) => Tensor {
  const { draw, draw_x: drawX, draw_y: drawY, pad_mode: padMode, size } = args
  switch (op) {
    case 'flip_batch':
      return affine({ flip: { draw } })
    case 'dihedral_batch':
      return affine({ dihedral: { draw } })
    case 'zoom':
      return affine({ zoom: { draw, drawX, drawY } })
    case 'warp':
      return affine({ warp: { drawX, drawY } })
    case 'brightness':
      return x => new LightingAugment({ brightness: { draw } }).encodes(x)
    case 'contrast':
      return x => new LightingAugment({ contrast: { draw } }).encodes(x)
    case 'normalize_imagenet':
      return x => Normalize.fromStats(imagenetStats).encodes(x, 'cpu')
    default:
      return affine({ rotate: { draw }, padMode, size })
  }
}

for (const recording of recorded.cases) {
  const { op, args, x, out } = recording
  test(`${op} ${JSON.stringify(args).slice(0, 60)}`, async t => {
    const input = toTensor(x)
    await assertClose(t, transformOf(recording)(input), out, { atol: 1e-4, rtol: 0 }, op)
    const last = toTensor(x).to({ memoryFormat: 'channels_last' })
    const transformed = transformOf(recording)(last)
    await assertClose(t, transformed, out, { atol: 1e-4, rtol: 0 }, `${op}, channels_last`)
    // the way by which gradients flow, and other devices compute
    const watched = toTensor(x)
    watched.requiresGrad = true
    const whole = transformOf(recording)(watched)
    await assertClose(t, whole.detach(), out, { atol: 1e-4, rtol: 0 }, `${op}, differentiable`)
    whole.sum().backward()
    t.true(Number.isFinite(await watched.grad?.abs().sum().item()))
    await assertClose(t, input, x, { atol: 1e-7, rtol: 0 }, `${op}: the input stays`)
  })
}

const variants = {
  default: {},
  size224: { size: 224 },
  min_scale: { minScale: 0.75, size: 224 },
  mult2: { mult: 2 },
  no_flip: { doFlip: false },
  flip_vert: { flipVert: true },
  no_warp: { maxWarp: 0 },
  no_lighting: { maxLighting: 0 },
  no_rotate_zoom: { maxRotate: 0, maxZoom: 1 },
}

test('augTransforms consists of what the reference consists of', t => {
  const camel = (name: string) => name.replace('_mat', '')
  t.deepEqual(Object.keys(variants), Object.keys(recorded.aug_transforms))
  for (const [name, options] of Object.entries(variants)) {
    const expected = recorded.aug_transforms[name]
    const actual = augTransforms(options)
    t.is(actual.length, expected.length, name)
    for (const [i, transform] of actual.entries()) {
      const reference = expected[i]
      if (transform instanceof AffineAugment) {
        const parts = (reference.aff ?? []).map(({ fn }) => camel(fn))
        const own = Object.keys(transform.options).filter(key => ['flip', 'dihedral', 'rotate', 'zoom'].includes(key))
        t.deepEqual(own, parts, name)
        t.is(transform.options.warp !== undefined, reference.coord?.length === 1, name)
        t.is(transform.options.rotate?.maxDeg, name === 'no_rotate_zoom' ? undefined : name === 'mult2' ? 20 : 10)
      } else if (transform instanceof LightingAugment) {
        t.is(transform.options.contrast?.maxLighting, name === 'mult2' ? 0.4 : 0.2)
        t.is(transform.splitIdx, 0)
      } else {
        t.true(transform instanceof BatchResizedCrop && transform.size[0] === 224)
      }
    }
  }
})

const apply = (transforms: BatchTransform[], x: Tensor, training: boolean) =>
  transforms.reduce((value, transform) => transform.encodes(value, 'cpu', training), x)
const numbers = async (x: Tensor) => [...(await x.contiguous().data())]

test.serial('a seed gives the same pictures, each its own', async t => {
  const x = rand([1, 3, 12, 12]).expand([6, 3, 12, 12])
  const run = async () => {
    manualSeed(5)
    return await numbers(apply(augTransforms(), x, true))
  }
  const first = await run()
  t.deepEqual(await run(), first)
  const size = first.length / 6
  t.not(new Set(Array.from({ length: 6 }, (_, i) => first.slice(i * size, (i + 1) * size).join())).size, 1)
  manualSeed(5)
  const same = await numbers(apply(augTransforms({ batch: true, pAffine: 1 }), x, true))
  t.deepEqual(same.slice(0, size), same.slice(size, 2 * size))
})

test.serial('the draws are those of PyTorch for the seed, in the reference’s order', async t => {
  manualSeed(42)
  const drawn = await numbers(ops.torch_learner.augment_draw(ones([4]), 'uniform', -10, 10, 0.75, 0, false) as Tensor)
  manualSeed(42)
  const values = await numbers(ones([4]).uniform_(-10, 10))
  const chosen = await numbers(ones([4]).bernoulli_(0.75))
  t.deepEqual(
    drawn,
    values.map((value, i) => (chosen[i] ? value : 0)),
  )
})

test.serial('probabilities and ranges', async t => {
  manualSeed(1)
  const x = ones([4000])
  const draw = async (...args: Parameters<(typeof ops.torch_learner)[string]>) =>
    (await numbers(ops.torch_learner.augment_draw(x, ...args) as Tensor)).map(Number)
  const some = await draw('uniform', 2, 3, 0.25, 7)
  const changed = some.filter(value => value !== 7)
  t.true(changed.every(value => value >= 2 && value < 3))
  t.true(Math.abs(changed.length / 4000 - 0.25) < 0.03)
  t.deepEqual([...new Set(await draw('whole', 0, 8))].sort(), [0, 1, 2, 3, 4, 5, 6, 7])
  t.is(new Set(await draw('uniform', 0, 1, 0.5, 0, true)).size, 1)
})

test('validation: nothing moves, but the size is taken on', async t => {
  const x = rand([2, 3, 10, 14])
  t.deepEqual(await numbers(apply([augTransforms()[0]], x, false)), await numbers(x))
  const sized = apply([augTransforms({ size: [5, 7] })[0]], x, false)
  t.deepEqual(sized.shape, [2, 3, 5, 7])
  const cropped = apply(augTransforms({ size: 6, minScale: 0.5 }), x, false)
  t.deepEqual(cropped.shape, [2, 3, 6, 6])
  const middle = x.narrow(3, 2, 10)
  const own = new BatchResizedCrop(10, { ratio: [1, 1] }).encodes(x, 'cpu', false)
  assertNumbers(t, (await numbers(own)).map(Number), (await numbers(middle)).map(Number), { atol: 1e-5 })
})

test.serial('a random crop shows a part of the wanted size', async t => {
  manualSeed(3)
  const x = tensor(
    Float32Array.from({ length: 400 }, (_, i) => i / 400),
    { shape: [1, 1, 20, 20] },
  )
  const spans = new Set<number>()
  for (let i = 0; i < 20; i++) {
    const values = await numbers(new BatchResizedCrop(8, { minScale: 0.2, maxScale: 0.5 }).encodes(x, 'cpu', true))
    const span = Math.max(...values.map(Number)) - Math.min(...values.map(Number))
    t.true(span < 0.9 && span > 0.2, `${span}`)
    spans.add(span)
  }
  t.true(spans.size > 5)
})

test.serial('random erasing', async t => {
  manualSeed(2)
  const x = ones([40, 3, 16, 16])
  const erased = new RandomErasing({ p: 0.5, minArea: 0.1, maxArea: 0.3, maxCount: 2 }).encodes(x)
  const shares = (await numbers(erased.ne(1).to({ dtype: 'float32' }).mean([1, 2, 3]))).map(Number)
  const touched = shares.filter(share => share > 0)
  t.true(touched.length > 10 && touched.length < 30, `${touched.length}`)
  t.true(
    touched.every(share => share > 0.05 && share < 0.4),
    `${touched}`,
  )
  t.is(await x.sum().item(), 40 * 3 * 16 * 16)
})

test.serial('in loaders, as the README has it', async t => {
  const folder = await temporaryFolder(t)
  await classFolders(folder, { 'train/cat': 4, 'train/dog': 4, 'valid/cat': 2, 'valid/dog': 2 }, 12)
  const batchTfms = [...augTransforms({ size: 10 }), Normalize.fromStats(imagenetStats)]
  const dls = await ImageDataLoaders.fromFolder(folder, { bs: 4, batchTfms })
  manualSeed(1)
  const [x] = await dls.oneBatch()
  t.deepEqual(x.shape, [4, 3, 10, 10])
  for await (const [v] of dls.valid ?? []) t.deepEqual(v.shape, [4, 3, 10, 10])
  await dls.showBatch({ file: join(folder, 'batch.png') })
})

test('a recorded batch, normalised and shown', async t => {
  const { valid_batch, valid_batch_normalized_x, decoded_show_batch } = golden<{
    valid_batch: { x: Fixture }
    valid_batch_normalized_x: Fixture
    decoded_show_batch: { img: Fixture }[]
  }>('image_dls')
  const x = toTensor(valid_batch.x)
  await assertClose(t, apply(augTransforms().slice(0, 1), x, false), valid_batch.x, { atol: 1e-6 })
  const normalize = Normalize.fromStats(imagenetStats)
  const normalized = normalize.encodes(x, 'cpu')
  await assertClose(t, normalized, valid_batch_normalized_x, { atol: 1e-6, rtol: 1e-6 })
  const shown = (await numbers(normalize.decodes(normalized, 'cpu').mul(255).trunc())).map(Number)
  const expected = decoded_show_batch.flatMap(({ img }) => numbersOf(img))
  // the reference truncates, so that the last bit of a float decides between two numbers
  assertNumbers(t, shown, expected, { atol: 1, rtol: 0 })
})

test('wrong input', async t => {
  const bad = (options: object, message: RegExp) =>
    coded(t, () => Reflect.apply(augTransforms, null, [options]), 'ERR_INVALID_ARG', message)
  await bad({ maxrotate: 1 }, /only mult, doFlip/)
  await bad({ pAffine: 2 }, /a number from 0 to 1 for augTransforms's pAffine but received 2/)
  await bad({ size: 0 }, /a whole number from 1/)
  await bad({ minZoom: 2 }, /up to maxZoom for augTransforms's minZoom but received 2/)
  await bad({ maxLighting: 0.6, mult: 2 }, /below 1 \/ mult/)
  await bad({ minScale: 0.5 }, /which minScale needs/)
  await coded(t, () => new RandomErasing({ p: 2 }), 'ERR_INVALID_ARG', /RandomErasing's p/)
  const wrong = (x: Tensor, options: AffineAugmentOptions) => affine(options)(x).data()
  await t.throwsAsync(wrong(ones([2, 3, 4, 4]), { rotate: { draw: [1, 2, 3] } }), { message: /Expected 2 draws/ })
  await t.throwsAsync(wrong(ones([2, 3, 4]), { rotate: { draw: 1 } }), { message: /Expected pictures \(N, C, H, W\)/ })
  await t.throwsAsync(wrong(ones([2, 3, 4, 4], { dtype: 'uint8' }), { rotate: { draw: 1 } }), {
    message: /convert it to/,
  })
})
