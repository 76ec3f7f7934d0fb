import { between, checkOptions, invalidArgument, positive, share, strictObject, two } from '../../check/index.js'
import type { PictureStep } from '../../native/index.js'
import { ItemTransform, sidesOf } from './item-transform.js'
import { boxOf, type PictureBox } from './resize.js'

const shape = positive.and('a number above 0, and at most 1,000,000', value => value <= 1e6)

const Options = strictObject({
  minScale: share.default(0.08),
  maxScale: share.default(1),
  ratio: two(shape, '[lowest, highest] width / height, numbers above 0').default([3 / 4, 4 / 3]),
  valXtra: between(0, 4).default(0.14),
})

/** Options of {@link RandomResizedCrop}. */
export interface RandomResizedCropOptions {
  /** The smallest share of a picture's area that is shown, above 0. Default 0.08. */
  minScale?: number
  /** The largest share, at most 1. Default 1. */
  maxScale?: number
  /** The range of width / height of what is shown. Default `[3 / 4, 4 / 3]`. */
  ratio?: readonly [lowest: number, highest: number]
  /** In validation the picture is made larger by about this share, so that the middle of it can be shown. Default 0.14. */
  valXtra?: number
}

/**
 * Shows a random part of each picture, of a random shape, brought to one size: what ImageNet models are trained with.
 *
 * Training: the area is uniform in `[minScale, maxScale]` of the picture's, width / height uniform in its logarithm, the place
 * uniform. If none of ten draws fits into the picture, the middle of it is shown, in the shape nearest to its own. Validation: the
 * whole is squished to `size + ceil(max(size) * valXtra / 8) * 8`, and the middle of that is shown.
 * (Szegedy et al., "Going Deeper with Convolutions", 2015; fastai's RandomResizedCrop.)
 *
 * @example itemTfms: new RandomResizedCrop(224, { minScale: 0.35 })
 */
export class RandomResizedCrop extends ItemTransform {
  readonly height: number
  readonly width: number
  readonly minScale: number
  readonly maxScale: number
  readonly ratio: readonly [lowest: number, highest: number]
  readonly valXtra: number

  /**
   * @param size pixels: one number for a square, or `[height, width]`
   * @throws TorchLearnerError `ERR_INVALID_ARG` for a wrong size or option
   */
  constructor(size: number | readonly [height: number, width: number], options: RandomResizedCropOptions = {}) {
    super()
    ;[this.height, this.width] = sidesOf(size)
    const { minScale, maxScale, ratio, valXtra } = checkOptions(Options, options, 'RandomResizedCrop')
    if (minScale > maxScale) {
      throw invalidArgument("RandomResizedCrop's minScale", `a number up to maxScale, ${maxScale},`, minScale)
    }
    if (ratio[0] > ratio[1]) {
      throw invalidArgument("RandomResizedCrop's ratio", 'the lowest width / height before the highest', ratio)
    }
    this.minScale = minScale
    this.maxScale = maxScale
    this.ratio = ratio
    this.valXtra = valXtra
  }

  override steps(training: boolean): readonly PictureStep[] {
    const { width, height, minScale, maxScale } = this
    const [minRatio, maxRatio] = this.ratio
    const common = { padMode: 'zeros', random: false } as const
    if (training) {
      return [{ width, height, method: 'area', padMode: 'zeros', random: true, minScale, maxScale, minRatio, maxRatio }]
    }
    const extra = Math.ceil((Math.max(width, height) * this.valXtra) / 8) * 8
    if (extra === 0) return [{ ...common, width, height, method: 'squish' }]
    return [
      { ...common, width: width + extra, height: height + extra, method: 'squish' },
      { ...common, width, height, method: 'cut' },
    ]
  }

  /**
   * The part of a picture that training shows, in its pixels.
   *
   * @param draws 22 numbers in [0, 1): area and shape of each of ten tries, then the place across and down
   */
  box(width: number, height: number, draws: readonly number[]): PictureBox {
    return boxOf(this.steps(true)[0], width, height, draws)
  }
}
