// Pictures of every kind, pixel by pixel as Pillow reads them: by the addon's decoders, and by sharp in their place.
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inflateSync } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import { imageSize, openImage, type RgbPicture } from 'torch-learner'
import { decodeBySharp, sizeBySharp } from '../dist/vision/decode/sharp.js'
import { coded, temporaryFolder } from './helpers/pictures.js'

/** Made by test/fixtures/make_pictures.py; no pixels where Pillow refuses the file. */
interface Recording {
  name: string
  file: string
  width: number
  height: number
  pixels: string | null
}
const recordings = JSON.parse(
  readFileSync(new URL('./fixtures/pictures.json', import.meta.url), 'utf8'),
) as readonly Recording[]

/**
 * How far a level may be off. JPEG is exact with libjpeg-turbo, whose kin Pillow uses. For AVIF with colours at half the resolution, two
 * libraries fill the pixels between in two ways; this picture has waves of seven pixels, photographs differ much less.
 */
const tolerance = (name: string) => {
  if (name === 'rgb.avif') return { most: 48, mean: 10 }
  if (name.endsWith('.avif')) return { most: 2, mean: 0.5 }
  return name.endsWith('.jpg') ? { most: 2, mean: 0.1 } : { most: 0, mean: 0 }
}

function agrees(t: ExecutionContext, { name, pixels, ...size }: Recording, { data, width, height }: RgbPicture): void {
  t.deepEqual([width, height], [size.width, size.height], name)
  const expected = inflateSync(Buffer.from(pixels ?? '', 'base64'))
  t.is(data.length, expected.length, name)
  const off = Array.from(data, (value, i) => Math.abs(value - expected[i]))
  const { most, mean } = tolerance(name)
  t.true(Math.max(...off) <= most, `${name}: off by ${Math.max(...off)}`)
  const average = off.reduce((sum, value) => sum + value, 0) / off.length
  t.true(average <= mean, `${name}: off by ${average} on average`)
}

/** Pillow turns TIFF by itself, and nothing else. */
const orientationOf = ({ name }: Recording) => (name.endsWith('.tiff') ? 'exif' : 'ignore')

/** A file without its end. */
const ENDLESS = /damaged or cut off|premature end/

test('as they come', async t => {
  const folder = await temporaryFolder(t)
  for (const recording of recordings) {
    const file = join(folder, recording.name)
    await writeFile(file, Buffer.from(recording.file, 'base64'))
    if (recording.pixels === null) {
      await coded(t, () => openImage(file), 'ERR_DECODE', ENDLESS)
      continue
    }
    const orientation = orientationOf(recording)
    agrees(t, recording, await openImage(file, { orientation }))
    const { width, height } = recording
    t.deepEqual(await imageSize(file, { orientation }), { width, height })
  }
})

test('by sharp alone', async t => {
  const folder = await temporaryFolder(t)
  for (const recording of recordings) {
    const file = join(folder, recording.name)
    await writeFile(file, Buffer.from(recording.file, 'base64'))
    // sharp doesn't read it, so the addon always does
    if (file.endsWith('.bmp'))
      await coded(t, () => decodeBySharp(file, { maxPixels: 1e6 }), 'ERR_DECODE', /in a format known here$/)
    else if (recording.pixels === null)
      await coded(t, () => decodeBySharp(file, { maxPixels: 1e6 }), 'ERR_DECODE', ENDLESS)
    else {
      const upright = orientationOf(recording) === 'exif'
      agrees(t, recording, await decodeBySharp(file, { maxPixels: 1e6, upright }))
      const { width, height } = await sizeBySharp(file, upright)
      t.deepEqual([width, height], [recording.width, recording.height])
    }
  }
})

test('the recordings have what they are about', t => {
  const names = new Set(recordings.map(({ name }) => name))
  for (const name of ['cmyk.jpg', 'ycck.jpg', 'grey16.png', 'palette2-transparent.png', 'turned.jpg', 'runs8.bmp']) {
    t.true(names.has(name), name)
  }
  t.deepEqual(
    recordings.filter(({ pixels }) => pixels === null).map(({ name }) => name),
    ['without-end.jpg', 'cut.jpg'],
  )
})
