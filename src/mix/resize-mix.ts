import { checkArguments, checkValue, invalidArgument, oneOfQuoted, strictObject, whole } from '../check/index.js'
import { type DType, Tensor, tensorOperator } from '../tensor/index.js'
import { type Box, keptShare, type MinMax, minMaxField, NO_BOX, randomlyPlaced } from './bbox.js'
import { type Boxes, boxList, type CutmixDraw } from './cutmix.js'
import { type Partners, partnersFor, partnersTensor } from './mixup.js'
import { type DrawOptions, defaultRandom, drawBeta, drawFields, drawShares, spread } from './random.js'

const upsample = tensorOperator('aten::_upsample_bilinear2d_aa')

/** How a partner is made smaller: smoothly for pictures, by choosing pixels for masks of class numbers. */
export type ResizeMethod = 'bilinear' | 'nearest'

const schema = strictObject({ method: oneOfQuoted('bilinear', 'nearest').default('bilinear') })

const isHalf = (dtype: DType) => dtype === 'float16' || dtype === 'bfloat16'

const isWhole = ([x1, y1, x2, y2]: Box, width: number, height: number) =>
  x1 === 0 && y1 === 0 && x2 === width && y2 === height

/** Pictures `(N, C, H, W)` at the size of a box. */
function resized(x: Tensor, [x1, y1, x2, y2]: Box, method: ResizeMethod): Tensor {
  const [, , height, width] = x.shape
  if (isWhole([x1, y1, x2, y2], width, height)) return x
  const size = [y2 - y1, x2 - x1]
  // half precision in float32: the CPU has no kernel for it, and the result is rounded once
  if (method === 'bilinear' && isHalf(x.dtype)) return upsample(x.to({ dtype: 'float32' }), size, false)
  if (method === 'bilinear') return upsample(x, size, false)
  // the middle of the pixels that a new one stands for; by indices, which serves every dtype
  const source = (from: number, to: number) => Array.from({ length: to }, (_, i) => Math.floor(((i + 0.5) * from) / to))
  return x
    .indexSelect(2, partnersTensor(source(height, size[0])))
    .indexSelect(3, partnersTensor(source(width, size[1])))
}

/**
 * Pastes its whole partner, made smaller to fit the box, into every sample (Qin et al. 2020, "ResizeMix: Mixing Data
 * with Preserved Object Information and True Labels", https://arxiv.org/abs/2012.11101). Where CutMix may cut out nothing
 * but background, here the partner's object is always there.
 *
 * `x` stays as it is. Differentiable.
 *
 * @param x `(N, C, H, W)`, `(N, C, D, H, W)` (all D slices in the same way) or `(N, H, W)`; floating or uint8 (bilinear), or any
 * dtype (nearest)
 * @param perm `(N)` partner of each sample
 * @param boxes as for {@link cutmix}, or one for each sample
 * @param options `method`: default `bilinear`, antialiased
 * @throws TorchLearnerError for arguments that don't fit: at once, or (of `perm`, when it is a tensor) when the result is read
 * @example
 * const { boxes, lam, perm } = drawResizeMix(n, W, H)
 * const mixed = resizeMix(x, perm, boxes)
 */
export function resizeMix(x: Tensor, perm: Partners, boxes: Boxes, options: { method?: ResizeMethod } = {}): Tensor {
  if (!(x instanceof Tensor)) throw invalidArgument('x', 'a tensor', x)
  const { shape } = x
  if (shape.length < 3 || shape.length > 5) {
    throw invalidArgument('x', 'pictures of shape (N, C, H, W), (N, C, D, H, W) or (N, H, W)', shape)
  }
  const { method } = checkArguments(schema, options, 'resizeMix')
  const [n, height, width] = [shape[0], shape[shape.length - 2], shape[shape.length - 1]]
  const list = boxList(boxes)
  if (list.length !== 1 && list.length !== n) throw invalidArgument('boxes', `one box, or ${n} of them,`, list)
  for (const box of list) checkInside(box, width, height)
  const partners = partnersFor(n, perm)
  const planes = shape.slice(1, -2).reduce((product, size) => product * size, 1)
  const flat = x.reshape([n, planes, height, width])
  const out = flat.clone()
  const paste = (to: Tensor, from: Tensor, box: Box) => {
    const [x1, y1, x2, y2] = box
    if (x1 < x2 && y1 < y2)
      to.slice(2, y1, y2)
        .slice(3, x1, x2)
        .copy_(resized(from, box, method))
  }
  if (list.length === 1) paste(out, flat.indexSelect(0, partners), list[0])
  else {
    for (const [i, box] of list.entries()) {
      paste(out.narrow(0, i, 1), flat.indexSelect(0, partners.narrow(0, i, 1)), box)
    }
  }
  return out.reshape(shape)
}

function checkInside(box: Box, width: number, height: number): void {
  const [x1, y1, x2, y2] = box
  if (x1 <= x2 && x2 <= width && y1 <= y2 && y2 <= height) return
  throw invalidArgument('boxes', `boxes of 0 <= x1 <= x2 <= ${width} and 0 <= y1 <= y2 <= ${height}`, box)
}

/** How {@link drawResizeMix} draws. */
export interface ResizeMixDrawOptions extends DrawOptions {
  /** Smallest and largest side of the partner as a share of the picture's. Default `[0.1, 0.8]`. */
  scale?: MinMax
}

const pixels = whole(1, Infinity, 'a number of pixels')
const drawSchema = strictObject({ ...drawFields, scale: minMaxField.default([0.1, 0.8]) })

/**
 * Draws how ResizeMix mixes a batch: the scale, uniform over `scale`, the permutation, then the position, any of them
 * equally often. `lam` is the share of the picture that stays, 1 - area / (W H).
 *
 * @param n number of samples
 * @param W width in pixels
 * @param H height in pixels
 * @param options see {@link ResizeMixDrawOptions}; `mode` is `batch` by default, one box for all
 * @returns null when, by `prob`, nothing is to be mixed
 */
export function drawResizeMix(n: number, W: number, H: number, options: ResizeMixDrawOptions = {}): CutmixDraw | null {
  const { scale, ...given } = checkArguments(drawSchema, options, 'drawResizeMix')
  const { mode = 'batch', prob, random = defaultRandom } = given
  const [min, max] = scale
  checkValue(pixels, W, 'W')
  checkValue(pixels, H, 'H')
  const uniform = drawShares(n, (count, source) => drawBeta(1, count, source), { mode, prob, random })
  if (uniform === null) return null
  const boxOf = (group: number) => {
    const share = min + (max - min) * uniform.values[group]
    const side = (size: number) => Math.min(size, Math.max(1, Math.round(size * share)))
    return randomlyPlaced(W, H, side(W), side(H), random)
  }
  const boxes = spread(uniform, boxOf, NO_BOX)
  return { boxes, lam: Float32Array.from(boxes, box => keptShare(box, W, H)), perm: uniform.perm }
}
