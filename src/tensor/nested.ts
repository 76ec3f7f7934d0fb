import { invalidArgument, messageOf, TorchLearnerError } from '../check/index.js'

/*
 * Arrays that a program hands over may hold themselves, claim a length of 2^32 - 1, or be proxies whose getters throw.
 * Whoever walks them looks at depth and lengths first, so that a mistake is an error and not the end of the process.
 */

/** As many dimensions as libtorch's operators take. */
const MAX_DIMENSIONS = 64

/** As many numbers as are taken from JavaScript's arrays, which need 16 bytes for each and more; typed arrays hold more. */
const MAX_ITEMS = 2 ** 27

/** As many tensors as there can be. */
const MAX_TENSORS = 2 ** 24

/** `walk()`, whose own errors pass; what getters and proxies of the value throw becomes the value's fault. */
export function reading<T>(name: string, walk: () => T): T {
  try {
    return walk()
  } catch (cause) {
    if (cause instanceof TorchLearnerError) throw cause
    const message = `Expected ${name} that can be read but reading it failed: ${messageOf(cause)}`
    throw new TorchLearnerError('ERR_INVALID_ARG', message, { cause })
  }
}

/** The items of an array or of anything iterable, of which there may not be endlessly many. */
export function listOf<T>(name: string, items: Iterable<T>, most = MAX_TENSORS): T[] {
  return reading(name, () => {
    if (Array.isArray(items) && items.length > most) throw tooLong(name, items, most)
    const list: T[] = []
    for (const item of items) {
      if (list.length === most) throw tooLong(name, items, most)
      list.push(item)
    }
    return list
  })
}

function tooLong(name: string, items: unknown, most: number): TorchLearnerError {
  return invalidArgument(name, `at most ${most} items`, items)
}

/** Lengths along the first items. */
function shapeOf(name: string, data: unknown): number[] {
  const shape: number[] = []
  let count = 1
  for (let level: unknown = data; Array.isArray(level); level = level[0]) {
    if (shape.length === MAX_DIMENSIONS) {
      throw invalidArgument(name, `arrays nested at most ${MAX_DIMENSIONS} deep`, data, 'Does an array hold itself?')
    }
    shape.push(level.length)
    count *= level.length
    if (count > MAX_ITEMS) {
      throw invalidArgument(name, `at most ${MAX_ITEMS} numbers in arrays`, data, 'Typed arrays may hold more')
    }
  }
  return shape
}

/**
 * Gives `each` the items of nested arrays, row by row.
 *
 * @returns the lengths at each level: every row must have its level's
 */
export function unnest(name: string, data: unknown, each: (item: unknown) => void): number[] {
  return reading(name, () => {
    const shape = shapeOf(name, data)
    const walk = (level: unknown, depth: number) => {
      if (depth === shape.length) {
        each(level)
        return
      }
      if (!Array.isArray(level) || level.length !== shape[depth]) {
        throw invalidArgument(name, `nested arrays of equal lengths (here ${shape[depth]})`, level)
      }
      for (let i = 0; i < shape[depth]; i++) walk(level[i], depth + 1)
    }
    walk(data, 0)
    return shape
  })
}

/** `shape`, checked, in an array of its own. */
export function checkShape(shape: unknown): readonly number[] {
  return reading('shape', () => {
    const sizes = Array.isArray(shape) ? listOf<unknown>('shape', shape, MAX_DIMENSIONS) : undefined
    if (sizes?.every(isSize)) return sizes
    throw invalidArgument('shape', 'an array of non-negative integers', shape)
  })
}

function isSize(size: unknown): size is number {
  return typeof size === 'number' && Number.isSafeInteger(size) && size >= 0
}
