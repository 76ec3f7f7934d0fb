import { checkArguments, checkValue, count, flag, invalidArgument, oneOf, strictObject } from '../../check/index.js'
import type { Tensor } from '../../tensor/index.js'
import { conv2d } from '../functional.js'
import { Module } from '../module.js'
import type { Parameter } from '../parameter.js'
import { python } from '../repr.js'
import { both, groupsOf, type Pair, paddings, sizes, steps } from '../validate.js'
import { learntWeights } from './linear.js'

/** Options of {@link Conv2d}. */
export interface Conv2dOptions {
  /** Step of the window, default 1. */
  stride?: Pair
  /** Zeros around the picture, default 0; `same` keeps the size (with stride 1), `valid` is 0. */
  padding?: Pair | 'same' | 'valid'
  /** Distance between the window's taps, default 1. */
  dilation?: Pair
  /** Into how many independent convolutions the channels are divided, default 1. */
  groups?: number
  /** Default true. */
  bias?: boolean
}

const schema = strictObject({
  stride: steps,
  padding: oneOf('same', 'valid').or(paddings, paddings.what),
  dilation: steps,
  groups: count.default(1),
  bias: flag.default(true),
})

/** Convolution of `(N, inChannels, H, W)` to `(N, outChannels, H', W')`, with PyTorch's initial weights. */
export class Conv2d extends Module<[Tensor], Tensor> {
  readonly kernelSize: [number, number]
  readonly stride: [number, number]
  readonly padding: [number, number] | 'same' | 'valid'
  readonly dilation: [number, number]
  readonly groups: number
  /** `(outChannels, inChannels / groups, kernelHeight, kernelWidth)` */
  readonly weight: Parameter
  /** `(outChannels)` */
  readonly bias: Parameter | null

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    kernelSize: Pair,
    options: Conv2dOptions = {},
  ) {
    super()
    const { stride, padding, dilation, groups, bias: withBias } = checkArguments(schema, options, 'Conv2d')
    this.kernelSize = both(checkValue(sizes, kernelSize, 'kernelSize'))
    this.stride = both(stride)
    if (padding === 'same' && this.stride.some(step => step !== 1))
      throw invalidArgument('padding', 'a number with a stride other than 1', padding)
    this.padding = typeof padding === 'string' ? padding : both(padding)
    this.dilation = both(dilation)
    this.groups = groupsOf(groups, inChannels, outChannels)
    const shape = [outChannels, inChannels / this.groups, ...this.kernelSize]
    const { weight, bias } = learntWeights(shape, outChannels, withBias)
    this.weight = weight
    this.bias = bias
  }

  forward(input: Tensor): Tensor {
    return conv2d(input, this.weight, this.bias, this)
  }

  override extraRepr(): string {
    const parts = [`${this.inChannels}, ${this.outChannels}`, `kernel_size=${python(this.kernelSize)}`]
    parts.push(`stride=${python(this.stride)}`)
    if (typeof this.padding === 'string' || this.padding.some(size => size !== 0))
      parts.push(`padding=${python(this.padding)}`)
    if (this.dilation.some(size => size !== 1)) parts.push(`dilation=${python(this.dilation)}`)
    if (this.groups !== 1) parts.push(`groups=${this.groups}`)
    if (this.bias === null) parts.push('bias=False')
    return parts.join(', ')
  }
}
