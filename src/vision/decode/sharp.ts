import { readFile } from 'node:fs/promises'
import type { Metadata, Sharp, SharpOptions } from 'sharp'
import { importPackage, messageOf, type TorchLearnerError } from '../../check/index.js'
import { native } from '../../native/index.js'
import { codecAdvice } from '../../provision/index.js'
import { foreignFormat } from './foreign-formats.js'
import { MemoryGate } from './memory-gate.js'
import { checkSize, pictureError, type ReadOptions, type RgbPicture } from './picture.js'

/** What sharp takes for each pixel at its worst: a copy with transparency, one without, and what lies between them. */
const BYTES_PER_PIXEL = 10

/** Of all pictures that sharp decodes at the same time. */
const gate = new MemoryGate(512 * 2 ** 20)

/** Pictures that sharp is decoding, or is to decode. */
export const underWayBySharp = (): number => gate.length

/** The size that a file's header states, in any format that sharp knows. */
export async function sizeBySharp(
  path: string,
  isUpright = false,
): Promise<{ width: number; height: number; most: Limit }> {
  const { metadata } = await openBySharp(path)
  return { ...sizeOf(metadata, isUpright), most: limitOf(metadata) }
}

/**
 * A picture in any format that sharp knows, with the pixels that Pillow's `Image.open(path).convert('RGB')` has: the first frame,
 * transparency dropped, colour profiles not applied; turned by its orientation tag only on request.
 *
 * @throws TorchLearnerError `ERR_DECODE`
 */
export async function decodeBySharp(path: string, options: ReadOptions): Promise<RgbPicture> {
  const opened = await openBySharp(path)
  const { image, metadata } = opened
  adviseCodecs(metadata.format)
  const size = sizeOf(metadata, options.upright)
  const most = options[limitOf(metadata)] ?? options.maxPixels
  checkSize(path, size, most)
  return await gate.run(size.width * size.height * BYTES_PER_PIXEL, async () => {
    // a second guard, should the header have lied
    const bounded = image({ limitInputPixels: Math.max(1, Math.min(Math.floor(most), Number.MAX_SAFE_INTEGER)) })
    return await decode(opened, options.upright ? bounded.autoOrient() : bounded)
  })
}

async function decode(opened: Opened, image: Sharp): Promise<RgbPicture> {
  const { space, hasAlpha } = opened.metadata
  const opaque = image.removeAlpha()
  if (space === 'cmyk') {
    const ink = opaque.pipelineColourspace('cmyk').toColourspace('cmyk').raw({ depth: 'uchar' })
    return await pixels(opened, ink, 4, cmykToRgb)
  }
  // Pillow takes 16 bits of grey as they are, and what passes 255 for white. Of 16 bits of colour it takes the upper ones, as sharp does.
  if (space === 'grey16' && !hasAlpha) {
    return await pixels(opened, opaque.toColourspace('grey16').raw({ depth: 'ushort' }), 1, deepGreyToRgb)
  }
  return await pixels(opened, opaque.toColourspace('srgb').raw({ depth: 'uchar' }), 3, data => data)
}

let isAdvised = false

/** Tells once that the addon could have decoded such files by itself, and much faster. */
function adviseCodecs(format: string): void {
  const codecs: readonly string[] = native.imageCodecs()
  if (isAdvised || !(format === 'png' || format === 'jpeg') || codecs.includes(format)) return
  isAdvised = true
  process.emitWarning(`This torch-learner was ${codecAdvice(codecs)}`, {
    type: 'TorchLearnerWarning',
    code: 'TORCH_LEARNER_NO_CODECS',
  })
}

/** A file that sharp knows. */
interface Opened {
  readonly path: string
  readonly metadata: Metadata
  /** A decoder of it. */
  readonly image: (options: SharpOptions) => Sharp
  /** The error that says what is wrong with the file, in the addon's own words. */
  readonly fail: (cause: unknown) => TorchLearnerError
}

async function openBySharp(path: string): Promise<Opened> {
  const { default: sharp } = await importPackage(() => import('sharp'), 'sharp', 'decode this picture')
  // Read here: given a path, libvips would answer from its cache when the file has changed.
  const bytes = await readFile(path).catch((error: unknown) => {
    throw sharpError(path, undefined, error)
  })
  const image = (options: SharpOptions): Sharp => sharp(bytes, { ignoreIcc: true, sequentialRead: true, ...options })
  const failAs = (format: string | undefined) => (cause: unknown) => {
    const foreign = foreignFormat(bytes)
    if (foreign === undefined) return sharpError(path, format, cause)
    const reason = `it is ${foreign}, a format that can't be read here: convert it to JPEG or PNG`
    return pictureError(path, { problem: 'damaged', reason }, cause)
  }
  const metadata = await image({ limitInputPixels: false })
    .metadata()
    .catch((error: unknown) => {
      throw failAs(undefined)(error)
    })
  const failOn = LENIENT.has(metadata.format) ? 'truncated' : 'error'
  return { path, image: options => image({ failOn, ...options }), metadata, fail: failAs(metadata.format) }
}

/** Formats of which damage that the decoder finds a way around is no error, as in Pillow; a missing end is one. */
const LENIENT: ReadonlySet<string> = new Set(['jpeg', 'png'])

const sizeOf = ({ width, height, autoOrient }: Metadata, isUpright?: boolean) =>
  isUpright ? { width: autoOrient.width, height: autoOrient.height } : { width, height }

type Limit = 'maxPixels' | 'maxOutside'

/** PNG and JPEG have the same limits, whoever decodes them. */
const limitOf = ({ format }: Metadata): Limit => (format === 'png' || format === 'jpeg' ? 'maxPixels' : 'maxOutside')

async function pixels({ path, fail }: Opened, raw: Sharp, channels: number, toRgb: (data: Buffer) => Uint8Array) {
  const { data, info } = await raw.toBuffer({ resolveWithObject: true }).catch((error: unknown) => {
    throw fail(error)
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

/** In the addon's own words, followed by those of sharp. */
function sharpError(path: string, format: string | undefined, cause: unknown) {
  const said = messageOf(cause)
  if (said.includes('unsupported image format')) {
    return pictureError(path, { problem: 'damaged', reason: "it isn't a picture in a format known here" }, cause)
  }
  const detail = said
    .replace(/^Input (file|buffer) /, 'the file ')
    // libvips keeps one list of complaints for all pictures under way: these are of its looking for the format
    .replace(/source: bad seek to \d+/g, '')
    .replace(/\s+/g, ' ')
    .trim()
  const what = format === undefined ? 'it' : `the ${format === 'webp' ? 'WebP' : format.toUpperCase()}`
  const reason = `${what} is damaged or cut off${detail === '' || detail === 'Unknown error' ? '' : `: ${detail}`}`
  return pictureError(path, { problem: 'damaged', reason }, cause)
}
