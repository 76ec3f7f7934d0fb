import {
  checkOptions,
  checkValue,
  finite,
  flag,
  oneOf,
  positive,
  probability,
  size,
  strictObject,
  two,
} from '../../check/index.js'
import { BatchTransform } from '../../data/index.js'
import { pair } from '../../nn/index.js'
import { type Generator, own, scope, type Tensor } from '../../tensor/index.js'
import { type Draw, type DrawSpec, drawFor, drawSchema, from } from './draw.js'

const number = finite.optional()
const zoom = positive.optional()
const mode = oneOf('bilinear', 'nearest', 'bicubic').optional()
const p = probability.optional()
const draw = drawSchema.optional()

const AffineOptions = strictObject({
  flip: strictObject({ p, draw }).optional(),
  dihedral: strictObject({ p, draw }).optional(),
  rotate: strictObject({ maxDeg: number, p, draw }).optional(),
  zoom: strictObject({ minZoom: zoom, maxZoom: zoom, p, draw, drawX: draw, drawY: draw }).optional(),
  warp: strictObject({ magnitude: number, p, drawX: draw, drawY: draw }).optional(),
  size: size.optional(),
  mode,
  padMode: oneOf('zeros', 'border', 'reflection').optional(),
  alignCorners: flag.optional(),
  batch: flag.optional(),
})

const CropOptions = strictObject({
  minScale: p,
  maxScale: p,
  ratio: two(positive, 'two numbers above 0, from and to').optional(),
  validScale: p,
  mode,
})

/** How values between and beyond the pixels come about. */
export interface SamplingOptions {
  /** Default `bilinear`. */
  mode?: 'bilinear' | 'nearest' | 'bicubic'
  /** What is seen beyond the edge: `reflection` (default), `border` (the edge pixels again) or `zeros`. */
  padMode?: 'zeros' | 'border' | 'reflection'
  /** -1 and 1 are the middles of the outermost pixels, not their outer edges. Default true. */
  alignCorners?: boolean
}

/** What {@link AffineAugment} does, each part with its own probability. A draw that is given goes to all samples. */
export interface AffineAugmentOptions extends SamplingOptions {
  /** Left and right change places. `draw`: 1 mirrors, 0 doesn't. Default probability 0.5. */
  flip?: { p?: number; draw?: Draw }
  /** One of the 8 symmetries of the square; not together with `flip`. Default probability 0.5. */
  dihedral?: { p?: number; draw?: Draw }
  /** By up to `maxDeg` degrees (default 10), or by `draw` degrees. Default probability 0.5. */
  rotate?: { maxDeg?: number; p?: number; draw?: Draw }
  /** By a factor from `minZoom` to `maxZoom` (default 1 to 1.1), or `draw`; to a point at `drawX`, `drawY` in [0, 1]. */
  zoom?: { minZoom?: number; maxZoom?: number; p?: number; draw?: Draw; drawX?: Draw; drawY?: Draw }
  /**
   * Tilted in perspective, across and down, by up to `magnitude`, or by `drawX` and `drawY`: how far corners move, as a share of half
   * the picture's side. Default magnitude 0.2 (a tenth of the side), probability 0.5.
   */
  warp?: { magnitude?: number; p?: number; drawX?: Draw; drawY?: Draw }
  /** Pixels of the result: a square's side or `[height, width]`. Default: as it was. */
  size?: number | readonly [height: number, width: number]
  /** One draw for the whole batch. Default false: one for each sample. */
  batch?: boolean
}

/**
 * Flip, rotation, zoom and perspective of `(N, C, H, W)` in one sampling, with draws for every sample. Validation batches only take
 * on `size`. Pictures that shrink to less than half are averaged down first.
 *
 * @example new AffineAugment({ rotate: { maxDeg: 30, p: 1 }, size: 224 })
 */
export class AffineAugment extends BatchTransform {
  override readonly order = 30
  readonly options: AffineAugmentOptions

  constructor(options: AffineAugmentOptions = {}) {
    super()
    this.options = checkOptions(AffineOptions, options, 'AffineAugment')
  }

