// The orientation tag of cameras: ignored, or obeyed on request, alike in every format.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import sharp from 'sharp'
import { ImageDataLoaders, imageSize, type Orientation, openImage, Resize } from 'torch-learner'
import { coded, pattern, picture, temporaryFolder } from './helpers/pictures.js'

const [WIDTH, HEIGHT] = [10, 6]

/** Where Pillow's exif_transpose takes the pixel at (x, y) of the upright picture from. */
const SOURCES: Record<number, (x: number, y: number) => [x: number, y: number]> = {
  1: (x, y) => [x, y],
  2: (x, y) => [WIDTH - 1 - x, y],
  3: (x, y) => [WIDTH - 1 - x, HEIGHT - 1 - y],
  4: (x, y) => [x, HEIGHT - 1 - y],
  5: (x, y) => [y, x],
  6: (x, y) => [y, HEIGHT - 1 - x],
  7: (x, y) => [WIDTH - 1 - y, HEIGHT - 1 - x],
  8: (x, y) => [WIDTH - 1 - y, x],
}

function turned(stored: Uint8Array, orientation: number): Uint8Array {
  const width = orientation < 5 ? WIDTH : HEIGHT
  return Uint8Array.from({ length: stored.length }, (_, i) => {
    const [x, y] = SOURCES[orientation](Math.floor(i / 3) % width, Math.floor(i / 3 / width))
    return stored[3 * (y * WIDTH + x) + (i % 3)]
  })
}

test('as it is stored by default, upright with exif: in every format', async t => {
  const folder = await temporaryFolder(t)
  for (let orientation = 1; orientation <= 8; orientation++) {
    for (const format of ['png', 'jpeg', 'tiff', 'webp'] as const) {
      const file = join(folder, `${orientation}.${format}`)
      await picture(WIDTH, HEIGHT).toFormat(format, { lossless: true }).withMetadata({ orientation }).toFile(file)
      const stored = await openImage(file)
      t.deepEqual([stored.width, stored.height], [WIDTH, HEIGHT], file)
      t.deepEqual(await imageSize(file), { width: WIDTH, height: HEIGHT })
      if (format === 'png' || format === 'webp')
        t.deepEqual(Buffer.from(stored.data), Buffer.from(pattern(WIDTH, HEIGHT, 3)))
      const upright = await openImage(file, { orientation: 'exif' })
      const [width, height] = orientation < 5 ? [WIDTH, HEIGHT] : [HEIGHT, WIDTH]
      t.deepEqual([upright.width, upright.height], [width, height], file)
      t.deepEqual(await imageSize(file, { orientation: 'exif' }), { width, height })
      t.deepEqual(Buffer.from(upright.data), Buffer.from(turned(stored.data, orientation)), file)
    }
  }
})

test('a photograph that is made smaller while it is decoded', async t => {
  const folder = await temporaryFolder(t)
  const wide = picture(640, 480)
  const [tagged, whole] = ['tagged.jpg', 'whole.png'].map(name => join(folder, name))
  await wide.clone().jpeg({ quality: 95, chromaSubsampling: '4:4:4' }).withMetadata({ orientation: 6 }).toFile(tagged)
  await sharp(await sharp(tagged).autoOrient().png().toBuffer()).toFile(whole)
  const show = async (file: string, orientation: Orientation) => {
    const options = { bs: 2, shuffle: false, itemTfms: new Resize([40, 30]), validPct: 0.25, seed: 1, orientation }
    const dls = await ImageDataLoaders.fromLists('.', Array<string>(8).fill(file), [...'abababab'], options)
    const [x, y] = await dls.oneBatch()
    const pixels = Array.from(await x.data(), Number)
    for (const tensor of [x, y]) tensor.dispose()
    return pixels
  }
  const [upright, expected, stored] = [
    await show(tagged, 'exif'),
    await show(whole, 'ignore'),
    await show(tagged, 'ignore'),
  ]
  const off = (pixels: number[]) =>
    pixels.reduce((sum, value, i) => sum + Math.abs(value - expected[i]), 0) / pixels.length
  // floats from 0 to 1; a JPEG that is made smaller while it is decoded is a level off on average
  t.true(off(upright) < 2 / 255, `off by ${off(upright)}`)
  t.true(off(stored) > 3 * off(upright), `off by ${off(stored)}`)
})

test('damaged and senseless tags are none', async t => {
  const file = join(await temporaryFolder(t), 'a.jpg')
  const bytes = await picture(WIDTH, HEIGHT).jpeg().withMetadata({ orientation: 6 }).toBuffer()
  const at = bytes.indexOf('Exif') + 6
  for (const [offset, value] of [
    [0, 0],
    [4, 0xff],
    [8, 0xff],
  ]) {
    const spoilt = Buffer.from(bytes)
    spoilt[at + offset] = value
    await writeFile(file, spoilt)
    const { width, height } = await openImage(file, { orientation: 'exif' })
    t.is(width * height, WIDTH * HEIGHT)
  }
})

test('other words than these two', async t => {
  const options = { orientation: 'upright' }
  const wanted = /'ignore' or 'exif' for .*orientation but received/
  await coded(t, () => Reflect.apply(openImage, null, ['a.png', options]), 'ERR_INVALID_ARG', wanted)
  await coded(t, () => Reflect.apply(imageSize, null, ['a.png', options]), 'ERR_INVALID_ARG', wanted)
})
