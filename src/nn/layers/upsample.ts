import { checkArguments, field, flag, invalidArgument, oneOfQuoted, strictObject } from '../../check/index.js'
import type { Tensor } from '../../tensor/index.js'
import { type InterpolateMode, interpolate } from '../functional-layers.js'
import { Module } from '../module.js'
import { python } from '../repr.js'

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

const schema = strictObject({
  size: upTo3(Number.isSafeInteger, 'a whole number above 0'),
  scaleFactor: upTo3(Number.isFinite, 'a number above 0'),
  mode: oneOfQuoted('nearest', 'nearest-exact', 'linear', 'bilinear', 'bicubic', 'trilinear').default('nearest'),
  alignCorners: flag.default(false),
})

function upTo3(kind: (item: unknown) => boolean, what: string) {
  const fits = (item: unknown) => kind(item) && Number(item) > 0
  return field<number | readonly number[]>(`${what}, or an array of 1 to 3 of them`, value => {
    return (
      fits(value) || (Array.isArray(value) && value.length >= 1 && value.length <= 3 && Array.from(value).every(fits))
    )
  }).optional()
}

/** Resizes `(N, C, L)`, `(N, C, H, W)` or `(N, C, D, H, W)` to given sizes or by factors. */
export class Upsample extends Module<[Tensor], Tensor> {
  readonly size?: number | readonly number[]
  readonly scaleFactor?: number | readonly number[]
  readonly mode: InterpolateMode
  readonly alignCorners: boolean

  constructor(options: UpsampleOptions) {
    super()
    const { size, scaleFactor, mode, alignCorners } = checkArguments(schema, options, 'Upsample')
    if ((size === undefined) === (scaleFactor === undefined)) {
      throw invalidArgument('the options of Upsample', 'either size or scaleFactor', options)
    }
    if (size === undefined) this.scaleFactor = copied(scaleFactor)
    else this.size = copied(size)
    this.mode = mode
    this.alignCorners = alignCorners
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

function copied(value: number | readonly number[] | undefined): number | readonly number[] | undefined {
  return typeof value === 'object' ? [...value] : value
}

function pythonFloats(value: number | readonly number[] | undefined): string {
  const float = (item: number) => (Number.isInteger(item) ? item.toFixed(1) : String(item))
  return typeof value === 'object' ? `(${value.map(float).join(', ')})` : float(value ?? 1)
}
