import { z } from 'zod'
import { checkOptions } from '../data/index.js'
import { invalidArgument, native, type PictureRequest } from '../native/index.js'
import { MAX_PIXELS } from './decode.js'

const Options = z.strictObject({
  method: z.enum(['crop', 'pad', 'squish'], { error: 'crop, pad or squish' }).default('crop'),
  padMode: z.enum(['zeros', 'border', 'reflection'], { error: 'zeros, border or reflection' }).default('reflection'),
})

export interface ResizeOptions {
  /**
   * `crop` (default): the largest part of the wanted shape, from the middle in validation and anywhere in training; `pad`: the whole
   * picture with a margin; `squish`: the whole picture, out of shape.
   */
  method?: 'crop' | 'pad' | 'squish'
  /** What the margin of `pad` shows: `reflection` (default), `border` (the edge pixels again) or `zeros` (black). */
  padMode?: 'zeros' | 'border' | 'reflection'
}

/**
 * Brings every picture to one size while it is being decoded, with Pillow's antialiased bilinear filter.
 *
 * @example new Resize(224), new Resize([128, 256], { method: 'pad', padMode: 'zeros' })
 */
export class Resize {
  /** Item transforms run in the order of this number. */
  readonly order = 1
  readonly height: number
  readonly width: number
  readonly method: 'crop' | 'pad' | 'squish'
  readonly padMode: 'zeros' | 'border' | 'reflection'

  /**
   * @param size pixels: one number for a square, or `[height, width]`
   * @throws TorchLearnerError `ERR_INVALID_ARG` for a wrong size or option
   */
  constructor(size: number | readonly [height: number, width: number], options: ResizeOptions = {}) {
    const sides: unknown[] = Array.isArray(size) ? size : [size, size]
    if (
      sides.length !== 2 ||
      !sides.every(side => Number.isInteger(side) && Number(side) > 0 && Number(side) <= 16384)
    ) {
      throw invalidArgument('size', 'a whole number from 1 to 16384 or [height, width]', size)
    }
    const { method, padMode } = checkOptions(Options, options, 'Resize')
    this.height = Number(sides[0])
    this.width = Number(sides[1])
    this.method = method
    this.padMode = padMode
  }

  /** In training the box is anywhere, so the transform needs random numbers. */
  get usesRandom(): boolean {
    return this.method !== 'squish'
  }

  /** The order to the decoder. */
  request(maxPixels = MAX_PIXELS): PictureRequest {
    const { width, height, method, padMode } = this
    return { width, height, method, padMode, maxPixels }
  }

  /**
   * The part of a picture that is taken, in its pixels. With `pad` it reaches outside.
   *
   * @param place where the box sits, across and down in [0, 1]; default the middle
   */
  box(width: number, height: number, place: readonly [number, number] = [0.5, 0.5]) {
    const [left, top, boxWidth, boxHeight] = native.resizeBox(width, height, place[0], place[1], this.request())
    return { left, top, width: boxWidth, height: boxHeight }
  }
}
