// Crop, pad and squish: boxes and pixels as the reference made them with Pillow.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import sharp from 'sharp'
import { openImage, Resize, type ResizeOptions } from 'torch-learner'
import { decodeInto } from '../dist/vision/decode/decode.js'
import { golden } from './helpers/golden.js'
import { coded, pattern, picture, temporaryFolder } from './helpers/pictures.js'

type Size = number | [number, number]
interface Recording {
  geometry: {
    w: number
    h: number
    size: Size
    method: 'crop' | 'pad' | 'squish'
    pcts: [number, number]
    crop_size: [number, number]
    top_left: [number, number]
    resize_to: [number, number]
  }[]
  pixels: {
    png_base64: string
    size: Size
    method: 'crop' | 'pad' | 'squish'
    pad_mode: 'zeros' | 'border' | 'reflection'
    out_hwc: { shape: number[]; data: number[] }
  }[]
}
const recorded = golden<Recording>('resize')

async function resized(file: string, transform: Resize, place = [0.5, 0.5]): Promise<Uint8Array> {
  const out = new Uint8Array(transform.width * transform.height * 3)
  const steps = transform.steps(true)
  const draws = Float64Array.from(place.slice(0, steps[0].random ? 2 : 0))
  await decodeInto([file], draws, out, [0], { steps, maxPixels: 1e8 })
  return out
}

test('the box of the reference', t => {
  for (const { w, h, size, method, pcts, crop_size, top_left, resize_to } of recorded.geometry) {
    const transform = new Resize(size, { method })
    t.deepEqual([transform.width, transform.height], resize_to)
    const { left, top, width, height } = transform.box(w, h, pcts)
    t.deepEqual([[width, height], [left, top].map(value => value + 0)], [crop_size, top_left], `${w} x ${h} ${method}`)
  }
})

test('the pixels of Pillow', async t => {
  const file = join(await temporaryFolder(t), 'a.png')
  for (const { png_base64, size, method, pad_mode: padMode, out_hwc } of recorded.pixels) {
    await writeFile(file, Buffer.from(png_base64, 'base64'))
    t.deepEqual(
      [...(await resized(file, new Resize(size, { method, padMode })))],
      out_hwc.data,
      `${method} ${padMode} ${size}`,
    )
  }
})

test('the box is where it is told, in pictures of any decoder', async t => {
  const folder = await temporaryFolder(t)
  const pixels = pattern(30, 20, 3)
  for (const format of ['png', 'webp'] as const) {
    const file = join(folder, `a.${format}`)
    await writeFile(
      file,
      await (format === 'png' ? picture(30, 20).png() : picture(30, 20).webp({ lossless: true })).toBuffer(),
    )
    const out = await resized(file, new Resize(20), [1, 0.5])
    t.deepEqual([...out.subarray(0, 60)], [...pixels.subarray(30, 90)], format)
  }
})

test('large JPEGs are decoded smaller, and look the same', async t => {
  const file = join(await temporaryFolder(t), 'a.jpg')
  await writeFile(file, await picture(900, 700).jpeg({ quality: 95 }).toBuffer())
  const png = join(await temporaryFolder(t), 'a.png')
  const { data, width, height } = await openImage(file)
  await writeFile(
    png,
    await sharp(data, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer(),
  )
  for (const method of ['crop', 'squish'] as const) {
    const transform = new Resize(64, { method })
    const [small, whole] = [await resized(file, transform, [0.3, 0.3]), await resized(png, transform, [0.3, 0.3])]
    const total = small.reduce((sum, value, i) => sum + Math.abs(value - whole[i]), 0)
    t.true(total / small.length < 1, `${method}: off by ${total / small.length} on average`)
  }
})

test('extreme shapes', async t => {
  const file = join(await temporaryFolder(t), 'a.png')
  await writeFile(file, await picture(300, 1).png().toBuffer())
  for (const method of ['crop', 'pad', 'squish'] as const) {
    for (const padMode of ['zeros', 'border', 'reflection'] as const) {
      t.is((await resized(file, new Resize([7, 3], { method, padMode }))).length, 63)
    }
  }
})

test('bad input', async t => {
  const make =
    (size: unknown, options: unknown = {}) =>
    () =>
      Reflect.construct(Resize, [size, options])
  await coded(
    t,
    make(0),
    'ERR_INVALID_ARG',
    /^Expected a whole number from 1 to 16384 or \[height, width\] for size but received 0/,
  )
  await coded(t, make([32]), 'ERR_INVALID_ARG', /for size but received \[32\] of type array/)
  await coded(t, make('32'), 'ERR_INVALID_ARG', /received "32" of type string/)
  await coded(
    t,
    make(32, { method: 'stretch' }),
    'ERR_INVALID_ARG',
    /crop, pad or squish for Resize's method but received "stretch"/,
  )
  const wrong: ResizeOptions = { padMode: 'zeros' }
  await coded(t, make(32, { ...wrong, padmode: 1 }), 'ERR_INVALID_ARG', /only method, padMode for Resize's options/)
})
