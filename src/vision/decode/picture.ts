import { oneOfQuoted, positive, TorchLearnerError } from '../../check/index.js'
import type { PictureFailure, PictureRequest } from '../../native/index.js'

/** Pictures with more pixels than this are refused by default: 100 million. */
export const MAX_PIXELS = 1e8

/**
 * The same for formats that the addon never decodes itself (WebP, TIFF, AVIF, SVG): 50 million. Of those a file of a few bytes can hold any
 * number of pixels, which sharp decodes as a whole, in about ten bytes each.
 */
export const MAX_PIXELS_OUTSIDE = 5e7

/** Whether a picture is turned as its file's orientation tag says. */
export type Orientation = 'ignore' | 'exif'

/** RGB pixels, 3 bytes each, row by row. */
export interface RgbPicture {
  readonly data: Uint8Array
  readonly width: number
  readonly height: number
}

/** How files are read, whatever becomes of the pictures. */
export type ReadOptions = Omit<PictureRequest, 'steps'>

export const maxPixelsSchema = positive.optional()
export const orientationSchema = oneOfQuoted('ignore', 'exif').default('ignore')

/** What was asked for, with the default limits. */
export function readOptions({
  maxPixels,
  orientation = 'ignore',
}: {
  maxPixels?: number
  orientation?: Orientation
}): ReadOptions {
  return {
    maxPixels: maxPixels ?? MAX_PIXELS,
    maxOutside: maxPixels ?? MAX_PIXELS_OUTSIDE,
    upright: orientation === 'exif',
  }
}

/** The error for a file that can't be used: which, and why. */
export function pictureError(
  path: string,
  { problem, reason }: Omit<PictureFailure, 'index'>,
  cause?: unknown,
): TorchLearnerError {
  const hint = problem === 'wrong-size' ? '. Give all pictures one size with itemTfms: new Resize(size)' : ''
  return new TorchLearnerError(
    problem === 'missing' ? 'ERR_NOT_FOUND' : 'ERR_DECODE',
    `Cannot read the picture ${path}: ${reason}${hint}`,
    cause === undefined ? undefined : { cause },
  )
}

/** @throws TorchLearnerError `ERR_DECODE` when the picture has more pixels than allowed, or longer sides than any photograph */
export function checkSize(path: string, { width, height }: { width: number; height: number }, most: number): void {
  // tables by row and column would take more memory than the pixels
  const maxSide = 1e6
  if (width * height > most) {
    const reason = `it has ${width} x ${height} = ${width * height} pixels, more than the ${most} allowed`
    throw pictureError(path, { problem: 'too-large', reason })
  }
  if (Math.max(width, height) > maxSide) {
    const reason = `it has ${width} x ${height} pixels: a side may have ${maxSide} at the most`
    throw pictureError(path, { problem: 'too-large', reason })
  }
}
