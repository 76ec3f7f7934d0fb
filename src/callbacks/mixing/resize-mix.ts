import { field } from '../../check/index.js'
import { drawResizeMix, type MinMax, minMaxField, resizeMix } from '../../mix/index.js'
import { type Region, RegionMix, type RegionMixOptions } from './region-mix.js'

const NO_ALPHA = field<undefined>('no alpha (see scale)', () => false).optional()

/** Options of {@link ResizeMix}. There is no alpha: the partner's size is drawn evenly. */
export interface ResizeMixOptions extends Omit<RegionMixOptions, 'alpha'> {
  /** Smallest and largest side of the partner as a share of the picture's. Default `[0.1, 0.8]`. */
  scale?: MinMax
}

/**
 * Trains on pictures with another picture pasted in as a whole, made smaller, and on both their targets by area (Qin et
 * al. 2020, "ResizeMix", https://arxiv.org/abs/2012.11101). Like {@link CutMix}, but what is pasted always shows the
 * partner's object. Not for tasks where the size of things decides, nor for pictures of a few pixels. The pure function is
 * {@link resizeMix}.
 *
 * The loader's tensors stay as they are. Of several inputs, the pictures are mixed, all in the same way; masks by nearest pixels.
 *
 * @example await learn.fitOneCycle(5, { cbs: new ResizeMix() })
 */
export class ResizeMix extends RegionMix {
  readonly scale: MinMax

  constructor(options: ResizeMixOptions = {}) {
    super(options, 1, { alpha: NO_ALPHA, scale: minMaxField.optional() })
    this.scale = options.scale ?? [0.1, 0.8]
  }

  protected override drawRegion(n: number, width: number, height: number): Region | null {
    const draw = drawResizeMix(n, width, height, { ...this.draws, scale: this.scale })
    if (draw === null) return null
    return {
      ...draw,
      paste: (x, { isMask }) => resizeMix(x, draw.perm, draw.boxes, { method: isMask ? 'nearest' : 'bilinear' }),
    }
  }
}
