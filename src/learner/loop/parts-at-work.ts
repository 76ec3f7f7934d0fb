import { isThenable } from '../../check/index.js'
import { at } from '../../tensor/index.js'

const parts = new WeakMap<object, string>()

/** Runs `fn` as a part of what is at work; errors in it are told with its name. */
export function asPart<T>(part: string, fn: () => T): T {
  const note = (error: unknown): never => {
    if (typeof error === 'object' && error !== null && !parts.has(error)) parts.set(error, part)
    throw error
  }
  try {
    const result = at({ part }, fn)
    return isThenable(result) ? (result.then(undefined, note) as T) : result
  } catch (error) {
    return note(error)
  }
}

/** The part in which an error was thrown, if it was in one. */
export function partOf(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null ? parts.get(error) : undefined
}
