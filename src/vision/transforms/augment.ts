import {
  checkOptions,
  finite,
  flag,
  invalidArgument,
  nonNegative,
  oneOf,
  positive,
  probability,
  share,
  size,
  strictObject,
} from '../../check/index.js'
import type { BatchTransform } from '../../data/index.js'
import { AffineAugment, BatchResizedCrop, type SamplingOptions } from './augment-affine.js'
import { LightingAugment } from './augment-lighting.js'

const Options = strictObject({
  mult: nonNegative.default(1),
  doFlip: flag.default(true),
  flipVert: flag.default(false),
  maxRotate: finite.default(10),
  minZoom: positive.default(1),
  maxZoom: positive.default(1.1),
  maxLighting: nonNegative.default(0.2),
  maxWarp: nonNegative.default(0.2),
  pAffine: probability.default(0.75),
  pLighting: probability.default(0.75),
  size: size.optional(),
  mode: oneOf('bilinear', 'nearest', 'bicubic').default('bilinear'),
  padMode: oneOf('zeros', 'border', 'reflection').default('reflection'),
  alignCorners: flag.default(true),
  batch: flag.default(false),
  minScale: share.default(1),
})

/** How strongly {@link augTransforms} change pictures. The defaults are fastai's. */
export interface AugTransformsOptions extends SamplingOptions {
  /** Multiplies `maxRotate`, `maxLighting` and `maxWarp`. Default 1. */
  mult?: number
  /** Mirror half of the pictures. Default true. */
  doFlip?: boolean
  /** Give half of the pictures one of the 8 symmetries of the square instead: for pictures without an up. Default false. */
  flipVert?: boolean
  /** Rotation to either side, in degrees. Default 10. */
  maxRotate?: number
  /** Zoom, as a factor of size. Default 1 to 1.1. */
  minZoom?: number
  maxZoom?: number
  /**
   * How much brightness and contrast change, as a share from 0 to below 1 (fastai's unit). 0.2: brightness moves by at most 0.1 of
   * the range of grey (mid-grey 0.5 becomes 0.4 to 0.6), contrast is multiplied by 0.8 to 1 / 0.8. Default 0.2.
   */
  maxLighting?: number
  /** Tilt in perspective: how far corners move, as a share of half the picture's side: 0.2 is a tenth of the side. Default 0.2. */
  maxWarp?: number
  /** Probability of rotation, of zoom and of perspective. Default 0.75. */
  pAffine?: number
  /** Probability of brightness and of contrast. Default 0.75. */
  pLighting?: number
  /** Pixels of the result, in validation too: a square's side or `[height, width]`. Default: as it was. */
  size?: number | readonly [height: number, width: number]
  /** One draw for the whole batch, not for each picture. Default false. */
  batch?: boolean
  /** Below 1: each batch shows a part of the pictures of at least that share of the area. Default 1. */
  minScale?: number
}

/**
 * Augmentation that works for most photographs: flip, rotation, zoom and perspective in one sampling, brightness and contrast in one
 * pass. Random numbers come from libtorch's CPU generator (see `manualSeed`), drawn again for every picture.
 *
 * @returns transforms for `batchTfms`
 * @throws TorchLearnerError `ERR_INVALID_ARG` for a wrong option
 * @example batchTfms: [...augTransforms({ size: 224 }), Normalize.fromStats(imagenetStats)]
 */
export function augTransforms(options: AugTransformsOptions = {}): BatchTransform[] {
  const checked = checkOptions(Options, options, 'augTransforms')
  const { mult, doFlip, flipVert, minZoom, maxZoom, pAffine: p, pLighting, size, batch, minScale, mode } = checked
  if (minZoom > maxZoom) throw invalidArgument("augTransforms's minZoom", 'a number up to maxZoom', minZoom)
  const maxDeg = checked.maxRotate * mult
  const magnitude = checked.maxWarp * mult
  const maxLighting = checked.maxLighting * mult
  if (maxLighting >= 1)
    throw invalidArgument("augTransforms's maxLighting", 'a number below 1 / mult', checked.maxLighting)
  const cropped = minScale !== 1
  const affine = {
    ...(doFlip ? { [flipVert ? 'dihedral' : 'flip']: { p: 0.5 } } : {}),
    ...(maxDeg === 0 ? {} : { rotate: { maxDeg: Math.abs(maxDeg), p } }),
    ...(minZoom < 1 || maxZoom > 1 ? { zoom: { minZoom, maxZoom, p } } : {}),
    ...(magnitude === 0 ? {} : { warp: { magnitude, p } }),
    ...(size === undefined || cropped ? {} : { size }),
  }
  const transforms: BatchTransform[] = []
  if (Object.keys(affine).length > 0) {
    const { padMode, alignCorners } = checked
    transforms.push(new AffineAugment({ ...affine, mode, padMode, alignCorners, batch }))
  }
  if (maxLighting > 0) {
    const part = { maxLighting, p: pLighting }
    transforms.push(new LightingAugment({ brightness: part, contrast: part, batch }))
  }
  if (cropped) {
    if (size === undefined) throw invalidArgument("augTransforms's size", 'a size, which minScale needs,', size)
    transforms.push(new BatchResizedCrop(size, { minScale, ratio: [1, 1], mode }))
  }
  return transforms
}
