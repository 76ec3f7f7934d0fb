import {
  checkOptions,
  func,
  invalidArgument,
  signal,
  strictObject,
  type TorchLearnerError,
  whole,
} from '../../check/index.js'
import type { PictureStep } from '../../native/index.js'
import { decodeInto, defaultWorkers } from './decode.js'
import { maxPixelsSchema, readOptions } from './picture.js'
import { VerifyProgress } from './verify-progress.js'

/** A file that can't be used, and why. */
export interface BadFile {
  readonly file: string
  readonly reason: string
}

/** How {@link verifyImages} goes about it. */
export interface VerifyImagesOptions {
  /** Pictures with more pixels are bad. Default 100 million; 50 million in formats other than BMP, GIF, JPEG, PNG and PNM. */
  maxPixels?: number
  /** How many files are decoded at the same time, from 1 to 128. Default: as many as there are processors, at most 4. */
  numWorkers?: number
  /** Told how far it is. Default: a bar on stderr when that is a terminal, else a plain line now and then. */
  onProgress?: (done: number, total: number, bad: number) => void
  /** Stops within a few files; the promise then rejects with the signal's reason. */
  signal?: AbortSignal
}

const Options = strictObject({
  maxPixels: maxPixelsSchema,
  numWorkers: whole(1, 128).optional(),
  onProgress: func<NonNullable<VerifyImagesOptions['onProgress']>>().optional(),
  signal: signal.optional(),
})

/** Files a work item: enough to be worth it, few enough to stop soon. */
const CHUNK = 16

/**
 * Decodes every file once, to find those that training would stumble over: truncated, empty, no pictures, too large. Of each only 8 x 8
 * pixels are kept, so that a million files take no more memory than a few.
 *
 * @param files paths, for instance of `getImageFiles`
 * @returns the bad ones, in the given order
 * @throws TorchLearnerError `ERR_INVALID_ARG` when `files` isn't an array of paths
 * @example for (const { file, reason } of await verifyImages(await getImageFiles(path))) console.log(file, reason)
 */
export async function verifyImages(files: readonly string[], options: VerifyImagesOptions = {}): Promise<BadFile[]> {
  if (!Array.isArray(files) || files.some(file => typeof file !== 'string')) {
    throw invalidArgument('files', 'an array of paths', files)
  }
  const { maxPixels, numWorkers, onProgress, signal } = checkOptions(Options, options, 'verifyImages')
  const threads = numWorkers ?? defaultWorkers()
  const step: PictureStep = { width: 8, height: 8, method: 'squish', padMode: 'zeros', random: false }
  const request = { steps: [step], ...readOptions({ maxPixels }) }
  const bad = new Map<number, BadFile>()
  const progress = onProgress ? undefined : new VerifyProgress(process.stderr)
  let next = 0
  let done = 0
  const work = async () => {
    const pixels = new Uint8Array(CHUNK * 8 * 8 * 3)
    while (next < files.length) {
      const start = next
      next += CHUNK
      const paths = files.slice(start, next)
      const slots = Array.from(paths, (_, i) => i)
      const onBad = (index: number, error: TorchLearnerError) => {
        bad.set(start + index, { file: paths[index], reason: error.message })
      }
      await decodeInto(paths, new Float64Array(), pixels, slots, request, { threads, signal, onBad })
      signal?.throwIfAborted()
      done += paths.length
      if (progress) progress.update(done, files.length, bad.size)
      else onProgress?.(done, files.length, bad.size)
    }
  }
  try {
    signal?.throwIfAborted()
    await Promise.all(Array.from({ length: threads }, work))
  } finally {
    // the others stop after the chunk that they are at
    next = files.length
    progress?.end()
  }
  return [...bad].sort(([a], [b]) => a - b).map(([, file]) => file)
}
