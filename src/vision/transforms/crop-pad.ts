import { checkOptions, strictObject } from '../../check/index.js'
import type { PictureStep } from '../../native/index.js'
import { ItemTransform, sidesOf } from './item-transform.js'
import { padModes } from './resize.js'

const Options = strictObject({ padMode: padModes.default('zeros') })

/** Options of {@link CropPad}. */
export interface CropPadOptions {
  /** What is shown around a picture that is too small: `zeros` (black, default), `border` (the edge pixels again) or `reflection`. */
  padMode?: 'zeros' | 'border' | 'reflection'
}

/**
 * The middle of each picture as it is, neither enlarged nor reduced; with a margin where the picture is too small. Runs before
 * resizing (`order` 0), as fastai's CropPad.
 *
 * @example itemTfms: new CropPad([200, 300], { padMode: 'border' })
 */
export class CropPad extends ItemTransform {
  override readonly order = 0
  readonly height: number
  readonly width: number
  readonly padMode: 'zeros' | 'border' | 'reflection'

  /**
   * @param size pixels: one number for a square, or `[height, width]`
   * @throws TorchLearnerError `ERR_INVALID_ARG` for a wrong size or option
   */
  constructor(size: number | readonly [height: number, width: number], options: CropPadOptions = {}) {
    super()
    ;[this.height, this.width] = sidesOf(size)
    this.padMode = checkOptions(Options, options, 'CropPad').padMode
  }

  override steps(): readonly PictureStep[] {
    const { width, height, padMode } = this
    return [{ width, height, padMode, method: 'cut', random: false }]
  }
}

/**
 * A part of each picture as it is, neither enlarged nor reduced: anywhere in training, the middle in validation. Pictures that are
 * too small get a black margin, in training with the picture anywhere in it. (fastai's RandomCrop.)
 *
 * @example itemTfms: [new Resize(256), new RandomCrop(224)]
 */
export class RandomCrop extends ItemTransform {
  readonly height: number
  readonly width: number

  /**
   * @param size pixels: one number for a square, or `[height, width]`
   * @throws TorchLearnerError `ERR_INVALID_ARG` for a wrong size
   */
  constructor(size: number | readonly [height: number, width: number]) {
    super()
    ;[this.height, this.width] = sidesOf(size)
  }

  override steps(training: boolean): readonly PictureStep[] {
    const { width, height } = this
    return [{ width, height, padMode: 'zeros', method: 'cut', random: training }]
  }
}
