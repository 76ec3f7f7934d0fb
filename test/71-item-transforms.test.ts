// CropPad, RandomCrop, RandomResizedCrop and transforms of one's own: boxes, pixels, order.
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import sharp from 'sharp'
import {
  CropPad,
  ImageDataLoaders,
  type ImageDataLoadersOptions,
  ItemTransform,
  openImage,
  RandomCrop,
  RandomResizedCrop,
  Resize,
  type RgbPicture,
} from 'torch-learner'
import { decodeInto } from '../dist/vision/decode/decode.js'
import { planOf } from '../dist/vision/transforms/item-transform.js'
import { boxOf } from '../dist/vision/transforms/resize.js'
import { classFolders, coded, picture, temporaryFolder } from './helpers/pictures.js'

interface Recording {
  boxes: {
    picture: [number, number]
    scale: [number, number]
    ratio: [number, number]
    draws: number[]
    box: [number, number, number, number]
  }[]
  cases: {
    name: string
    picture: [number, number]
    width: number
    height: number
    padMode?: 'zeros' | 'border' | 'reflection'
    draws?: number[]
    valid?: boolean
    pixels: number[]
  }[]
}
const recorded: Recording = JSON.parse(
  readFileSync(new URL('./fixtures/item_transforms.json', import.meta.url), 'utf8'),
)

/** The pattern of make_item_transforms.py, as a PNG file. */
async function patternFile(folder: string, width: number, height: number): Promise<string> {
  const pixels = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)]
    return (x * 7 + y * 13 + c * 29 + ((x * y) % 11) * 5) % 256
  })
  const file = join(folder, `${width}x${height}.png`)
  const png = sharp(pixels, { raw: { width, height, channels: 3 } }).png()
  await writeFile(file, await png.toBuffer())
  return file
}

async function transformed(
  file: string,
  transforms: ItemTransform[],
  draws: readonly number[] = [],
  training = true,
): Promise<Uint8Array> {
  const plan = planOf(transforms, { maxPixels: 1e8 }, { width: 1, height: 1 })
  const request = training ? plan.train : plan.valid
  const { width, height } = request.steps[request.steps.length - 1]
  const out = new Uint8Array(width * height * 3)
  await decodeInto([file], Float64Array.from(draws), out, [0], request)
  return out
}

test('RandomResizedCrop shows the part that the formulas say', t => {
  for (const {
    picture: [width, height],
    scale,
    ratio,
    draws,
    box,
  } of recorded.boxes) {
    const transform = new RandomResizedCrop(16, { minScale: scale[0], maxScale: scale[1], ratio })
    const found = transform.box(width, height, draws)
    t.deepEqual([found.left, found.top, found.width, found.height], box, `${width} x ${height}`)
  }
})

test("Pillow's pixels, within a level", async t => {
  const folder = await temporaryFolder(t)
  for (const { name, picture: size, width, height, padMode, draws, valid, pixels } of recorded.cases) {
    const sides = [height, width] as const
    const transforms: ItemTransform[] =
      name === 'CropPad'
        ? [new CropPad(sides, { padMode })]
        : name === 'RandomCrop'
          ? [new RandomCrop(sides)]
          : [...(name === 'RandomResizedCrop' ? [] : [new Resize(24)]), new RandomResizedCrop(sides)]
    const made = await transformed(await patternFile(folder, ...size), transforms, draws, !valid)
    t.is(made.length, pixels.length)
    const worst = made.reduce((most, value, i) => Math.max(most, Math.abs(value - pixels[i])), 0)
    t.true(worst <= 1, `${name} of ${size} to ${width} x ${height}: off by ${worst}`)
  }
})

const side = fc.integer({ min: 1, max: 700 })
const unit = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })
const draws = (count: number) => fc.array(unit, { minLength: count, maxLength: count })

test('RandomResizedCrop: inside the picture, area and shape in their ranges', t => {
  const share = fc.double({ min: 0.02, max: 1, noNaN: true })
  const shape = fc.double({ min: 0.3, max: 3, noNaN: true })
  fc.assert(
    fc.property(side, side, share, share, shape, shape, draws(22), (width, height, a, b, c, d, numbers) => {
      const [minScale, maxScale] = [Math.min(a, b), Math.max(a, b)]
      const ratio = [Math.min(c, d), Math.max(c, d)] as const
      const box = new RandomResizedCrop(8, { minScale, maxScale, ratio }).box(width, height, numbers)
      t.true(box.left >= 0 && box.top >= 0 && box.width >= 1 && box.height >= 1)
      t.true(box.left + box.width <= width && box.top + box.height <= height)
      // sides are rounded to whole pixels: half a pixel to either side of the exact ones
      const [low, high] = [(box.width - 0.5) / (box.height + 0.5), (box.width + 0.5) / Math.max(0.5, box.height - 0.5)]
      const middle = box.width === width || box.height === height
      t.true(middle || (low <= ratio[1] * 1.0001 && high >= ratio[0] * 0.9999), `${box.width} x ${box.height}`)
      const [least, most] = [(box.width - 0.5) * (box.height - 0.5), (box.width + 0.5) * (box.height + 0.5)]
      const whole = width * height
      t.true(middle || (least <= maxScale * whole * 1.0001 && most >= minScale * whole * 0.9999))
    }),
    { numRuns: 500, seed: 7 },
  )
})

