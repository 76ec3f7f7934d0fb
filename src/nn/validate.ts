import { inspected, invalidArgument } from '../check/index.js'
import { knownOptions } from '../native/index.js'
import { Tensor } from '../tensor/index.js'

export { knownOptions }

/** A size of two dimensions; one number stands for both. */
export type Pair = number | readonly [number, number]

/** Checks for constructors. Each returns the value it was given, or throws `ERR_INVALID_ARG` naming `name`. */

export function wholeNumber(name: string, value: unknown, minimum = 1): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= minimum) return value
  throw invalidArgument(name, `a whole number of at least ${minimum}`, value)
}

/** Into how many parts a convolution divides its channels. */
export function groupsOf(value: unknown, inChannels: number, outChannels: number): number {
  const groups = wholeNumber('groups', value)
  if (inChannels % groups === 0 && outChannels % groups === 0) return groups
  throw invalidArgument('groups', `a divisor of both channel numbers, ${inChannels} and ${outChannels},`, groups)
}

export function numberBetween(name: string, value: unknown, low: number, high: number): number {
  if (typeof value === 'number' && value >= low && value <= high) return value
  throw invalidArgument(
    name,
    Number.isFinite(high) ? `a number from ${low} to ${high}` : `a number of at least ${low}`,
    value,
  )
}

export function flag(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw invalidArgument(name, 'true or false', value)
}

export function oneOf<T extends string>(name: string, value: unknown, choices: readonly T[]): T {
  const found = choices.find(choice => choice === value)
  if (found !== undefined) return found
  throw invalidArgument(name, `one of ${choices.map(choice => `'${choice}'`).join(', ')}`, value)
}

export function pair(name: string, value: unknown, minimum = 1): Pair {
  const fits = (item: unknown) => typeof item === 'number' && Number.isSafeInteger(item) && item >= minimum
  if (fits(value)) return value as number
  const isPair = inspected(name, value, () => Array.isArray(value) && value.length === 2 && value.every(fits))
  if (isPair && Array.isArray(value)) return [value[0], value[1]]
  throw invalidArgument(name, `a whole number of at least ${minimum}, or a pair [height, width] of them`, value)
}

/** Both numbers of a pair. */
export function both(value: Pair): [number, number] {
  return typeof value === 'number' ? [value, value] : [value[0], value[1]]
}

export function isTensor(name: string, value: unknown): Tensor {
  if (inspected(name, value, () => value instanceof Tensor)) return value as Tensor
  throw invalidArgument(name, 'a Tensor', value)
}
