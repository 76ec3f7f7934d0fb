import { anything, checkArguments, checkValue, count, flag, strictObject, whole } from '../../check/index.js'
import { empty, noGrad, type Tensor } from '../../tensor/index.js'
import { embedding } from '../functional-layers.js'
import { normal_ } from '../init.js'
import { Module } from '../module.js'
import { Parameter } from '../parameter.js'

const schema = strictObject({ paddingIdx: anything.optional(), scaleGradByFreq: flag.default(false) })

/** Options of {@link Embedding}. */
export interface EmbeddingOptions {
  /** Number of a row that starts at 0 and isn't trained, negative from the end; none by default. */
  paddingIdx?: number | null
  /** Divide the gradient of a row by how often it is used in the batch, default false. */
  scaleGradByFreq?: boolean
}

/** A table of learnt rows: whole numbers `(...)` below `numEmbeddings` to `(..., embeddingDim)`. Starts normal. */
export class Embedding extends Module<[Tensor], Tensor> {
  /** `(numEmbeddings, embeddingDim)` */
  readonly weight: Parameter
  readonly paddingIdx: number | null
  readonly scaleGradByFreq: boolean

  constructor(
    readonly numEmbeddings: number,
    readonly embeddingDim: number,
    options: EmbeddingOptions = {},
  ) {
    super()
    const { paddingIdx, scaleGradByFreq } = checkArguments(schema, options, 'Embedding')
    checkValue(count, numEmbeddings, 'numEmbeddings')
    checkValue(count, embeddingDim, 'embeddingDim')
    this.paddingIdx = checkPadding(paddingIdx ?? null, numEmbeddings)
    this.scaleGradByFreq = scaleGradByFreq
    this.weight = new Parameter(empty([numEmbeddings, embeddingDim]))
    normal_(this.weight)
    const padding = this.paddingIdx
    if (padding !== null) noGrad(() => this.weight.select(0, padding).zero_())
  }

  forward(input: Tensor): Tensor {
    return embedding(input, this.weight, this)
  }

  override extraRepr(): string {
    const shown = [`${this.numEmbeddings}, ${this.embeddingDim}`]
    if (this.paddingIdx !== null) shown.push(`padding_idx=${this.paddingIdx}`)
    if (this.scaleGradByFreq) shown.push('scale_grad_by_freq=True')
    return shown.join(', ')
  }
}

function checkPadding(value: unknown, rows: number): number | null {
  if (value === null) return null
  const row = whole(-rows, rows - 1, `a whole number from ${-rows} to ${rows - 1}, or null`)
  const index = checkValue(row, value, 'paddingIdx')
  return index < 0 ? index + rows : index
}