  override encodes(x: Tensor, _device: string, training: boolean, generator?: Generator): Tensor {
    return scope(() => {
      const draws = training ? this.#draws(x, generator) : {}
      return own.augmentAffine(x, { ...draws, ...samplingArguments(this.options) })
    })
  }

  // in the reference's order, so that a seed means the same
  #draws(x: Tensor, generator?: Generator): Record<string, Tensor> {
    const { flip, dihedral, rotate, zoom, warp, batch = false } = this.options
    const draws: Record<string, Tensor> = {}
    const take = (name: string, draw: Draw | undefined, spec: DrawSpec) => {
      draws[name] = drawFor(x, draw, spec, { batch, generator })
    }
    const p = (part: { p?: number }) => part.p ?? 0.5
    if (dihedral) take('dihedral', dihedral.draw, { kind: 'whole', low: 0, high: 8, p: p(dihedral) })
    else if (flip) take('mirror', flip.draw, { low: 1, high: 1, p: p(flip) })
    if (rotate) {
      const { maxDeg = 10 } = rotate
      take('degrees', rotate.draw, { low: -maxDeg, high: maxDeg, p: p(rotate) })
    }
    if (zoom) {
      const { minZoom = 1, maxZoom = 1.1 } = zoom
      take('zoom', zoom.draw, { low: minZoom, high: maxZoom, p: p(zoom), neutral: 1 })
      take('zoom_x', zoom.drawX, { low: 0, high: 1 })
      take('zoom_y', zoom.drawY, { low: 0, high: 1 })
    }
    if (warp) {
      const { magnitude = 0.2 } = warp
      take('warp_x', warp.drawX, { low: -magnitude, high: magnitude, p: p(warp) })
      take('warp_y', warp.drawY, { low: -magnitude, high: magnitude, p: p(warp) })
    }
    return draws
  }
}

/** One number for a square, or `[height, width]`. */
export function sides(size: number | readonly [number, number]): [height: number, width: number] {
  return typeof size === 'number' ? [size, size] : [size[0], size[1]]
}

function samplingArguments({ size, mode, padMode, alignCorners }: AffineAugmentOptions) {
  return {
    ...(size === undefined ? {} : { size: sides(size) }),
    mode: mode ?? 'bilinear',
    padding_mode: padMode ?? 'reflection',
    align_corners: alignCorners ?? true,
  }
}

const cropSize = pair()

/** What {@link BatchResizedCrop} cuts out. */
export interface BatchResizedCropOptions {
  /** The smallest and largest share of the area. Default 0.08 and 1. */
  minScale?: number
  maxScale?: number
  /** Width over height, from and to. Default 3/4 to 4/3. */
  ratio?: readonly [number, number]
  /** Of the largest part of that ratio, how much a validation batch keeps, from the middle. Default 1. */
  validScale?: number
  /** How pixels in between are made. Default `bilinear`. */
  mode?: 'bilinear' | 'nearest' | 'bicubic'
}

/** A random part of the pictures, the same for a whole batch, brought to `size`; fastai's RandomResizedCropGPU. */
export class BatchResizedCrop extends BatchTransform {
  override readonly order = 30
  readonly size: readonly [height: number, width: number]
  readonly options: BatchResizedCropOptions

  /** @param size pixels: a square's side or `[height, width]` */
  constructor(size: number | readonly [height: number, width: number], options: BatchResizedCropOptions = {}) {
    super()
    this.size = sides(checkValue(cropSize, size, 'size'))
    this.options = checkOptions(CropOptions, options, 'BatchResizedCrop')
  }

  override encodes(x: Tensor, _device: string, training: boolean, generator?: Generator): Tensor {
    const { minScale = 0.08, maxScale = 1, ratio = [3 / 4, 4 / 3], validScale = 1, mode = 'bilinear' } = this.options
    return scope(() => {
      const tries = training ? { tries: own.augmentUniform([ATTEMPTS, 4], from(generator)) } : {}
      const wanted = { scale: [minScale, maxScale], ratio: [...ratio], valid_scale: validScale, mode }
      return own.augmentCrop(x, [...this.size], { ...tries, ...wanted })
    })
  }
}

/** Boxes that are tried before the middle is taken. */
const ATTEMPTS = 10
