import { checkValue, type Field, field, invalidArgument, isTyped, nonNegative, probability } from '../check/index.js'

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

/** By name, for all optimizers; 0 fits everywhere: a schedule may begin and end there. */
const RANGES: Readonly<Record<string, Field<number>>> = {
  lr: nonNegative,
  wd: nonNegative,
  eps: nonNegative,
  trustCoeff: nonNegative,
  beta: nonNegative,
  mom: probability,
  sqrMom: probability,
}

/** @internal The range of a hyper-parameter: the optimizer's own, or that of its name; undefined for any finite number. */
export function rangeOf(name: string, own: Readonly<Record<string, Field<number>>> = {}): Field<number> | undefined {
  return own[name] ?? (Object.hasOwn(RANGES, name) ? RANGES[name] : undefined)
}

const one = field<number>(
  'a finite number, an array of one number for each parameter group, or slice(...)',
  Number.isFinite,
)

function checkNumber(name: string, value: unknown, range?: Field<number>): number {
  const number = checkValue(one, value, name)
  return range ? checkValue(range, number, name) : number
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
 * @param range what values may be
 * @throws TorchLearnerError `ERR_INVALID_ARG` when there are several values, and not as many as groups, or one that is
 * out of range
 */
export function spread(name: string, value: HyperValue, groups: number, range?: Field<number>): number[] {
  if (typeof value === 'number') return new Array<number>(groups).fill(checkNumber(name, value, range))
  if (value instanceof Slice) return fromSlice(value, groups).map(item => checkNumber(name, item, range))
  if (!Array.isArray(value) && !isTyped(value, 'Float32Array', 'Float64Array')) {
    throw invalidArgument(name, 'a number, an array of numbers or slice(...)', value)
  }
  const values = Array.from(value, item => checkNumber(name, item, range))
  if (values.length === 1) return new Array<number>(groups).fill(values[0])
  if (values.length === groups) return values
  throw invalidArgument(name, `1 or ${groups} values (one for each parameter group)`, value)
}

/** A hyper-parameter among the options of an optimizer, which looks at it with {@link spread}; without a default it is needed. */
export function hyper(byDefault?: number): Field<HyperValue> {
  return byDefault === undefined ? values : values.default(byDefault)
}

const values = field<HyperValue>('a number, an array of numbers or slice(...)', given => given !== undefined)

/** Whether a hyper-parameter is 0 in all groups. */
export function isZero(value: HyperValue): boolean {
  if (typeof value === 'number') return value === 0
  return !(value instanceof Slice) && value.every(item => item === 0)
}