test('RandomResizedCrop: a part that fits is kept, whatever the tries before', t => {
  const transform = new RandomResizedCrop(8, { ratio: [0.5, 2] })
  const misses = Array.from({ length: 9 }, () => [0.999, 0]).flat() // nearly all of the area, twice as high as wide
  const { width, height } = transform.box(100, 100, [...misses, 0.2, 0.5, 0, 0])
  const exact = Math.sqrt((0.08 + 0.92 * 0.2) * 1e4)
  t.deepEqual([width, height], [Math.round(exact), Math.round(exact)])
  t.deepEqual(transform.box(100, 100, [...misses, 0.999, 1, 0.3, 0.3]), { left: 0, top: 0, width: 100, height: 100 })
})

test('RandomCrop: inside the picture, or around it', t => {
  fc.assert(
    fc.property(side, side, side, side, draws(2), (width, height, w, h, numbers) => {
      const box = boxOf(new RandomCrop([h, w]).steps(true)[0], width, height, numbers)
      t.deepEqual([box.width, box.height], [w, h])
      t.true(w <= width ? box.left >= 0 && box.left + w <= width : box.left < 0 && box.left + w >= width)
      t.true(h <= height ? box.top >= 0 && box.top + h <= height : box.top < 0 && box.top + h >= height)
      const still = boxOf(new RandomCrop([h, w]).steps(false)[0], width, height, [])
      t.deepEqual([still.left, still.top], [Math.floor((width - w) / 2), Math.floor((height - h) / 2)])
    }),
    { numRuns: 300, seed: 7 },
  )
})

test('validation takes no random numbers', t => {
  const plan = planOf(
    [new Resize(40), new RandomCrop(36), new RandomResizedCrop(24)],
    { maxPixels: 1e8 },
    { width: 1, height: 1 },
  )
  t.true(plan.valid.steps.every(({ random }) => !random))
  t.true(plan.train.steps.every(({ random }) => random))
  t.deepEqual(
    plan.valid.steps.map(({ width }) => width),
    [40, 36, 32, 24],
  )
  t.is(new RandomResizedCrop(24, { valXtra: 0 }).steps(false).length, 1)
})

test('transforms run by their order: CropPad before resizing', async t => {
  const file = await patternFile(await temporaryFolder(t), 40, 30)
  const one = await transformed(file, [new Resize(12, { method: 'squish' }), new CropPad(20)])
  const other = await transformed(file, [new CropPad(20), new Resize(12, { method: 'squish' })])
  t.deepEqual(one, other)
})

test('large JPEGs: as from all their pixels', async t => {
  const folder = await temporaryFolder(t)
  const photo = picture(90, 70).resize(900, 700)
  const [jpeg, png] = [join(folder, 'a.jpg'), join(folder, 'a.png')]
  await writeFile(jpeg, await photo.jpeg({ quality: 98 }).toBuffer())
  const { data, width, height } = await openImage(jpeg)
  const decoded = sharp(data, { raw: { width, height, channels: 3 } })
  await writeFile(png, await decoded.png().toBuffer())
  const chains: ItemTransform[][] = [
    [new RandomResizedCrop(64)],
    [new Resize(400), new RandomResizedCrop(64)],
    [new CropPad([200, 1000]), new Resize(64)],
  ]
  for (const transforms of chains) {
    const count = planOf(transforms, { maxPixels: 1e8 }, { width: 1, height: 1 }).train.steps.reduce(
      (sum, { method, random }) => sum + (method === 'area' ? 22 : random ? 2 : 0),
      0,
    )
    for (const training of [true, false]) {
      const numbers = Array.from({ length: training ? count : 0 }, (_, i) => (i * 0.37 + 0.2) % 1)
      const [small, whole] = [
        await transformed(jpeg, transforms, numbers, training),
        await transformed(png, transforms, numbers, training),
      ]
      const total = small.reduce((sum, value, i) => sum + Math.abs(value - whole[i]), 0)
      t.true(
        total / small.length < 1.5,
        `${transforms.map(one => one.constructor.name)} ${training}: off by ${total / small.length} on average`,
      )
    }
  }
})

