import { availableParallelism } from 'node:os'
import { checkOptions, invalidArgument, strictObject, TorchLearnerError } from '../../check/index.js'
import { type Handle, native, type PictureFailure, type PictureRequest } from '../../native/index.js'
import {
  checkSize,
  maxPixelsSchema,
  type Orientation,
  orientationSchema,
  pictureError,
  type RgbPicture,
  readOptions,
} from './picture.js'
import { decodeBySharp, sizeBySharp } from './sharp.js'

export type { Orientation, RgbPicture } from './picture.js'

const schema = strictObject({ maxPixels: maxPixelsSchema, orientation: orientationSchema })
const sizeSchema = schema.omit('maxPixels')

/** How {@link decodeInto} goes about it. */
export interface DecodeOptions {
  /** How many files are decoded at the same time, these and those of other calls. Default: one for each processor, at most 4. */
  readonly threads?: number
  /** Aborts when the pictures aren't wanted any more: what hasn't begun is left out. */
  readonly signal?: AbortSignal
  /** Called with each file that can't be used, instead of throwing. */
  readonly onBad?: (index: number, error: TorchLearnerError) => void
}

let tickets = 0

/** One for each processor, at most 4. */
export function defaultWorkers(): number {
  return Math.min(4, availableParallelism())
}

/**
 * Decodes, cuts and resizes picture files into `out`, each `(height, width, 3)`.
 *
 * BMP, GIF and PNM are decoded by the addon, and so are PNG and JPEG (libspng, libjpeg-turbo) where this build has them, everything
 * else that sharp knows by sharp; all on other threads than JavaScript's.
 *
 * @param draws the random numbers that the request's steps take, file after file
 * @param out JavaScript's memory, or a handle of `pictureBatch`
 * @param slots which picture of `out` each file becomes
 * @throws TorchLearnerError for the first file that can't be used: `ERR_NOT_FOUND` when it isn't there, else `ERR_DECODE`
 */
export async function decodeInto(
  paths: readonly string[],
  draws: Float64Array,
  out: Uint8Array | Handle,
  slots: readonly number[],
  request: PictureRequest,
  { threads = defaultWorkers(), signal, onBad }: DecodeOptions = {},
): Promise<void> {
  if (signal?.aborted) return
  const ticket = ++tickets
  const drop = () => native.dropImages(ticket)
  signal?.addEventListener('abort', drop)
  const each = draws.length / paths.length
  try {
    const failures = await native.decodeImages(paths, draws, out, slots, request, threads, ticket)
    for (const failure of failures) {
      if (signal?.aborted) return
      const { index } = failure
      try {
        await retry(failure, paths[index], draws.slice(index * each, (index + 1) * each), out, slots[index], request)
      } catch (error) {
        if (!(onBad && error instanceof TorchLearnerError)) throw error
        onBad(index, error)
      }
    }
  } finally {
    signal?.removeEventListener('abort', drop)
  }
}

/** What the addon doesn't know, sharp may. */
async function retry(
  failure: PictureFailure,
  path: string,
  draws: Float64Array,
  out: Uint8Array | Handle,
  slot: number,
  request: PictureRequest,
): Promise<void> {
  if (failure.problem !== 'unsupported') throw pictureError(path, failure)
  const { data, width, height } = await decodeBySharp(path, request)
  checkExact(path, width, height, request)
  const trouble = await native.resizePixels(data, width, height, draws, out, slot, request)
  if (trouble) throw pictureError(path, trouble)
}

/**
 * A picture file as RGB pixels in its own size: those of Pillow's `Image.open(path).convert('RGB')`, which fastai takes. So
 * transparency is dropped, colour profiles aren't applied, and of 16-bit grey everything above 255 is white. An orientation tag is obeyed
 * only on request (Pillow always does in TIFF).
 *
 * @param options `maxPixels`: refuse larger pictures; default 100 million, 50 million in formats other than BMP, GIF, JPEG, PNG and PNM.
 * `orientation`: `exif` turns the picture as its file's orientation tag says; default `ignore`
 * @throws TorchLearnerError `ERR_NOT_FOUND` when the file isn't there, `ERR_DECODE` when it isn't a readable picture
 * @example const { width, height, data } = await openImage('cat.jpg')
 */
export async function openImage(
  path: string,
  options: { maxPixels?: number; orientation?: Orientation } = {},
): Promise<RgbPicture> {
  const reading = readOptions(checkOptions(schema, options, 'openImage'))
  const { width, height, most } = await measure(path, reading.upright)
  checkSize(path, { width, height }, reading[most] ?? reading.maxPixels)
  const data = new Uint8Array(width * height * 3)
  const request: PictureRequest = {
    steps: [{ width, height, method: 'exact', padMode: 'zeros', random: false }],
    ...reading,
  }
  await decodeInto([path], new Float64Array(), data, [0], request)
  return { data, width, height }
}

/**
 * The size of a picture file, from its header.
 *
 * @param options `orientation`: `exif` gives the size that the picture has when it is turned as its orientation tag says; default `ignore`
 * @throws TorchLearnerError `ERR_NOT_FOUND` when the file isn't there, `ERR_DECODE` when it isn't a readable picture
 */
export async function imageSize(
  path: string,
  options: { orientation?: Orientation } = {},
): Promise<{ width: number; height: number }> {
  const { orientation } = checkOptions(sizeSchema, options, 'imageSize')
  const { width, height } = await measure(path, orientation === 'exif')
  return { width, height }
}

/** The size, and which limit holds for it. */
async function measure(path: string, isUpright = false) {
  if (typeof path !== 'string' || path === '') throw invalidArgument('path', "a picture file's path", path)
  const size = await native.imageSize(path, isUpright)
  if ('width' in size) return { ...size, most: 'maxPixels' } as const
  if (size.problem !== 'unsupported') throw pictureError(path, size)
  return await sizeBySharp(path, isUpright)
}

function checkExact(path: string, width: number, height: number, request: PictureRequest): void {
  const [first] = request.steps
  if (first.method !== 'exact' || (width === first.width && height === first.height)) return
  const reason = `it is ${width} x ${height} pixels where ${first.width} x ${first.height} are expected`
  throw pictureError(path, { problem: 'wrong-size', reason })
}
