import {
  checkArguments,
  checkValue,
  count,
  flag,
  invalidArgument,
  probability,
  strictObject,
} from '../../check/index.js'
import { empty, type Tensor, zeros } from '../../tensor/index.js'
import { multiHeadAttention } from '../functional-layers.js'
import { xavierUniform_, zeros_ } from '../init.js'
import { Module } from '../module.js'
import { Parameter } from '../parameter.js'
import { isTensor, maybeTensor } from '../validate.js'
import { Linear } from './linear.js'

/** Options of {@link MultiheadAttention}. */
export interface MultiheadAttentionOptions {
  /** Probability with which an attention weight is dropped in training, 0 to 1, default 0. */
  dropout?: number
  /** Learn a shift in all four projections, default true. */
  bias?: boolean
  /** Features of the keys, by default `embedDim`. */
  kdim?: number
  /** Features of the values, by default `embedDim`. */
  vdim?: number
  /** Inputs and output are `(N, L, E)` instead of `(L, N, E)`, default false as in PyTorch. */
  batchFirst?: boolean
}

/** Options of a call of {@link MultiheadAttention}. */
export interface AttentionOptions {
  /** Keys to be left out: `(N, S)`, true for those (or a floating tensor that is added to the scores). */
  keyPaddingMask?: Tensor | null
  /** Pairs to be left out: `(L, S)` or `(N·numHeads, L, S)`, true for those (or a floating tensor that is added). */
  attnMask?: Tensor | null
  /** No position sees later ones, default false. The mask is made here; PyTorch wants it as `attn_mask` as well. */
  isCausal?: boolean
  /** Return the attention weights too, default true as in PyTorch; false is faster and needs less memory. */
  needWeights?: boolean
  /** Average the returned weights over the heads, default true. */
  averageAttnWeights?: boolean
}

const schema = strictObject({
  dropout: probability.default(0),
  bias: flag.default(true),
  kdim: count.nullish(), // PyTorch says None for the size of the queries
  vdim: count.nullish(),
  batchFirst: flag.default(false),
})
const callSchema = strictObject({
  keyPaddingMask: maybeTensor,
  attnMask: maybeTensor,
  isCausal: flag.default(false),
  needWeights: flag.default(true),
  averageAttnWeights: flag.default(true),
})

/**
 * Attention of `numHeads` heads of `embedDim / numHeads` features: `softmax(q kᵀ / √d) v` for each head, joined and
 * projected (Vaswani et al. 2017). Takes query `(L, N, embedDim)`, key `(S, N, kdim)` and value `(S, N, vdim)`, or all
 * three without N, and returns the output, of the query's shape, and the weights `(N, L, S)`, `(N, numHeads, L, S)`
 * without averaging, or null without `needWeights`. A query whose keys are all left out gives NaN.
 *
 * @example const [y] = attention(x, x, x, { needWeights: false })
 */
export class MultiheadAttention extends Module<
  [query: Tensor, key: Tensor, value: Tensor, options?: AttentionOptions],
  [Tensor, Tensor | null]
> {
  readonly dropout: number
  readonly kdim: number
  readonly vdim: number
  readonly batchFirst: boolean
  // parameters carry PyTorch's names, which state dicts use
  /** Weights of query, key and value, one below the other, `(3·embedDim, embedDim)`; null with `kdim` or `vdim`. */
  readonly in_proj_weight: Parameter | null
  readonly q_proj_weight: Parameter | null
  readonly k_proj_weight: Parameter | null
  readonly v_proj_weight: Parameter | null
  /** `(3·embedDim)` */
  readonly in_proj_bias: Parameter | null
  readonly out_proj: Linear

  /** @param numHeads a divisor of `embedDim` */
  constructor(
    readonly embedDim: number,
    readonly numHeads: number,
    options: MultiheadAttentionOptions = {},
  ) {
    super()
    const { dropout, bias, kdim, vdim, batchFirst } = checkArguments(schema, options, 'MultiheadAttention')
    checkValue(count, embedDim, 'embedDim')
    checkValue(count, numHeads, 'numHeads')
    if (embedDim % numHeads !== 0) throw invalidArgument('numHeads', `a divisor of embedDim, ${embedDim},`, numHeads)
    this.dropout = dropout
    this.kdim = kdim ?? embedDim
    this.vdim = vdim ?? embedDim
    this.batchFirst = batchFirst
    const packed = this.kdim === embedDim && this.vdim === embedDim
    const weight = (rows: number, features: number) => new Parameter(empty([rows, features]))
    this.in_proj_weight = packed ? weight(3 * embedDim, embedDim) : null
    this.q_proj_weight = packed ? null : weight(embedDim, embedDim)
    this.k_proj_weight = packed ? null : weight(embedDim, this.kdim)
    this.v_proj_weight = packed ? null : weight(embedDim, this.vdim)
    this.in_proj_bias = bias ? new Parameter(zeros([3 * embedDim])) : null
    // drawn in PyTorch's order: the output's weights come first
    this.out_proj = new Linear(embedDim, embedDim, { bias })
    if (this.out_proj.bias !== null) zeros_(this.out_proj.bias)
    for (const drawn of [this.in_proj_weight, this.q_proj_weight, this.k_proj_weight, this.v_proj_weight]) {
      if (drawn !== null) xavierUniform_(drawn)
    }
  }

  forward(query: Tensor, key: Tensor, value: Tensor, options: AttentionOptions = {}): [Tensor, Tensor | null] {
    const masks = checkArguments(callSchema, options, 'MultiheadAttention')
    const { numHeads, in_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight, in_proj_bias, batchFirst } = this
    return multiHeadAttention(isTensor('query', query), isTensor('key', key), isTensor('value', value), {
      numHeads,
      in_proj_weight,
      q_proj_weight,
      k_proj_weight,
      v_proj_weight,
      in_proj_bias,
      outWeight: this.out_proj.weight,
      outBias: this.out_proj.bias,
      ...masks,
      batchFirst,
      dropout: this.training ? this.dropout : 0,
    })
  }
}