async function firstBatch(folder: string, options: ImageDataLoadersOptions): Promise<number[]> {
  const dls = await ImageDataLoaders.fromFolder(folder, { bs: 6, ...options })
  const [x, y] = await dls.oneBatch()
  const numbers = [...(await x.contiguous().data()), ...(await y.data())].map(Number)
  for (const tensor of [x, y]) tensor.dispose()
  return numbers
}

test('a seed gives the same crops again, however many threads decode', async t => {
  const folder = await temporaryFolder(t)
  await classFolders(folder, { 'train/a': 8, 'train/b': 8, 'valid/a': 2, 'valid/b': 2 }, 20)
  const itemTfms = [new Resize(16), new RandomResizedCrop(8)]
  const one = await firstBatch(folder, { seed: 5, itemTfms, numWorkers: 1 })
  t.deepEqual(await firstBatch(folder, { seed: 5, itemTfms, numWorkers: 3 }), one)
  t.notDeepEqual(await firstBatch(folder, { seed: 6, itemTfms }), one)
})

class Shift extends ItemTransform {
  override encodes({ data, width, height }: RgbPicture, random: () => number, training: boolean) {
    const by = training ? Math.floor(random() * 100) : 0
    return { data: data.map(value => (value + by) % 256), width, height }
  }
}

test('a transform of one’s own', async t => {
  const folder = await temporaryFolder(t)
  await classFolders(folder, { 'train/a': 4, 'train/b': 4, 'valid/a': 2, 'valid/b': 2 }, 20)
  const valid = async (itemTfms: ItemTransform[]) => {
    const dls = await ImageDataLoaders.fromFolder(folder, { bs: 4, itemTfms })
    for await (const [x] of dls.valid ?? []) return [...(await x.contiguous().data())].map(Number)
    return []
  }
  t.deepEqual(await valid([new Shift(), new Resize(8)]), await valid([new Resize(8)]))
  t.deepEqual(await valid([new Shift()]), await valid([]))
  const shifted = await firstBatch(folder, { seed: 2, itemTfms: [new Resize(8), new Shift()] })
  t.deepEqual(await firstBatch(folder, { seed: 2, itemTfms: [new Resize(8), new Shift()] }), shifted)
  t.notDeepEqual(await firstBatch(folder, { seed: 2, itemTfms: [new Resize(8)] }), shifted)
  class Darken extends ItemTransform {
    override encodes(given: RgbPicture) {
      given.data.fill(0)
      return given
    }
  }
  t.true((await valid([new Darken()])).every(value => value === 0))
  class Halve extends ItemTransform {
    override encodes({ data, width, height }: RgbPicture) {
      return { data, width: width / 2, height }
    }
  }
  const message =
    /^Expected a picture \{ data, width: 20, height: 20 \} with 3 bytes a pixel for Halve.encodes's result/
  await coded(t, () => valid([new Halve()]), 'ERR_INVALID_ARG', message)
})

test('wrong options', async t => {
  const make =
    (kind: new (...args: never[]) => ItemTransform, ...args: unknown[]) =>
    () =>
      Reflect.construct(kind, args)
  const expect = (made: () => unknown, message: RegExp) => coded(t, made, 'ERR_INVALID_ARG', message)
  for (const kind of [CropPad, RandomCrop, RandomResizedCrop]) {
    await expect(make(kind, 0), /a whole number from 1 to 16384 or \[height, width\] for size but received 0/)
  }
  await expect(make(CropPad, 8, { padMode: 'wrap' }), /zeros, border or reflection for CropPad's padMode/)
  await expect(make(CropPad, 8, { mode: 'zeros' }), /only padMode for CropPad's options/)
  const scale = /above 0, and at most 1 for RandomResizedCrop's m..Scale/
  for (const minScale of [0, -1, 1.5, Number.NaN]) await expect(make(RandomResizedCrop, 8, { minScale }), scale)
  await expect(make(RandomResizedCrop, 8, { maxScale: 2 }), scale)
  await expect(
    make(RandomResizedCrop, 8, { minScale: 0.5, maxScale: 0.4 }),
    /a number up to maxScale, 0.4, for .*minScale/,
  )
  await expect(make(RandomResizedCrop, 8, { ratio: [2, 1] }), /the lowest width \/ height before the highest/)
  await expect(make(RandomResizedCrop, 8, { ratio: [1] }), /\[lowest, highest\] .* for RandomResizedCrop's ratio/)
  await expect(make(RandomResizedCrop, 8, { valXtra: -1 }), /from 0 to 4 for RandomResizedCrop's valXtra/)
  class Torn extends ItemTransform {
    override steps(training: boolean) {
      return new Resize(training ? 8 : 9).steps(training)
    }
  }
  await expect(
    () => planOf([new Torn()], { maxPixels: 1e8 }, { width: 1, height: 1 }),
    /transforms that end in one size/,
  )
})
