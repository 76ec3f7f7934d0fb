import { checkArguments, flag, invalidArgument, strictObject } from '../check/index.js'
import { own, Tensor } from '../tensor/index.js'
import { type Box, keptShare, type MinMax, minMaxField, NO_BOX, randBbox, randBboxMinMax } from './bbox.js'
import { outField, type Partners, partnersTensor } from './mixup.js'
import {
  checkAlpha,
  type DrawOptions,
  defaultRandom,
  drawBeta,
  drawFields,
  drawShares,
  type MixDraw,
  spread,
} from './random.js'

const cutmixOperator = own.cutmix
const cutmixInPlace = own.cutmix_

/** One box for all samples, or one for each. */
export type Boxes = Box | readonly Box[]

function isBox(value: unknown): value is Box {
  return Array.isArray(value) && value.length === 4 && value.every(side => Number.isSafeInteger(side) && side >= 0)
}

/** @internal Boxes as a list; one box stands for all samples. */
export function boxList(boxes: Boxes): Box[] {
  if (isBox(boxes)) return [boxes]
  if (Array.isArray(boxes) && boxes.length > 0 && boxes.every(isBox)) return boxes
  throw invalidArgument('boxes', 'a box [x1, y1, x2, y2] of whole numbers, or one for each sample,', boxes)
}

/** Where {@link cutmix} writes. */
export interface CutmixOutput {
  /** Write there instead of into a new tensor; of `x`'s shape and dtype, in memory of its own. */
  out?: Tensor
  /** Paste into `x` itself and return it: only what lies in boxes is touched. */
  inPlace?: boolean
}

const schema = strictObject({ out: outField, inPlace: flag.default(false) })

/**
 * Pastes a box of its partner into every sample of a batch (Yun et al. 2019, "CutMix: Regularization Strategy to Train
 * Strong Classifiers with Localizable Features", https://arxiv.org/abs/1905.04899): `out[i]` is `x[perm[i]]` inside the
 * box and `x[i]` outside.
 *
 * One native pass. `x` stays as it is (unless `inPlace`), and the result lies in memory as `x` does (`channels_last`
 * included). Differentiable. Segmentation masks are cut by the same call; for class numbers take {@link partnersOf} and
 * {@link mixedLoss} with the share of the picture that stayed, {@link drawCutmix}'s `lam`.
 *
 * @param x `(N, C, H, W)`, `(N, C, D, H, W)` (all D slices in the same way) or, masks, `(N, H, W)`; any dtype
 * @param perm `(N)` partner of each sample
 * @param boxes `[x1, y1, x2, y2]` with 0 <= x1 <= x2 <= W and 0 <= y1 <= y2 <= H, or one for each sample
 * @param options `out`: write there instead of into a new tensor; `inPlace`: change `x` itself
 * @throws TorchLearnerError for arguments that don't fit: at once, or (shapes, dtypes) when the result is read
 * @example
 * const { boxes, lam, perm } = drawCutmix(n, W, H, 1)
 * const mixed = cutmix(x, perm, boxes)
 */
export function cutmix(x: Tensor, perm: Partners, boxes: Boxes, options: CutmixOutput = {}): Tensor {
  if (!(x instanceof Tensor)) throw invalidArgument('x', 'a tensor', x)
  const { out, inPlace } = checkArguments(schema, options, 'cutmix')
  const flat = boxList(boxes).flat()
  if (out !== undefined && inPlace) throw invalidArgument('inPlace', 'false where out is given', inPlace)
  const partners = partnersTensor(perm)
  if (inPlace) return cutmixInPlace(x, partners, flat)
  return out === undefined ? cutmixOperator(x, partners, flat) : cutmixOperator(x, partners, flat, { out })
}

/** What CutMix draws for a batch. */
export interface CutmixDraw extends MixDraw {
  /** One box for all samples (mode `batch`), or one for each. */
  boxes: Box[]
}

/** How {@link drawCutmix} draws. */
export interface CutmixDrawOptions extends DrawOptions {
  /** Sides of the boxes as shares of the picture's, instead of by Beta: see {@link randBboxMinMax}. */
  minmax?: MinMax
  /**
   * `lam` is the share of the picture that really stays, which is more than was drawn where a box sticks out. Default
   * true; false: as drawn, whatever the box covers (timm's `correct_lam`). Boxes by `minmax` are always measured.
   */
  correctLam?: boolean
}

const drawSchema = strictObject({ ...drawFields, minmax: minMaxField.optional(), correctLam: flag.default(true) })

/**
 * Draws how CutMix mixes a batch, in fastai's order: the share `b` of Beta(alpha, alpha), the permutation, then the box
 * ({@link randBbox}). `lam` is the share of the picture that really stays, 1 - area / (W H): boxes may stick out.
 *
 * @param n number of samples
 * @param W width in pixels
 * @param H height in pixels
 * @param alpha above 0: near 0 boxes are tiny or everything, 1 draws all shares equally often, large values half the picture
 * @param options see {@link CutmixDrawOptions}; `mode` is `batch` by default, one box for all
 * @returns null when, by `prob`, nothing is to be mixed
 */
export function drawCutmix(
  n: number,
  W: number,
  H: number,
  alpha: number,
  options: CutmixDrawOptions = {},
): CutmixDraw | null {
  const { minmax, correctLam, ...given } = checkArguments(drawSchema, options, 'drawCutmix')
  if (minmax && !correctLam) throw invalidArgument('correctLam', 'true (or nothing) where minmax is given', correctLam)
  const { mode = 'batch', prob, random = defaultRandom } = given
  checkAlpha(alpha)
  const shares = drawShares(n, (count, source) => drawBeta(alpha, count, source), { mode, prob, random })
  if (shares === null) return null
  const boxOf = (group: number) =>
    minmax ? randBboxMinMax(W, H, minmax, random) : randBbox(W, H, shares.values[group], { random })
  const boxes = spread(shares, boxOf, NO_BOX)
  const lam = correctLam ? boxes.map(box => keptShare(box, W, H)) : spread(shares, group => shares.values[group], 1)
  return { boxes, lam: Float32Array.from(lam), perm: shares.perm }
}
