import { invalidArgument } from '../../check/index.js'
import type { Tensor } from '../../tensor/index.js'
import { convTranspose2d } from '../functional-layers.js'
import { Module } from '../module.js'
import type { Parameter } from '../parameter.js'
import { python } from '../repr.js'
import { both, flag, groupsOf, knownOptions, type Pair, pair, wholeNumber } from '../validate.js'
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

const OPTIONS = ['stride', 'padding', 'outputPadding', 'groups', 'bias', 'dilation']

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
    knownOptions('ConvTranspose2d', options, OPTIONS)
    wholeNumber('inChannels', inChannels)
    wholeNumber('outChannels', outChannels)
    this.kernelSize = both(pair('kernelSize', kernelSize))
    this.stride = both(pair('stride', options.stride ?? 1))
    this.padding = both(pair('padding', options.padding ?? 0, 0))
    this.outputPadding = both(pair('outputPadding', options.outputPadding ?? 0, 0))
    this.groups = groupsOf(options.groups ?? 1, inChannels, outChannels)
    this.dilation = both(pair('dilation', options.dilation ?? 1))
    const { stride, dilation } = this
    if (this.outputPadding.some((size, i) => size >= Math.max(stride[i], dilation[i]))) {
      throw invalidArgument('outputPadding', 'less than stride or dilation', options.outputPadding)
    }
    const shape = [inChannels, outChannels / this.groups, ...this.kernelSize]
    const { weight, bias } = learntWeights(shape, outChannels, flag('bias', options.bias ?? true))
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
