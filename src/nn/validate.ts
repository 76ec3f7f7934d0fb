import { checkValue, count, field, instance, invalidArgument, oneOf } from '../check/index.js'
import { Tensor } from '../tensor/index.js'

// Fields of check/ that are about layers and tensors.

/** A size of two dimensions; one number stands for both. */
export type Pair = number | readonly [number, number]

const tensor = instance<Tensor>(Tensor, 'a Tensor')

/** A whole number from `minimum`, or a pair of them. */
export function pair(minimum = 1) {
  const fits = (item: unknown) => typeof item === 'number' && Number.isSafeInteger(item) && item >= minimum
  return field<Pair>(
    `a whole number of at least ${minimum}, or a pair [height, width] of them`,
    value => fits(value) || (Array.isArray(value) && value.length === 2 && fits(value[0]) && fits(value[1])),
  )
}

/** A pair, with the defaults that most windows have. */
export const sizes = pair()
export const steps = sizes.default(1)
export const paddings = pair(0).default(0)

/** How tensors of pictures lie in memory. */
export const memoryFormat = oneOf('contiguous_format', 'channels_last')

/** Into how many parts a convolution divides its channels. */
export function groupsOf(groups: number, inChannels: number, outChannels: number): number {
  checkValue(count, inChannels, 'inChannels')
  checkValue(count, outChannels, 'outChannels')
  if (inChannels % groups === 0 && outChannels % groups === 0) return groups
  throw invalidArgument('groups', `a divisor of both channel numbers, ${inChannels} and ${outChannels},`, groups)
}

/** Both numbers of a pair. */
export function both(value: Pair): [number, number] {
  return typeof value === 'number' ? [value, value] : [value[0], value[1]]
}

/** The same pair, in an array of its own. */
export function ownPair(value: Pair): Pair {
  return typeof value === 'number' ? value : [value[0], value[1]]
}

export function isTensor(name: string, value: unknown): Tensor {
  return checkValue(tensor, value, name)
}

/** A tensor, or null by default. */
export const maybeTensor = tensor.nullable().default(null)
