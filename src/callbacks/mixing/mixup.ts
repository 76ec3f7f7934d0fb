import { flag } from '../../check/index.js'
import { drawMix, foldWeights, mixup } from '../../mix/index.js'
import { isFloat, tensor } from '../../tensor/index.js'
import { MixHandler, type MixOptions } from './mix-handler.js'

/** Options of {@link MixUp}. */
export interface MixUpOptions extends MixOptions {
  /** Weights are `max(b, 1 - b)`, so that samples outweigh their partners. Default true, as in fastai; false: `b`. */
  lambdaFold?: boolean
}

/**
 * Trains on mixtures of two samples, and on both their targets (Zhang et al. 2018, "mixup: Beyond Empirical Risk
 * Minimization", https://arxiv.org/abs/1710.09412): `x = lam * x + (1 - lam) * x[perm]`. Each sample has a weight of its
 * own, from 0.5 to 1: `max(b, 1 - b)` of a `b` drawn from Beta(alpha, alpha). Curbs overfitting and overconfidence;
 * costs accuracy when a model underfits, or has few epochs. The pure function is {@link mixup}.
 *
 * The loader's tensors stay as they are. Of several inputs, those of floating dtype are mixed.
 *
 * @example await learn.fitOneCycle(5, { cbs: new MixUp(0.4) })
 */
export class MixUp extends MixHandler {
  readonly lambdaFold: boolean

  /** @param options alpha (default 0.4), or {@link MixUpOptions} */
  constructor(options: number | MixUpOptions = {}) {
    super(options, 0.4, { fields: { lambdaFold: flag.optional() } })
    this.lambdaFold = typeof options === 'number' ? true : (options.lambdaFold ?? true)
  }

  override beforeBatch(): void {
    const { learn } = this
    const alpha = this.alphaNow()
    const draw = alpha === 0 ? null : drawMix(learn.bs, alpha, this.draws)
    if (draw === null) {
      this.leaveTargets()
      return
    }
    const [perm, lam] = [tensor(draw.perm), tensor(this.lambdaFold ? foldWeights(draw.lam) : draw.lam)]
    const { xb } = learn
    learn.xb = xb.map(x => (xb.length === 1 || isFloat(x.dtype) ? mixup(x, perm, lam) : x))
    this.mixTargets(perm, lam)
  }
}
