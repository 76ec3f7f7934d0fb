import { invalidArgument } from '../native/index.js'

/** Learning rates that rise from the first parameter group to the last: see {@link slice}. */
export class Slice {
  /** @internal Use {@link slice}. */
  constructor(
    readonly start: number | null,
    readonly stop: number,
  ) {}
}

/**
 * Discriminative learning rates, fastai's `slice`.
 *
 * - `slice(stop)`: `stop` for the last group and a tenth of it for all others
 * - `slice(start, stop)`: from `start` for the first group to `stop` for the last, each a constant factor above the one
 *   before; with one group, `stop`
 *
 * @example new Adam(groups, { lr: slice(1e-5, 1e-3) })
 */
export function slice(stop: number): Slice
export function slice(start: number, stop: number): Slice
export function slice(first: number, second?: number): Slice {
  const [start, stop] = second === undefined ? [null, first] : [first, second]
  for (const value of start === null ? [stop] : [start, stop]) {
    if (!(typeof value === 'number' && value > 0 && Number.isFinite(value))) {
      throw invalidArgument('slice', 'numbers above 0', value)
    }
  }
  return new Slice(start, stop)
}

/** One value for all parameter groups, one for each, or a {@link slice}. */
export type HyperValue = number | readonly number[] | Float32Array | Float64Array | Slice

function checkNumber(name: string, value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value
  throw invalidArgument(name, 'a finite number, an array of one number for each parameter group, or slice(...)', value)
}

function fromSlice({ start, stop }: Slice, groups: number): number[] {
  const last = groups - 1
  if (start === null || last === 0) return Array.from({ length: groups }, (_, i) => (i === last ? stop : stop / 10))
  const factor = (stop / start) ** (1 / last)
  return Array.from({ length: groups }, (_, i) => start * factor ** i)
}

/**
 * A hyper-parameter's value for each of `groups` parameter groups.
 *
 * @param name for the error
 * @throws TorchLearnerError `ERR_INVALID_ARG` when there are several values, and not as many as groups
 */
export function spread(name: string, value: HyperValue, groups: number): number[] {
  if (typeof value === 'number') return new Array<number>(groups).fill(checkNumber(name, value))
  if (value instanceof Slice) return fromSlice(value, groups)
  if (!Array.isArray(value) && !(value instanceof Float32Array) && !(value instanceof Float64Array)) {
    throw invalidArgument(name, 'a number, an array of numbers or slice(...)', value)
  }
  const values = Array.from(value, item => checkNumber(name, item))
  if (values.length === 1) return new Array<number>(groups).fill(values[0])
  if (values.length === groups) return values
  throw invalidArgument(name, `1 or ${groups} values (one for each parameter group)`, value)
}

/** Whether a hyper-parameter is 0 in all groups. */
export function isZero(value: HyperValue): boolean {
  if (typeof value === 'number') return value === 0
  return !(value instanceof Slice) && value.every(item => item === 0)
}
