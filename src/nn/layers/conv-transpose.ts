import { checkArguments, checkValue, count, flag, invalidArgument, strictObject } from '../../check/index.js'
import type { Tensor } from '../../tensor/index.js'
import { convTranspose2d } from '../functional-layers.js'
import { Module } from '../module.js'
import type { Parameter } from '../parameter.js'
import { python } from '../repr.js'
import { both, groupsOf, type Pair, paddings, sizes, steps } from '../validate.js'
import { learntWeights } from './linear.js'

/** Options of {@link ConvTranspose2d}. */
export interface ConvTranspose2dOptions {
  /** Distance at which the input's pixels are laid out, default 1. */
  stride?: Pair
  /** How much of the border of the result is cut off, default 0. */
  padding?: Pair
  /** How much is added to one side of the result, below stride or dilation; default 0. */
  outputPadding?: Pair
  /** Into how many independent convolutions the channels are divided, default 1. */
  groups?: number
  /** Default true. */
  bias?: boolean
  /** Distance between the window's taps, default 1. */
  dilation?: Pair
}

const schema = strictObject({
  stride: steps,
  padding: paddings,
  outputPadding: paddings,
  groups: count.default(1),
  bias: flag.default(true),
  dilation: steps,
})

/**
 * Transposed convolution of `(N, inChannels, H, W)` to `(N, outChannels, H', W')` with
 * `H' = (H - 1)·stride - 2·padding + dilation·(kernelSize - 1) + outputPadding + 1`, with PyTorch's initial weights.
 */
export class ConvTranspose2d extends Module<[Tensor], Tensor> {
  readonly kernelSize: [number, number]
  readonly stride: [number, number]
  readonly padding: [number, number]
  readonly outputPadding: [number, number]
  readonly groups: number
  readonly dilation: [number, number]
  /** `(inChannels, outChannels / groups, kernelHeight, kernelWidth)` */
  readonly weight: Parameter
  /** `(outChannels)` */
  readonly bias: Parameter | null

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    kernelSize: Pair,
    options: ConvTranspose2dOptions = {},
  ) {
    super()
    const checked = checkArguments(schema, options, 'ConvTranspose2d')
    this.kernelSize = both(checkValue(sizes, kernelSize, 'kernelSize'))
    this.stride = both(checked.stride)
    this.padding = both(checked.padding)
    this.outputPadding = both(checked.outputPadding)
    this.groups = groupsOf(checked.groups, inChannels, outChannels)
    this.dilation = both(checked.dilation)
    const { stride, dilation } = this
    if (this.outputPadding.some((size, i) => size >= Math.max(stride[i], dilation[i]))) {
      throw invalidArgument('outputPadding', 'less than stride or dilation', checked.outputPadding)
    }
    const shape = [inChannels, outChannels / this.groups, ...this.kernelSize]
    const { weight, bias } = learntWeights(shape, outChannels, checked.bias)
    this.weight = weight
    this.bias = bias
  }

  forward(input: Tensor): Tensor {
    return convTranspose2d(input, this.weight, this.bias, this)
  }

  override extraRepr(): string {
    const parts = [`${this.inChannels}, ${this.outChannels}`, `kernel_size=${python(this.kernelSize)}`]
    parts.push(`stride=${python(this.stride)}`)
    if (this.padding.some(size => size !== 0)) parts.push(`padding=${python(this.padding)}`)
    if (this.dilation.some(size => size !== 1)) parts.push(`dilation=${python(this.dilation)}`)
    if (this.outputPadding.some(size => size !== 0)) parts.push(`output_padding=${python(this.outputPadding)}`)
    if (this.groups !== 1) parts.push(`groups=${this.groups}`)
    if (this.bias === null) parts.push('bias=False')
    return parts.join(', ')
  }
}
