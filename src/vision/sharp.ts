import { readFile } from 'node:fs/promises'
import type { Metadata, Sharp, SharpOptions } from 'sharp'
import { messageOf } from '../native/index.js'
import { pictureError, type RgbPicture } from './picture.js'

/** Longer sides are no photographs: tables by row and column would take more memory than the pixels. */
const MAX_SIDE = 1e6

/** The size that a file's header states, in any format that sharp knows. */
export async function sizeBySharp(path: string): Promise<{ width: number; height: number }> {
  const { size } = await openBySharp(path)
  return size
}

/**
 * A picture in any format that sharp knows, with the pixels that Pillow's `Image.open(path).convert('RGB')` has: the first frame,
 * transparency dropped, colour profiles not applied, an orientation tag obeyed in TIFF only.
 *
 * @throws TorchLearnerError `ERR_DECODE`
 */
export async function decodeBySharp(path: string, maxPixels: number): Promise<RgbPicture> {
  const { image, metadata, size } = await openBySharp(path)
  checkSize(path, size, maxPixels)
  // a second guard, should the header have lied
  const opened = image({ limitInputPixels: Math.max(1, Math.min(Math.floor(maxPixels), Number.MAX_SAFE_INTEGER)) })
  const upright = metadata.format === 'tiff' ? opened.autoOrient() : opened
  const opaque = upright.removeAlpha()
  if (metadata.space === 'cmyk') {
    const ink = opaque.pipelineColourspace('cmyk').toColourspace('cmyk').raw({ depth: 'uchar' })
    return await pixels(path, ink, 4, cmykToRgb)
  }
  // Pillow takes 16 bits of grey as they are, and what passes 255 for white. Of 16 bits of colour it takes the upper ones, as sharp does.
  if (metadata.space === 'grey16' && !metadata.hasAlpha) {
    return await pixels(path, opaque.toColourspace('grey16').raw({ depth: 'ushort' }), 1, deepGreyToRgb)
  }
  return await pixels(path, opaque.toColourspace('srgb').raw({ depth: 'uchar' }), 3, data => data)
}

async function openBySharp(path: string) {
  const { default: sharp } = await import('sharp')
  // Read here: given a path, libvips would answer from its cache when the file has changed.
  const bytes = await readFile(path).catch((error: unknown) => {
    throw sharpError(path, error)
  })
  const image = (options: SharpOptions): Sharp =>
    sharp(bytes, { failOn: 'truncated', ignoreIcc: true, sequentialRead: true, ...options })
  const metadata = await image({ limitInputPixels: false })
    .metadata()
    .catch((error: unknown) => {
      throw sharpError(path, error)
    })
  return { image, metadata, size: sizeOf(metadata) }
}

const sizeOf = ({ width, height, format, autoOrient }: Metadata) => (format === 'tiff' ? autoOrient : { width, height })

function checkSize(path: string, { width, height }: { width: number; height: number }, maxPixels: number): void {
  if (width * height > maxPixels) {
    const reason = `it has ${width} x ${height} = ${width * height} pixels, more than the ${maxPixels} allowed`
    throw pictureError(path, { problem: 'too-large', reason })
  }
  if (Math.max(width, height) > MAX_SIDE) {
    const reason = `it has ${width} x ${height} pixels: a side may have ${MAX_SIDE} at the most`
    throw pictureError(path, { problem: 'too-large', reason })
  }
}

async function pixels(path: string, raw: Sharp, channels: number, toRgb: (data: Buffer) => Uint8Array) {
  const { data, info } = await raw.toBuffer({ resolveWithObject: true }).catch((error: unknown) => {
    throw sharpError(path, error)
  })
  if (info.channels === channels) return { data: toRgb(data), width: info.width, height: info.height }
  const reason = `it has ${info.channels} channels where ${channels} are expected`
  throw pictureError(path, { problem: 'damaged', reason })
}

/** What the ink leaves of each colour, darkened by black; in Pillow's rounding. */
function cmykToRgb(ink: Buffer): Uint8Array {
  const rgb = new Uint8Array((ink.length / 4) * 3)
  for (let from = 0, to = 0; from < ink.length; from += 4, to += 3) {
    const light = 255 - ink[from + 3]
    for (let c = 0; c < 3; c++) {
      const product = ink[from + c] * light + 128
      rgb[to + c] = Math.max(0, light - (((product >> 8) + product) >> 8))
    }
  }
  return rgb
}

function deepGreyToRgb(grey: Buffer): Uint8Array {
  const rgb = new Uint8Array((grey.length / 2) * 3)
  for (let i = 0; i < rgb.length / 3; i++)
    rgb.fill(Math.min(255, grey[2 * i] + 256 * grey[2 * i + 1]), 3 * i, 3 * i + 3)
  return rgb
}

function sharpError(path: string, cause: unknown) {
  const said = messageOf(cause)
  const reason = said.includes('unsupported image format')
    ? "it isn't a picture in a format known here"
    : said
        .replace(/^Input (file|buffer) /, 'the file ')
        // libvips keeps one list of complaints for all pictures under way: these are of its looking for the format
        .replace(/source: bad seek to \d+/g, '')
        .replace(/\s+/g, ' ')
        .trim() || 'it is damaged or cut off'
  return pictureError(path, { problem: 'damaged', reason }, cause)
}
