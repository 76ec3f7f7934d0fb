import { between, checkArguments, checkValue, invalidArgument, isTyped, strictObject, whole } from '../check/index.js'
import { ones, randn, stack, Tensor, tensor, where, zeros } from '../tensor/index.js'
import { type Partners, partnersFor } from './mixup.js'
import {
  checkAlpha,
  type DrawOptions,
  defaultRandom,
  drawBeta,
  drawFields,
  drawShares,
  type MixDraw,
  type MixRandom,
  spread,
} from './random.js'

/**
 * Mixes every sample with its partner along the outline of a mask: `x[i]` where the mask is true, `x[perm[i]]` elsewhere
 * (Harris et al. 2020, "FMix: Enhancing Mixed Sample Data Augmentation", https://arxiv.org/abs/2002.12047). Masks of
 * {@link drawFmix} have a random shape, as irregular as the things in pictures, in place of CutMix's box.
 *
 * `x` stays as it is. Differentiable.
 *
 * @param x `(N, C, H, W)`, `(N, C, D, H, W)` (all D slices in the same way) or `(N, H, W)`; any dtype
 * @param perm `(N)` partner of each sample
 * @param mask bool, `(H, W)` for all samples or `(N, H, W)`
 * @throws TorchLearnerError for arguments that don't fit: at once, or (of `perm`, when it is a tensor) when the result is read
 * @example
 * const { mask, lam, perm } = drawFmix(n, W, H, 1)
 * const mixed = fmix(x, perm, mask)
 */
export function fmix(x: Tensor, perm: Partners, mask: Tensor): Tensor {
  if (!(x instanceof Tensor)) throw invalidArgument('x', 'a tensor', x)
  if (!(mask instanceof Tensor)) throw invalidArgument('mask', 'a tensor', mask)
  const { shape } = x
  const own = mask.shape
  if (shape.length < 3 || shape.length > 5) {
    throw invalidArgument('x', 'pictures of shape (N, C, H, W), (N, C, D, H, W) or (N, H, W)', shape)
  }
  const [n, height, width] = [shape[0], shape[shape.length - 2], shape[shape.length - 1]]
  const fits = [
    [height, width],
    [n, height, width],
  ].some(wanted => wanted.join() === own.join())
  if (!fits || mask.dtype !== 'bool') {
    throw invalidArgument('mask', `bool of shape [${height}, ${width}] or [${n}, ${height}, ${width}]`, own)
  }
  const between = shape.slice(1, -2).map(() => 1)
  const aligned = own.length === 2 ? mask : mask.view([n, ...between, height, width])
  return where(aligned, x, x.indexSelect(0, partnersFor(n, perm)))
}

/** What FMix draws for a batch. */
export interface FmixDraw extends MixDraw {
  /** bool, `(H, W)` for all samples (mode `batch`) or `(N, H, W)`: true where the sample itself stays. */
  mask: Tensor
}

/** How {@link drawFmix} draws. */
export interface FmixDrawOptions extends DrawOptions {
  /** How fast high frequencies fade: larger ones make smoother outlines. Default 3. */
  decayPower?: number
}

/** @internal How fast frequencies fade, as a field of a schema. */
export const decayPowerField = between(Number.MIN_VALUE, Number.MAX_VALUE, 'a finite number above 0')
const drawSchema = strictObject({ ...drawFields, decayPower: decayPowerField.default(3) })
const pixels = whole(1, Infinity, 'a number of pixels')

/** By how much each frequency of a picture is weakened, `(H, W / 2 + 1)`. */
type Fade = (H: number, W: number, power: number) => Float32Array

function fade(H: number, W: number, power: number): Float32Array {
  const columns = Math.floor(W / 2) + 1
  const lowest = 1 / Math.max(H, W)
  return Float32Array.from({ length: H * columns }, (_, i) => {
    const row = Math.floor(i / columns)
    const fy = (row < H / 2 ? row : row - H) / H
    const fx = (i % columns) / W
    return Math.max(Math.hypot(fy, fx), lowest) ** -power
  })
}

/** @internal A {@link Fade} that keeps what it gave last, for who draws often: the size of pictures rarely changes. */
export function keptFade(): Fade {
  let last: { key: string; values: Float32Array } | null = null
  return (H, W, power) => {
    const key = `${H} ${W} ${power}`
    if (last?.key !== key) last = { key, values: fade(H, W, power) }
    return last.values
  }
}

function noise(shape: number[], random: MixRandom): Tensor {
  if (!random.normal) return randn(shape)
  const count = shape.reduce((product, size) => product * size, 1)
  const values = random.normal(count)
  if (isTyped(values, 'Float32Array') && values.length === count) return tensor(values, { shape })
  throw invalidArgument('random.normal(n)', `a Float32Array of ${count} numbers`, values)
}

/** The `kept` brightest pixels of a random picture of low frequencies. */
function blob(H: number, W: number, kept: number, weights: Float32Array, random: MixRandom): Tensor {
  const columns = Math.floor(W / 2) + 1
  const spectrum = noise([H, columns, 2], random)
    .mul(tensor(weights, { shape: [H, columns, 1] }))
    .viewAsComplex()
  const picture = spectrum.fftIrfft2([H, W])
  const [, brightest] = picture.flatten().topk(kept)
  return zeros([H * W], { dtype: 'bool' })
    .indexFill(0, brightest, 1)
    .view([H, W])
}

/**
 * Draws how FMix mixes a batch: the share `b` of Beta(alpha, alpha), the permutation, then a picture of random low
 * frequencies whose brightest `b` of the pixels are the mask. `lam` is the share of the mask exactly.
 *
 * Needs normally distributed numbers: a {@link MixRandom} of your own may bring them (`normal`).
 *
 * @param n number of samples
 * @param W width in pixels
 * @param H height in pixels
 * @param alpha above 0, as for {@link drawMix}
 * @param options see {@link FmixDrawOptions}; `mode` is `batch` by default, one mask for all
 * @returns null when, by `prob`, nothing is to be mixed
 */
export function drawFmix(
  n: number,
  W: number,
  H: number,
  alpha: number,
  options: FmixDrawOptions = {},
): FmixDraw | null {
  return drawFmixWith(fade, n, W, H, alpha, options)
}

/** @internal {@link drawFmix} with a {@link keptFade}. */
export function drawFmixWith(
  fadeOf: Fade,
  n: number,
  W: number,
  H: number,
  alpha: number,
  options: FmixDrawOptions,
): FmixDraw | null {
  const { decayPower, ...given } = checkArguments(drawSchema, options, 'drawFmix')
  const { mode = 'batch', prob, random = defaultRandom } = given
  checkAlpha(alpha)
  checkValue(pixels, W, 'W')
  checkValue(pixels, H, 'H')
  const shares = drawShares(n, (count, source) => drawBeta(alpha, count, source), { mode, prob, random })
  if (shares === null) return null
  const keptOf = (group: number) => Math.round(shares.values[group] * H * W)
  const kept = spread(shares, keptOf, H * W)
  const all = ones([H, W], { dtype: 'bool' })
  const weights = fadeOf(H, W, decayPower)
  const masks = spread(shares, group => blob(H, W, keptOf(group), weights, random), all)
  return {
    mask: masks.length === 1 ? masks[0] : stack(masks),
    lam: Float32Array.from(kept, pixels => pixels / (H * W)),
    perm: shares.perm,
  }
}
