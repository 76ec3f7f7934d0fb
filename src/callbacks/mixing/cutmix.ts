import { flag, invalidArgument } from '../../check/index.js'
import { cutmix, drawCutmix, type MinMax, minMaxField } from '../../mix/index.js'
import { type Region, RegionMix, type RegionMixOptions } from './region-mix.js'

/** Options of {@link CutMix}. */
export interface CutMixOptions extends RegionMixOptions {
  /** Sides of the boxes as shares of the picture's, such as `[0.2, 0.8]`, instead of drawn by alpha. */
  minmax?: MinMax
  /** Weigh targets by the area that really stays (default), or by the share that was drawn: timm's `correct_lam`. */
  correctLam?: boolean
}

const fields = { minmax: minMaxField.optional(), correctLam: flag.optional() }

/**
 * Trains on pictures with a box of another picture pasted in, and on both their targets by area (Yun et al. 2019,
 * "CutMix", https://arxiv.org/abs/1905.04899). One box for the whole batch, of the share 1 - b of the picture for a `b`
 * drawn from Beta(alpha, alpha); `lam` is what is really left of a picture, so it counts what the border cuts off a box.
 * Makes a model look at more than the most telling detail. Not for tasks where position or the whole picture decides, and
 * of little use for small models or few epochs. The pure function is {@link cutmix}.
 *
 * The loader's tensors stay as they are. Of several inputs, the pictures are cut, all in the same way.
 *
 * @example await learn.fitOneCycle(5, { cbs: new CutMix(1) })
 */
export class CutMix extends RegionMix {
  readonly minmax: MinMax | undefined
  readonly correctLam: boolean

  /** @param options alpha (default 1), or {@link CutMixOptions} */
  constructor(options: number | CutMixOptions = {}) {
    super(options, 1, fields)
    const { minmax, correctLam = true }: CutMixOptions = typeof options === 'number' ? {} : options
    if (minmax && !correctLam)
      throw invalidArgument('correctLam', 'true (or nothing) where minmax is given', correctLam)
    this.minmax = minmax
    this.correctLam = correctLam
  }

  protected override drawRegion(n: number, width: number, height: number, alpha: number): Region | null {
    const { minmax, correctLam } = this
    const draw = drawCutmix(n, width, height, alpha, { ...this.draws, minmax, correctLam })
    return draw && { ...draw, paste: (x, { own }) => cutmix(x, draw.perm, draw.boxes, { inPlace: own }) }
  }
}
