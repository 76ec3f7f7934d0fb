import type { Handle } from './addon.js'

/** One part of a picture, brought to `height` x `width`. */
export interface PictureStep {
  /**
   * `exact`: the picture as it is, another size is refused; `crop`: the largest part of the wanted shape; `pad`: the smallest
   * surroundings of it; `squish`: the whole, out of shape; `cut`: as many pixels as wanted, unscaled, padded where there are too few;
   * `area`: a share of the picture's area, of some shape.
   */
  readonly method: 'exact' | 'crop' | 'pad' | 'squish' | 'cut' | 'area'
  readonly width: number
  readonly height: number
  /** What is shown of a part that reaches outside. */
  readonly padMode: 'zeros' | 'border' | 'reflection'
  /** Placed by {@link drawsOf} random numbers instead of in the middle. */
  readonly random: boolean
  /** `area`: the share, from 0 to 1, and the shape, width / height. */
  readonly minScale?: number
  readonly maxScale?: number
  readonly minRatio?: number
  readonly maxRatio?: number
}

/** What becomes of each picture: the steps one after the other. */
export interface PictureRequest {
  readonly steps: readonly PictureStep[]
  /** Pictures with more pixels than this are refused, before anything is decoded. */
  readonly maxPixels: number
  /** The same for formats that other libraries decode, whole and in their own memory. Default `maxPixels`. */
  readonly maxOutside?: number
  /** Turned as the file's orientation tag says, before the steps. Default false. */
  readonly upright?: boolean
}

/** How many numbers in [0, 1] a step takes for each picture: across and down; for `area` share and shape of ten tries first. */
export function drawsOf({ method, random }: PictureStep): number {
  if (method === 'area') return 22
  return random ? 2 : 0
}

/** Why one file gave no picture. */
export interface PictureFailure {
  /** Its place in the list of paths. */
  readonly index: number
  /** `unsupported`: perhaps a picture, but this decoder doesn't know the format. */
  readonly problem: 'missing' | 'unreadable' | 'empty' | 'unsupported' | 'damaged' | 'too-large' | 'wrong-size'
  /** A clause: `the file is empty`. */
  readonly reason: string
}

/** Decoding and resizing on threads of the addon's own (binding/image/image.cc). */
export interface ImageAddon {
  /** What this build decodes by itself. */
  imageCodecs(): ('bmp' | 'gif' | 'pnm' | 'png' | 'jpeg')[]
  /** The size that a file's header states, as it is stored or turned upright. */
  imageSize(path: string, upright: boolean): Promise<{ width: number; height: number } | PictureFailure>
  /** A tensor of uint8 `(n, height, width, 3)` for pictures to be decoded into. */
  pictureBatch(n: number, height: number, width: number): Handle
  /**
   * Decodes files into `out`, each as height x width x 3 bytes.
   *
   * @param draws the numbers that the steps take, file after file
   * @param out of {@link ImageAddon.pictureBatch}, or memory of JavaScript's
   * @param slots which picture of `out` each file becomes
   * @param threads how many may be decoded at the same time
   * @param ticket any number, for {@link ImageAddon.dropImages}
   * @returns the failures; the other pictures are in place
   */
  decodeImages(
    paths: readonly string[],
    draws: Float64Array,
    out: Handle | Uint8Array,
    slots: readonly number[],
    request: PictureRequest,
    threads: number,
    ticket: number,
  ): Promise<PictureFailure[]>
  /** What hasn't begun of the files with this ticket is left out; their promises are settled soon. */
  dropImages(ticket: number): void
  /** The same cutting and resizing for pixels that are already decoded. */
  resizePixels(
    rgb: Uint8Array,
    width: number,
    height: number,
    draws: Float64Array,
    out: Handle | Uint8Array,
    slot: number,
    request: PictureRequest,
  ): Promise<PictureFailure | undefined>
  /** The box that a step takes of a picture; it may reach outside. */
  stepBox(
    step: PictureStep,
    width: number,
    height: number,
    draws: Float64Array,
  ): [left: number, top: number, width: number, height: number]
  /** The threads that there are at present, and the pictures that aren't finished. */
  imageThreads(): { threads: number; waiting: number }
}
