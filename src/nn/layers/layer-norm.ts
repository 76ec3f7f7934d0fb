import { between, checkArguments, checkValue, count, flag, invalidArgument, strictObject } from '../../check/index.js'
import { ones, type Tensor, zeros } from '../../tensor/index.js'
import { groupNorm, layerNorm } from '../functional-layers.js'
import { Module } from '../module.js'
import { Parameter } from '../parameter.js'
import { python } from '../repr.js'

const eps = between(0, Infinity).default(1e-5)
const layerSchema = strictObject({ eps, elementwiseAffine: flag.default(true), bias: flag.default(true) })
const groupSchema = strictObject({ eps, affine: flag.default(true) })

/** Options of {@link LayerNorm}. */
export interface LayerNormOptions {
  /** Added to the variance, default 1e-5. */
  eps?: number
  /** Learn a scale for each element of `normalizedShape`, default true. */
  elementwiseAffine?: boolean
  /** Learn a shift too, default true; only with `elementwiseAffine`. */
  bias?: boolean
}

/** Normalises each sample over its last dimensions by their mean and biased variance (Ba et al. 2016). */
export class LayerNorm extends Module<[Tensor], Tensor> {
  readonly normalizedShape: readonly number[]
  readonly eps: number
  readonly elementwiseAffine: boolean
  /** Scale, `normalizedShape`, starts at 1. */
  readonly weight: Parameter | null
  /** Shift, `normalizedShape`, starts at 0. */
  readonly bias: Parameter | null

  /** @param normalizedShape sizes of the last dimensions of the input; one number stands for one dimension */
  constructor(normalizedShape: number | readonly number[], options: LayerNormOptions = {}) {
    super()
    const { eps, elementwiseAffine, bias } = checkArguments(layerSchema, options, 'LayerNorm')
    const shape = [normalizedShape].flat()
    if (shape.length === 0 || shape.length > 64) {
      throw invalidArgument('normalizedShape', 'a whole number, or an array of them', normalizedShape)
    }
    this.normalizedShape = shape.map(size => checkValue(count, size, 'normalizedShape'))
    this.eps = eps
    this.elementwiseAffine = elementwiseAffine
    this.weight = elementwiseAffine ? new Parameter(ones(shape)) : null
    this.bias = bias && elementwiseAffine ? new Parameter(zeros(shape)) : null
  }

  forward(input: Tensor): Tensor {
    return layerNorm(input, this.normalizedShape, this)
  }

  override extraRepr(): string {
    const { normalizedShape, eps, elementwiseAffine } = this
    const shown = `${python(normalizedShape)}, eps=${python(eps)}, elementwise_affine=${python(elementwiseAffine)}`
    return `${shown}, bias=${python(this.bias !== null)}`
  }
}

/** Options of {@link GroupNorm}. */
export interface GroupNormOptions {
  /** Added to the variance, default 1e-5. */
  eps?: number
  /** Learn a scale and a shift for each channel, default true. */
  affine?: boolean
}

/**
 * Divides the C channels of `(N, C, ...)` into groups and normalises each group of each sample by its mean and biased
 * variance (Wu & He 2018).
 */
export class GroupNorm extends Module<[Tensor], Tensor> {
  readonly eps: number
  readonly affine: boolean
  /** Scale of each channel, `(C)`, starts at 1. */
  readonly weight: Parameter | null
  /** Shift of each channel, `(C)`, starts at 0. */
  readonly bias: Parameter | null

  /** @param numGroups a divisor of `numChannels` */
  constructor(
    readonly numGroups: number,
    readonly numChannels: number,
    options: GroupNormOptions = {},
  ) {
    super()
    const { eps, affine } = checkArguments(groupSchema, options, 'GroupNorm')
    checkValue(count, numGroups, 'numGroups')
    checkValue(count, numChannels, 'numChannels')
    if (numChannels % numGroups !== 0) {
      throw invalidArgument('numGroups', `a divisor of the number of channels, ${numChannels},`, numGroups)
    }
    this.eps = eps
    this.affine = affine
    this.weight = this.affine ? new Parameter(ones([numChannels])) : null
    this.bias = this.affine ? new Parameter(zeros([numChannels])) : null
  }

  forward(input: Tensor): Tensor {
    return groupNorm(input, this.numGroups, this)
  }

  override extraRepr(): string {
    const shown = `${this.numGroups}, ${this.numChannels}, eps=${python(this.eps)}, affine=${python(this.affine)}`
    return `${shown}, bias=${python(this.affine)}`
  }
}
