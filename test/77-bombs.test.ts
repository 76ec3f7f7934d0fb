// Small files that would take much memory or time: refused by their headers, in every format; and what only looks like one.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32, deflateSync } from 'node:zlib'
import test from 'ava'
import sharp from 'sharp'
import { imageSize, openImage } from 'torch-learner'
import { native } from '../dist/native/index.js'
import { decodeBySharp } from '../dist/vision/decode/sharp.js'
import { coded, pattern, picture, temporaryFolder } from './helpers/pictures.js'

const codecs = native.imageCodecs()

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(data.length)
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, sum])
}

/** A PNG file of 1-bit grey: its rows, and chunks before them. */
function png(width: number, height: number, rows: Uint8Array, before: Buffer[] = []): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width)
  header.writeUInt32BE(height, 4)
  header[8] = 1
  const chunks = [chunk('IHDR', header), ...before, chunk('IDAT', deflateSync(rows)), chunk('IEND', new Uint8Array())]
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), ...chunks])
}

test('too many pixels, in every format', async t => {
  const folder = await temporaryFolder(t)
  const make = async (format: 'gif' | 'webp' | 'tiff' | 'jpeg' | 'avif', change: (bytes: Buffer) => unknown) => {
    const bytes = await picture(16, 16).toFormat(format, { lossless: true }).toBuffer()
    change(bytes)
    const file = join(folder, `bomb.${format}`)
    await writeFile(file, bytes)
    return file
  }
  /** The place after a mark. */
  const after = (bytes: Buffer, mark: string | Buffer) => bytes.indexOf(mark) + mark.length
  const frame = Buffer.from([0xff, 0xc0])
  const files = [
    await make('gif', bytes => {
      // the decoder takes the frame's size
      const frame = bytes.indexOf(',\0\0\0\0', 13)
      bytes.fill(0x7f, 6, 10)
      bytes.fill(0x7f, frame + 5, frame + 9)
    }),
    await make('webp', bytes => bytes.fill(0xff, after(bytes, 'VP8L') + 5, after(bytes, 'VP8L') + 8)),
    await make('jpeg', bytes => bytes.fill(0xee, after(bytes, frame) + 3, after(bytes, frame) + 7)),
    await make('avif', bytes => {
      bytes.writeUInt32BE(60_000, after(bytes, 'ispe') + 4)
      bytes.writeUInt32BE(60_000, after(bytes, 'ispe') + 8)
    }),
  ]
  for (const file of files) {
    await coded(
      t,
      () => openImage(file),
      'ERR_DECODE',
      /pixels, more than the (100|50)000000 allowed$|damaged or cut off/,
    )
    await coded(
      t,
      () => decodeBySharp(file, { maxPixels: 1e8 }),
      'ERR_DECODE',
      /pixels, more than the (100|50)000000 allowed$|damaged or cut off/,
    )
  }
  const bmp = Buffer.alloc(100)
  bmp.write('BM')
  bmp[14] = 40
  bmp.writeInt32LE(50_000, 18)
  bmp.writeInt32LE(-50_000, 22)
  bmp[28] = 24
  await writeFile(join(folder, 'bomb.bmp'), bmp)
  await coded(t, () => openImage(join(folder, 'bomb.bmp')), 'ERR_DECODE', /2500000000 pixels, more than/)
})

test('many frames: the first counts', async t => {
  const file = join(await temporaryFolder(t), 'frames.gif')
  const frames = Buffer.concat(Array.from({ length: 30 }, (_, i) => pattern(20, 10, 3, 5 * i)))
  const raw = { width: 20, height: 300, channels: 3, pageHeight: 10 } as const
  await sharp(frames, { raw }).gif().toFile(file)
  t.is((await sharp(file).metadata()).pages, 30)
  t.deepEqual(await imageSize(file), { width: 20, height: 10 })
  t.is((await openImage(file, { maxPixels: 200 })).data.length, 600)
})

test('texts and profiles of a PNG that inflate without end are left alone', async t => {
  const folder = await temporaryFolder(t)
  const rows = Uint8Array.of(0, 0b10100000, 0, 0b01000000)
  const zeros = deflateSync(new Uint8Array(200e6))
  const bombs = [
    chunk('zTXt', Buffer.concat([Buffer.from('a\0\0', 'latin1'), zeros])),
    chunk('iCCP', Buffer.concat([Buffer.from('b\0\0', 'latin1'), zeros])),
    chunk('tEXt', Buffer.concat([Buffer.from('c\0', 'latin1'), Buffer.alloc(20e6, 'x')])),
  ]
  const file = join(folder, 'texts.png')
  await writeFile(file, png(3, 2, rows, bombs))
  const { data } = await openImage(file)
  t.deepEqual(
    [...data].filter((_, i) => i % 3 === 0),
    [255, 0, 255, 0, 255, 0],
  )
})

test('a side without end', async t => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'tall.png')
  await writeFile(file, png(1, 2_000_000, new Uint8Array(4e6)))
  await coded(
    t,
    () => openImage(file),
    'ERR_DECODE',
    /1 x 2000000 pixels: a side may have 1000000 at the most$|damaged or cut off/,
  )
})

// sharp has its own words for these
if (codecs.includes('jpeg')) {
  test('a header that promises more than the bytes can hold is refused before memory is taken', async t => {
    const file = join(await temporaryFolder(t), 'a.jpg')
    const bytes = await picture(16, 16).jpeg({ progressive: true }).toBuffer()
    const frame = bytes.indexOf(Buffer.from([0xff, 0xc2]))
    bytes.writeUInt16BE(9000, frame + 5)
    bytes.writeUInt16BE(9000, frame + 7)
    await writeFile(file, bytes)
    await coded(t, () => openImage(file), 'ERR_DECODE', /cut off: its bytes are too few for its size$/)
  })

  test('a JPEG of a thousand scans', async t => {
    const file = join(await temporaryFolder(t), 'a.jpg')
    const bytes = await picture(16, 16).jpeg({ progressive: true }).toBuffer()
    const scan = bytes.subarray(bytes.lastIndexOf(Buffer.from([0xff, 0xda])), bytes.length - 2)
    const end = bytes.subarray(bytes.length - 2)
    const again = (count: number) => Buffer.concat([bytes.subarray(0, -2), ...Array<Buffer>(count).fill(scan), end])
    await writeFile(file, again(20))
    t.is((await openImage(file)).width, 16)
    await writeFile(file, again(1000))
    await coded(t, () => openImage(file), 'ERR_DECODE', /cut off: it has more than 500 scans$/)
  })
}

if (codecs.includes('png')) {
  test('a PNG header that promises more than its bytes can hold', async t => {
    const file = join(await temporaryFolder(t), 'a.png')
    await writeFile(file, png(9000, 9000, new Uint8Array(4)))
    await coded(t, () => openImage(file), 'ERR_DECODE', /cut off: its bytes are too few for its size$/)
  })
}
