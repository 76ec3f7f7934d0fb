import { checkArguments, checkValue, flag, invalidArgument, strictObject } from '../../check/index.js'
import type { Tensor } from '../../tensor/index.js'
import { adaptiveAvgPool2d, adaptiveMaxPool2d, avgPool2d, maxPool2d } from '../functional.js'
import { Module } from '../module.js'
import { python } from '../repr.js'
import { both, ownPair, type Pair, paddings, sizes, steps } from '../validate.js'

function checkPadding(padding: Pair, kernelSize: Pair): Pair {
  const kernel = both(kernelSize)
  if (both(padding).every((size, i) => size <= kernel[i] / 2)) return ownPair(padding)
  throw invalidArgument('padding', 'at most half of kernelSize', padding)
}

const checkSize = (name: string, value: unknown): Pair => ownPair(checkValue(sizes, value, name))

// PyTorch says None for the window's own size
const window = { stride: sizes.nullish(), padding: paddings, ceilMode: flag.default(false) }
const maxSchema = strictObject({ ...window, dilation: steps })
const avgSchema = strictObject({ ...window, countIncludePad: flag.default(true) })

/** Options of {@link MaxPool2d}. */
export interface MaxPool2dOptions {
  /** Step of the window, by default its size. */
  stride?: Pair
  /** Border around the picture that is never the largest, default 0, at most half the window. */
  padding?: Pair
  /** Distance between the window's taps, default 1. */
  dilation?: Pair
  /** Let the last window reach over the border, default false. */
  ceilMode?: boolean
}

/** Largest value of each window of `(N, C, H, W)`. */
export class MaxPool2d extends Module<[Tensor], Tensor> {
  readonly kernelSize: Pair
  readonly stride: Pair
  readonly padding: Pair
  readonly dilation: Pair
  readonly ceilMode: boolean

  constructor(kernelSize: Pair, options: MaxPool2dOptions = {}) {
    super()
    const { stride, padding, dilation, ceilMode } = checkArguments(maxSchema, options, 'MaxPool2d')
    this.kernelSize = checkSize('kernelSize', kernelSize)
    this.stride = ownPair(stride ?? this.kernelSize)
    this.padding = checkPadding(padding, this.kernelSize)
    this.dilation = ownPair(dilation)
    this.ceilMode = ceilMode
  }

  forward(input: Tensor): Tensor {
    return maxPool2d(input, this.kernelSize, this)
  }

  override extraRepr(): string {
    const { kernelSize, stride, padding, dilation, ceilMode } = this
    const shown = { kernel_size: kernelSize, stride, padding, dilation, ceil_mode: ceilMode }
    return Object.entries(shown)
      .map(([name, value]) => `${name}=${python(value)}`)
      .join(', ')
  }
}

/** Options of {@link AvgPool2d}. */
export interface AvgPool2dOptions {
  /** Step of the window, by default its size. */
  stride?: Pair
  /** Zeros around the picture, default 0, at most half the window. */
  padding?: Pair
  /** Let the last window reach over the border, default false. */
  ceilMode?: boolean
  /** Whether the padding's zeros count in the mean, default true. */
  countIncludePad?: boolean
}

/** Mean of each window of `(N, C, H, W)`. */
export class AvgPool2d extends Module<[Tensor], Tensor> {
  readonly kernelSize: Pair
  readonly stride: Pair
  readonly padding: Pair
  readonly ceilMode: boolean
  readonly countIncludePad: boolean

  constructor(kernelSize: Pair, options: AvgPool2dOptions = {}) {
    super()
    const { stride, padding, ceilMode, countIncludePad } = checkArguments(avgSchema, options, 'AvgPool2d')
    this.kernelSize = checkSize('kernelSize', kernelSize)
    this.stride = ownPair(stride ?? this.kernelSize)
    this.padding = checkPadding(padding, this.kernelSize)
    this.ceilMode = ceilMode
    this.countIncludePad = countIncludePad
  }

  forward(input: Tensor): Tensor {
    return avgPool2d(input, this.kernelSize, this)
  }

  override extraRepr(): string {
    return `kernel_size=${python(this.kernelSize)}, stride=${python(this.stride)}, padding=${python(this.padding)}`
  }
}

/** Means over `(N, C, H, W)` in windows such that `(N, C, ...outputSize)` remains. */
export class AdaptiveAvgPool2d extends Module<[Tensor], Tensor> {
  readonly outputSize: Pair

  constructor(outputSize: Pair) {
    super()
    this.outputSize = checkSize('outputSize', outputSize)
  }

  forward(input: Tensor): Tensor {
    return adaptiveAvgPool2d(input, this.outputSize)
  }

  override extraRepr(): string {
    return `output_size=${python(this.outputSize)}`
  }
}

/** Largest values over `(N, C, H, W)` in windows such that `(N, C, ...outputSize)` remains. */
export class AdaptiveMaxPool2d extends Module<[Tensor], Tensor> {
  readonly outputSize: Pair

  constructor(outputSize: Pair) {
    super()
    this.outputSize = checkSize('outputSize', outputSize)
  }

  forward(input: Tensor): Tensor {
    return adaptiveMaxPool2d(input, this.outputSize)
  }

  override extraRepr(): string {
    return `output_size=${python(this.outputSize)}`
  }
}
