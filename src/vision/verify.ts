import { availableParallelism } from 'node:os'
import { invalidArgument, type PictureStep, type TorchLearnerError } from '../native/index.js'
import { decodeInto, MAX_PIXELS } from './decode.js'

/** A file that can't be used, and why. */
export interface BadFile {
  readonly file: string
  readonly reason: string
}

/** How {@link verifyImages} goes about it. */
export interface VerifyImagesOptions {
  /** Pictures with more pixels are bad. Default 100 million. */
  maxPixels?: number
  /** Told how far it is. Default: a line on stderr when that is a terminal. */
  onProgress?: (done: number, total: number) => void
}

const CHUNK = 16

/**
 * Decodes every file once, to find those that training would stumble over: truncated, empty, no pictures, too large.
 *
 * @param files paths, for instance of `getImageFiles`
 * @returns the bad ones, in the given order
 * @throws TorchLearnerError `ERR_INVALID_ARG` when `files` isn't an array of paths
 * @example for (const { file, reason } of await verifyImages(await getImageFiles(path))) console.log(reason)
 */
export async function verifyImages(files: readonly string[], options: VerifyImagesOptions = {}): Promise<BadFile[]> {
  if (!Array.isArray(files) || files.some(file => typeof file !== 'string')) {
    throw invalidArgument('files', 'an array of paths', files)
  }
  const { maxPixels = MAX_PIXELS, onProgress = progressLine } = options
  const step: PictureStep = { width: 8, height: 8, method: 'squish', padMode: 'zeros', random: false }
  const request = { steps: [step], maxPixels }
  const bad = new Map<number, BadFile>()
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
      await decodeInto(paths, new Float64Array(), pixels, slots, request, { onBad })
      done += paths.length
      onProgress(done, files.length)
    }
  }
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, work))
  return [...bad].sort(([a], [b]) => a - b).map(([, file]) => file)
}

function progressLine(done: number, total: number): void {
  if (!process.stderr.isTTY) return
  process.stderr.write(done === total ? '\r\x1b[2K' : `\r\x1b[2KVerified ${done} of ${total} pictures`)
}
