import { invalidArgument } from '../../check/index.js'
import type { Tensor } from '../../tensor/index.js'
import { type InterpolateMode, interpolate } from '../functional-layers.js'
import { Module } from '../module.js'
import { python } from '../repr.js'
import { flag, knownOptions, oneOf } from '../validate.js'

/** Options of {@link Upsample}: either `size` or `scaleFactor`. */
export interface UpsampleOptions {
  /** Sizes of the result in pixels, `[height, width]` or one number for both. */
  size?: number | readonly number[]
  /** How many times larger the result is, `[vertically, horizontally]` or one number for both. */
  scaleFactor?: number | readonly number[]
  /** Default `nearest`. `linear` is for `(N, C, L)`, `bilinear` and `bicubic` for `(N, C, H, W)`, `trilinear` for 3-D. */
  mode?: InterpolateMode
  /** Whether the centres of the corner pixels stay where they are, default false. Not for `nearest`. */
  alignCorners?: boolean
}

const MODES: readonly InterpolateMode[] = ['nearest', 'nearest-exact', 'linear', 'bilinear', 'bicubic', 'trilinear']

/** Resizes `(N, C, L)`, `(N, C, H, W)` or `(N, C, D, H, W)` to given sizes or by factors. */
export class Upsample extends Module<[Tensor], Tensor> {
  readonly size?: number | readonly number[]
  readonly scaleFactor?: number | readonly number[]
  readonly mode: InterpolateMode
  readonly alignCorners: boolean

  constructor(options: UpsampleOptions) {
    super()
    knownOptions('Upsample', options, ['size', 'scaleFactor', 'mode', 'alignCorners'])
    const { size, scaleFactor } = options
    if ((size === undefined) === (scaleFactor === undefined)) {
      throw invalidArgument('the options of Upsample', 'either size or scaleFactor', options)
    }
    if (size === undefined) this.scaleFactor = positives('scaleFactor', scaleFactor, false)
    else this.size = positives('size', size, true)
    this.mode = oneOf('mode', options.mode ?? 'nearest', MODES)
    this.alignCorners = flag('alignCorners', options.alignCorners ?? false)
    if (this.alignCorners && this.mode.startsWith('nearest')) {
      throw invalidArgument('alignCorners', `false with mode ${this.mode}`, true)
    }
  }

  forward(input: Tensor): Tensor {
    return interpolate(input, this)
  }

  override extraRepr(): string {
    const { size, scaleFactor, mode } = this
    const what = size === undefined ? `scale_factor=${pythonFloats(scaleFactor)}` : `size=${python(size)}`
    return `${what}, mode='${mode}'`
  }
}

function positives(name: string, value: unknown, whole: boolean): number | readonly number[] {
  const fits = (item: unknown) =>
    typeof item === 'number' && (whole ? Number.isSafeInteger(item) : Number.isFinite(item)) && item > 0
  if (fits(value)) return value as number
  if (Array.isArray(value) && value.length >= 1 && value.length <= 3 && value.every(fits)) return [...value]
  throw invalidArgument(name, `a ${whole ? 'whole ' : ''}number above 0, or an array of 1 to 3 of them`, value)
}

function pythonFloats(value: number | readonly number[] | undefined): string {
  const float = (item: number) => (Number.isInteger(item) ? item.toFixed(1) : String(item))
  return typeof value === 'object' ? `(${value.map(float).join(', ')})` : float(value ?? 1)
}
