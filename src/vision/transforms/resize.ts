import { checkOptions, checkValue, count, invalidArgument, oneOf, strictObject } from '../../check/index.js'
import { native, type PictureStep } from '../../native/index.js'
import { ItemTransform, sidesOf } from './item-transform.js'

export const padModes = oneOf('zeros', 'border', 'reflection')

const Options = strictObject({
  method: oneOf('crop', 'pad', 'squish').default('crop'),
  padMode: padModes.default('reflection'),
})

/** Options of {@link Resize}. */
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
export class Resize extends ItemTransform {
  readonly height: number
  readonly width: number
  readonly method: 'crop' | 'pad' | 'squish'
  readonly padMode: 'zeros' | 'border' | 'reflection'

  /**
   * @param size pixels: one number for a square, or `[height, width]`
   * @throws TorchLearnerError `ERR_INVALID_ARG` for a wrong size or option
   */
  constructor(size: number | readonly [height: number, width: number], options: ResizeOptions = {}) {
    super()
    ;[this.height, this.width] = sidesOf(size)
    const { method, padMode } = checkOptions(Options, options, 'Resize')
    this.method = method
    this.padMode = padMode
  }

  override steps(training: boolean): readonly PictureStep[] {
    const { width, height, method, padMode } = this
    return [{ width, height, method, padMode, random: training && method !== 'squish' }]
  }

  /**
   * The part of a picture that is taken, in its pixels. With `pad` it reaches outside.
   *
   * @param place where the box sits, across and down in [0, 1]; default the middle
   */
  box(width: number, height: number, place: readonly [number, number] = [0.5, 0.5]): PictureBox {
    const [step] = this.steps(true)
    return boxOf(step, width, height, step.random ? place : [])
  }
}

/** A part of a picture, in its pixels. */
export interface PictureBox {
  left: number
  top: number
  width: number
  height: number
}

/** The box that a step takes of a picture of this size. */
export function boxOf(step: PictureStep, width: number, height: number, draws: readonly number[]): PictureBox {
  checkValue(count, width, 'width')
  checkValue(count, height, 'height')
  if (!Array.isArray(draws) || !draws.every(draw => typeof draw === 'number'))
    throw invalidArgument('the draws of a box', 'an array of numbers from 0 to 1', draws)
  const [left, top, boxWidth, boxHeight] = native.stepBox(step, width, height, Float64Array.from(draws))
  return { left, top, width: boxWidth, height: boxHeight }
}
