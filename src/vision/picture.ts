import { type PictureFailure, TorchLearnerError } from '../native/index.js'

/** Pictures with more pixels than this are refused by default: 100 million. */
export const MAX_PIXELS = 1e8

/** RGB pixels, 3 bytes each, row by row. */
export interface RgbPicture {
  readonly data: Uint8Array
  readonly width: number
  readonly height: number
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
