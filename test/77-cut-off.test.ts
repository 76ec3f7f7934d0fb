// Files that lack their end, or parts of it: refused in every format, by openImage and verifyImages alike.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { openImage, verifyImages } from 'torch-learner'
import { coded, picture, temporaryFolder } from './helpers/pictures.js'

test('TIFF: uncompressed, packed and JPEG, cut off', async t => {
  const folder = await temporaryFolder(t)
  const files: string[] = []
  for (const compression of ['none', 'lzw', 'deflate', 'packbits', 'jpeg'] as const) {
    const whole = await picture(64, 48).tiff({ compression }).toBuffer()
    const good = join(folder, `${compression}.tiff`)
    await writeFile(good, whole)
    t.is((await openImage(good)).width, 64)
    for (const share of [0.5, 0.7, 0.95]) {
      const file = join(folder, `${compression}-${share}.tiff`)
      // the directory that tells where the pixels are may be at the end: then nothing of the picture is left
      await writeFile(file, whole.subarray(0, Math.floor(whole.length * share)))
      await coded(t, () => openImage(file), 'ERR_DECODE', /damaged or cut off|in a format known here/)
      files.push(file)
    }
  }
  const bad = await verifyImages(files, { onProgress: () => undefined })
  t.deepEqual(
    bad.map(({ file }) => file),
    files,
  )
})

/** An uncompressed TIFF whose directory comes before its pixels, as Pillow and cameras write it. */
function plainTiff(width: number, height: number): Buffer {
  const entries = [
    [256, width],
    [257, height],
    [258, 8],
    [259, 1],
    [262, 1],
    [273, 0],
    [277, 1],
    [278, height],
    [279, width * height],
  ]
  const start = 8 + 2 + 12 * entries.length + 4
  const file = Buffer.alloc(start + width * height, 77)
  file.write('II*\0')
  file.writeUInt32LE(8, 4)
  file.writeUInt16LE(entries.length, 8)
  for (const [i, [tag, value]] of entries.entries()) {
    const at = 10 + 12 * i
    file.writeUInt16LE(tag, at)
    file.writeUInt16LE(4, at + 2)
    file.writeUInt32LE(1, at + 4)
    file.writeUInt32LE(tag === 273 ? start : value, at + 8)
  }
  file.writeUInt32LE(0, start - 4)
  return file
}

test('TIFF with its directory at the start', async t => {
  const file = join(await temporaryFolder(t), 'a.tiff')
  const whole = plainTiff(60, 40)
  await writeFile(file, whole)
  t.true((await openImage(file)).data.every(value => value === 77))
  for (const share of [0.3, 0.7, 0.99]) {
    await writeFile(file, whole.subarray(0, Math.floor(whole.length * share)))
    await coded(t, () => openImage(file), 'ERR_DECODE', /the TIFF is damaged or cut off/)
    t.is((await verifyImages([file], { onProgress: () => undefined })).length, 1)
  }
})

test('a GIF with a zeroed tail', async t => {
  const file = join(await temporaryFolder(t), 'a.gif')
  const whole = await picture(64, 48).gif().toBuffer()
  for (const share of [0.6, 0.9]) {
    const from = Math.floor(whole.length * share)
    await writeFile(file, Buffer.concat([whole.subarray(0, from), Buffer.alloc(whole.length - from)]))
    await coded(t, () => openImage(file), 'ERR_DECODE', /the GIF is damaged or cut off: premature end of the file$/)
  }
})
