import { decayPowerField, drawFmixWith, fmix, keptFade } from '../../mix/index.js'
import { computed, type Region, RegionMix, type RegionMixOptions } from './region-mix.js'

/** Options of {@link FMix}. */
export interface FMixOptions extends RegionMixOptions {
  /** How fast high frequencies fade in the random picture that masks come from: larger ones make smoother outlines. Default 3. */
  decayPower?: number
}

/**
 * Trains on pictures of which a region of random shape shows another picture, and on both their targets by area (Harris
 * et al. 2020, "FMix", https://arxiv.org/abs/2002.12047). Like {@link CutMix}, with outlines that a model can't
 * memorise and more different masks. Slower (a Fourier transform a batch), and not better for few epochs or small models.
 * The pure function is {@link fmix}.
 *
 * The loader's tensors stay as they are. Of several inputs, the pictures are mixed, all in the same way.
 *
 * @example await learn.fitOneCycle(5, { cbs: new FMix(1) })
 */
export class FMix extends RegionMix {
  readonly decayPower: number
  readonly #fade = keptFade()

  /** @param options alpha (default 1), or {@link FMixOptions} */
  constructor(options: number | FMixOptions = {}) {
    super(options, 1, { decayPower: decayPowerField.optional() })
    this.decayPower = typeof options === 'number' ? 3 : (options.decayPower ?? 3)
  }

  protected override async drawRegion(n: number, width: number, height: number, alpha: number): Promise<Region | null> {
    const draw = drawFmixWith(this.#fade, n, width, height, alpha, { ...this.draws, decayPower: this.decayPower })
    if (draw === null) return null
    await computed([draw.mask]) // fmix asks for its shape, and many Fourier transforms take their time
    return { ...draw, paste: x => fmix(x, draw.perm, draw.mask) }
  }
}
