import { field } from '../../check/index.js'
import { type Generator, own, type Tensor, tensor } from '../../tensor/index.js'

/** Numbers instead of random ones: one for all samples, one for each, or a function that gives them for every batch. */
export type Draw = number | readonly number[] | (() => number | readonly number[])

/** A {@link Draw}, in options. */
export const drawSchema = field<Draw>(
  'a number, one for each sample, or a function that gives them',
  value =>
    typeof value === 'number' ||
    typeof value === 'function' ||
    (Array.isArray(value) && value.every(item => typeof item === 'number')),
)

/** What is drawn for each sample: a number from `low` to `high` with probability `p` (default 1), else `neutral` (default 0). */
export interface DrawSpec {
  /** `log_uniform`: low and high are logarithms; `whole`: a whole number below `high`. Default `uniform`. */
  kind?: 'uniform' | 'log_uniform' | 'whole'
  low: number
  high: number
  p?: number
  neutral?: number
}

/** Which samples share a draw, and where it comes from (default: libtorch's CPU generator). */
export interface DrawSource {
  batch: boolean
  generator?: Generator
}

/** One number a sample of `x`, `(N)` on the host: the given ones, or drawn on the native stream. */
export function drawFor(x: Tensor, draw: Draw | undefined, spec: DrawSpec, source: DrawSource): Tensor {
  if (draw !== undefined) {
    const given = typeof draw === 'function' ? draw() : draw
    return tensor(typeof given === 'number' ? [given] : [...given], { dtype: 'float32' })
  }
  const { batch, generator } = source
  const { kind = 'uniform', low, high, p = 1, neutral = 0 } = spec
  return own.augmentDraw(x, kind, low, high, p, neutral, batch, from(generator))
}

/** The operators' named argument. */
export function from(generator: Generator | undefined): { generator?: Generator } {
  return generator ? { generator } : {}
}
