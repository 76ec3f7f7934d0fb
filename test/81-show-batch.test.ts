// showBatch: a batch's pictures, denormalised, with their labels.
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import sharp from 'sharp'
import {
  DataLoader,
  DataLoaders,
  IntToFloatTensor,
  imagenetStats,
  Normalize,
  rand,
  type Tensor,
  TensorDataset,
  tensor,
} from 'torch-learner'
import { coded, temporaryFolder } from './helpers/pictures.js'

/** Plain red, green, blue and grey pictures of 6 x 6, normalised. */
function colors(): DataLoaders {
  const rgb = [
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255],
    [100, 100, 100],
  ]
  const pixels = rgb.flatMap(color => color.flatMap(value => Array<number>(36).fill(value)))
  const data = new TensorDataset(
    tensor(Uint8Array.from(pixels), { shape: [4, 3, 6, 6] }),
    tensor([0, 1, 2, 0], { dtype: 'int64' }),
  )
  const loader = new DataLoader(data, {
    bs: 4,
    batchTfms: [new IntToFloatTensor(), Normalize.fromStats(imagenetStats)],
  })
  return new DataLoaders(loader, loader, { vocab: ['red', 'green', 'blue'] })
}

async function shades(file: string): Promise<Map<string, number>> {
  const { data } = await sharp(file).removeAlpha().raw().toBuffer({ resolveWithObject: true })
  const found = new Map<string, number>()
  for (let i = 0; i < data.length; i += 3) {
    const key = `${data[i]},${data[i + 1]},${data[i + 2]}`
    found.set(key, (found.get(key) ?? 0) + 1)
  }
  return found
}

async function target(t: ExecutionContext<unknown>, name = 'batch.png'): Promise<string> {
  return join(await temporaryFolder(t), name)
}

test('pictures in their own colours', async t => {
  const file = await target(t)
  t.is(await colors().showBatch({ file }), file)
  const found = await shades(file)
  for (const color of ['255,0,0', '0,255,0', '0,0,255', '100,100,100']) t.is(found.get(color), (2 * 150) ** 2, color)
})

test('labels by name, or the titles given; rows and columns', async t => {
  const file = await target(t, 'batch.svg')
  const dls = colors()
  const texts = async (options = {}) => {
    await dls.showBatch({ file, ...options })
    return [...(await readFile(file, 'utf8')).matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => text)
  }
  t.deepEqual(await texts(), ['red', 'green', 'blue', 'red'])
  t.deepEqual(await texts({ maxN: 2 }), ['red', 'green'])
  t.deepEqual(await texts({ rows: 1, cols: 3 }), ['red', 'green', 'blue'])
  t.deepEqual(await texts({ titles: ['a', 'b'], title: 'All' }), ['All', 'a', 'b'])
})

test("a batch of one's own: mixed labels, plain numbers, none, one channel", async t => {
  const file = await target(t, 'batch.svg')
  const [x] = await colors().oneBatch()
  const texts = async (b: Parameters<DataLoaders['showBatch']>[0]) => {
    await colors().showBatch({ file, ...b })
    return [...(await readFile(file, 'utf8')).matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => text)
  }
  const two = x.narrow(0, 0, 2)
  t.deepEqual(
    await texts({
      b: [
        two,
        tensor([
          [0.7, 0.3, 0],
          [0, 0, 1],
        ]),
      ],
    }),
    ['red 0.70 + green 0.30', 'blue'],
  )
  t.deepEqual(await texts({ b: [two, tensor([1.5, 0.25])] }), ['1.5', '0.25'])
  t.deepEqual(await texts({ b: [[two]] }), [])
  t.deepEqual(await texts({ b: [two.narrow(1, 0, 1), tensor([0, 1])] }), ['red', 'green'])
})

test('several labels, numbers, masks', async t => {
  const file = await target(t, 'batch.svg')
  const dls = colors()
  const [x] = await dls.oneBatch()
  const texts = async (y: Tensor, loaders = dls) => {
    await loaders.showBatch({ file, b: [x.narrow(0, 0, y.shape[0]), y] })
    return [...(await readFile(file, 'utf8')).matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => text)
  }
  const several = tensor([
    [1, 0, 1],
    [0, 0, 0],
    [0, 1, 0],
  ])
  t.deepEqual(await texts(several), ['red, blue', 'none', 'green'])
  const pairs = tensor([
    [0.123456, -11.5],
    [1e-5, 123456],
  ])
  t.deepEqual(await texts(pairs), ['0.1235, -11.5', '1e-5, 123500'])
  t.deepEqual(await texts(tensor([[1, 2, 3, 4, 5]])), ['1, 2, 3, 4, …'])
  t.deepEqual(
    await texts(
      tensor([
        [
          [1, 2],
          [3, 4],
        ],
      ]),
    ),
    ['1, 2, 3, 4'],
  )
  t.deepEqual(await texts(rand([2, 6, 6])), [], 'a mask')
  const one = new DataLoaders([[x]], undefined, { vocab: ['cat'] })
  t.deepEqual(await texts(tensor([[1], [0]]), one), ['cat', 'none'], 'several labels of one class')
})

test('grey pictures that three channels’ statistics normalised', async t => {
  const grey = tensor(
    Uint8Array.from({ length: 36 }, () => 100),
    { shape: [1, 1, 6, 6] },
  )
  const tfms = [new IntToFloatTensor(), Normalize.fromStats(imagenetStats)]
  const loader = new DataLoader(new TensorDataset(grey), { bs: 1, batchTfms: tfms })
  const file = await target(t)
  await new DataLoaders(loader).showBatch({ file })
  t.is((await shades(file)).get('100,100,100'), 300 ** 2)
})

test('the pictures of a theme: an SVG follows the viewer, unless told', async t => {
  const file = await target(t, 'batch.svg')
  const text = async (options = {}) => readFile(await colors().showBatch({ file, ...options }), 'utf8')
  t.true((await text()).includes('prefers-color-scheme:dark'))
  t.false((await text({ theme: 'dark' })).includes('prefers-color-scheme:dark'))
})

test('the folder is made, an older file replaced', async t => {
  const file = await target(t, 'new/batch.png')
  await colors().showBatch({ file, maxN: 1 })
  const before = (await stat(file)).size
  await colors().showBatch({ file })
  t.true((await stat(file)).size > before)
})

test('bad input', async t => {
  const dls = colors()
  const expect = (options: object, message: RegExp) =>
    coded(t, () => dls.showBatch(options), 'ERR_INVALID_ARG', message)
  await expect({ b: [tensor([1, 2])] }, /pictures of shape \(N, 1, H, W\) or \(N, 3, H, W\) for b but received \[2\]/)
  await expect({ b: [] }, /an array of tensors: inputs, then targets, for showBatch's b/)
  await expect({ b: 5 }, /an array of tensors/)
  await expect({ rows: 0 }, /a whole number from 1 for showBatch's rows but received 0/)
  await expect({ file: 'x.gif' }, /a path that ends in .png or .svg for file/)
  await expect({ fiel: 'x.png' }, /only b, rows, .* but received "fiel"/)
})
