import { checkOptions, decayRate, flag, probability, share, strictObject, whole } from '../../check/index.js'
import { BatchTransform, type SplitIdx } from '../../data/index.js'
import { type Generator, own, scope, type Tensor } from '../../tensor/index.js'
import { type Draw, drawFor, drawSchema, from } from './draw.js'

const part = strictObject({
  maxLighting: decayRate.optional(),
  p: probability.optional(),
  draw: drawSchema.optional(),
}).optional()

const LightingOptions = strictObject({
  brightness: part,
  contrast: part,
  batch: flag.optional(),
})

/** What {@link LightingAugment} does. A draw that is given goes to all samples. */
export interface LightingAugmentOptions {
  /**
   * Drawn from `0.5 * (1 - maxLighting)` to `0.5 * (1 + maxLighting)`: what mid-grey, 0.5, becomes. Default maxLighting 0.2, probability
   * 0.75. `draw`: 0.5 changes nothing, above is brighter, in (0, 1).
   */
  brightness?: { maxLighting?: number; p?: number; draw?: Draw }
  /**
   * A factor from `1 - maxLighting` to `1 / (1 - maxLighting)`. Default maxLighting 0.2, probability 0.75. `draw`: 1 changes nothing,
   * above is more.
   */
  contrast?: { maxLighting?: number; p?: number; draw?: Draw }
  /** One draw for the whole batch. Default false: one for each sample. */
  batch?: boolean
}

/**
 * Brightness, then contrast, of training batches of pictures in 0 to 1, in one pass and in logit space, so that values stay inside:
 * `sigmoid(contrast * (logit(x) + logit(brightness)))`.
 *
 * @example new LightingAugment({ brightness: { maxLighting: 0.4 } })
 */
export class LightingAugment extends BatchTransform {
  override readonly order = 40
  override readonly splitIdx: SplitIdx = 0
  readonly options: LightingAugmentOptions

  constructor(options: LightingAugmentOptions = {}) {
    super()
    this.options = checkOptions(LightingOptions, options, 'LightingAugment')
  }

  override encodes(x: Tensor, _device?: string, _training?: boolean, generator?: Generator): Tensor {
    const { brightness, contrast, batch = false } = this.options
    const source = { batch, generator }
    return scope(() => {
      const draws: Record<string, Tensor> = {}
      if (brightness) {
        const { maxLighting = 0.2, p = 0.75, draw } = brightness
        const spec = { low: 0.5 * (1 - maxLighting), high: 0.5 * (1 + maxLighting), p, neutral: 0.5 }
        draws.brightness = drawFor(x, draw, spec, source)
      }
      if (contrast) {
        const { maxLighting = 0.2, p = 0.75, draw } = contrast
        const change = -Math.log(1 - maxLighting)
        draws.contrast = drawFor(x, draw, { kind: 'log_uniform', low: -change, high: change, p, neutral: 1 }, source)
      }
      return own.augmentLighting(x, draws)
    })
  }
}

const ErasingOptions = strictObject({
  p: probability.default(0.5),
  minArea: probability.default(0),
  maxArea: probability.default(0.3),
  minAspect: share.default(0.3),
  maxCount: whole(1, 10_000).default(1),
})

/** What {@link RandomErasing} covers. */
export interface RandomErasingOptions {
  /** The share of pictures it happens to. Default 0.5. */
  p?: number
  /** The smallest and largest share of a picture's area. Default 0 and 0.3. */
  minArea?: number
  maxArea?: number
  /** The rectangles' sides differ by at most this factor (or its inverse). Default 0.3. */
  minAspect?: number
  /** At most so many rectangles a picture, sharing the area. Default 1. */
  maxCount?: number
}

/**
 * Covers rectangles of training pictures with normal noise, after they have been normalised (Zhong et al. 2017, "Random Erasing Data
 * Augmentation"). Each picture has rectangles of its own, where fastai's has the same for a batch.
 *
 * @example batchTfms: [...augTransforms(), Normalize.fromStats(imagenetStats), new RandomErasing()]
 */
export class RandomErasing extends BatchTransform {
  override readonly order = 100
  override readonly splitIdx: SplitIdx = 0
  readonly options: Required<RandomErasingOptions>

  /** @throws TorchLearnerError `ERR_INVALID_ARG` for a wrong option */
  constructor(options: RandomErasingOptions = {}) {
    super()
    this.options = checkOptions(ErasingOptions, options, 'RandomErasing')
  }

  override encodes(x: Tensor, _device?: string, _training?: boolean, generator?: Generator): Tensor {
    const { p, minArea, maxArea, minAspect, maxCount } = this.options
    return own.augmentErase(x, p, minArea, maxArea, minAspect, maxCount, from(generator))
  }
}
