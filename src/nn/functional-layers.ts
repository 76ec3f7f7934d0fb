import { aten, own, type Tensor } from '../tensor/index.js'
import type { Pair } from './validate.js'

const run = {
  layerNorm: aten.layerNorm,
  groupNorm: aten.groupNorm,
  embedding: aten.embedding,
  convTranspose2d: aten.convTranspose2d,
  interpolate: own.interpolate,
  attention: own.multiHeadAttention,
  attentionDropout: own.multiHeadAttentionDropout,
}

/** Normalises over the last dimensions, of sizes `normalizedShape` (Ba et al. 2016). */
export function layerNorm(
  input: Tensor,
  normalizedShape: readonly number[],
  options: { weight?: Tensor | null; bias?: Tensor | null; eps?: number } = {},
): Tensor {
  const { weight = null, bias = null, eps = 1e-5 } = options
  return run.layerNorm(input, normalizedShape, weight, bias, eps)
}

/** Normalises each of `numGroups` groups of channels of `(N, C, ...)`, sample by sample (Wu & He 2018). */
export function groupNorm(
  input: Tensor,
  numGroups: number,
  options: { weight?: Tensor | null; bias?: Tensor | null; eps?: number } = {},
): Tensor {
  const { weight = null, bias = null, eps = 1e-5 } = options
  return run.groupNorm(input, numGroups, weight, bias, eps)
}

/** Rows of `weight` `(numEmbeddings, embeddingDim)` by their whole numbers: `(...)` to `(..., embeddingDim)`. */
export function embedding(
  input: Tensor,
  weight: Tensor,
  options: { paddingIdx?: number | null; scaleGradByFreq?: boolean } = {},
): Tensor {
  return run.embedding(weight, input, options.paddingIdx ?? -1, options.scaleGradByFreq ?? false)
}

/** Options of {@link convTranspose2d}. */
export interface ConvTranspose2dArguments {
  stride?: Pair
  padding?: Pair
  outputPadding?: Pair
  groups?: number
  dilation?: Pair
}

/** Transposed convolution: input `(N, C, H, W)`, weight `(C, out / groups, kH, kW)`, bias `(out)`. */
export function convTranspose2d(
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  options: ConvTranspose2dArguments = {},
): Tensor {
  const { stride = 1, padding = 0, outputPadding = 0, groups = 1, dilation = 1 } = options
  return run.convTranspose2d(input, weight, bias, stride, padding, outputPadding, groups, dilation)
}

/** How {@link interpolate} fills in between: by the input's dimensions `(N, C, ...)`. */
export type InterpolateMode = 'nearest' | 'nearest-exact' | 'linear' | 'bilinear' | 'bicubic' | 'trilinear'

/** Options of {@link interpolate}: either `size` or `scaleFactor`. */
export interface InterpolateArguments {
  /** Sizes of the result in pixels, one for each spatial dimension, or one for all. */
  size?: number | readonly number[]
  /** How many times larger than the input, one for each spatial dimension, or one for all. */
  scaleFactor?: number | readonly number[]
  mode?: InterpolateMode
  /** Whether the centres of the corner pixels stay where they are (not for `nearest`), default false. */
  alignCorners?: boolean
}

/** Resizes `(N, C, L)`, `(N, C, H, W)` or `(N, C, D, H, W)`. */
export function interpolate(input: Tensor, options: InterpolateArguments): Tensor {
  const { size, scaleFactor, mode = 'nearest', alignCorners = false } = options
  const sizes = size === undefined ? null : [size].flat()
  const factors = scaleFactor === undefined ? null : [scaleFactor].flat()
  return run.interpolate(input, sizes, factors, mode, alignCorners)
}

/** The weights and settings of {@link multiHeadAttention}, named as in PyTorch's state dicts. */
export interface AttentionArguments {
  numHeads: number
  in_proj_weight: Tensor | null
  q_proj_weight: Tensor | null
  k_proj_weight: Tensor | null
  v_proj_weight: Tensor | null
  in_proj_bias: Tensor | null
  outWeight: Tensor
  outBias: Tensor | null
  keyPaddingMask: Tensor | null
  attnMask: Tensor | null
  isCausal: boolean
  batchFirst: boolean
  needWeights: boolean
  averageAttnWeights: boolean
  /** Probability with which a weight is dropped; 0 in evaluation. */
  dropout: number
}

/** @internal What {@link MultiheadAttention} computes (binding/ops/attention.cc). */
export function multiHeadAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  a: AttentionArguments,
): [Tensor, Tensor | null] {
  const attend = a.dropout > 0 ? run.attentionDropout : run.attention
  const [output, weights] = attend(
    query,
    key,
    value,
    a.numHeads,
    a.in_proj_weight,
    a.q_proj_weight,
    a.k_proj_weight,
    a.v_proj_weight,
    a.in_proj_bias,
    a.outWeight,
    a.outBias,
    a.keyPaddingMask,
    a.attnMask,
    a.isCausal,
    a.batchFirst,
    a.needWeights,
    a.averageAttnWeights,
    a.dropout,
  )
  if (a.needWeights) return [output, weights]
  weights.dispose()
  return [output, null]
}
