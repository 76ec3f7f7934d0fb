import { warnLaterFailure } from '../report/warnings.js'
import type { Awaitable } from './events.js'

/**
 * Runs `body`, and `end` however it went. An error of `body` is the cause, and the one that is thrown; what `end` fails
 * with after it becomes a warning, so that it neither hides the cause nor is lost.
 */
export async function endingWith<T>(body: () => Awaitable<T>, end: () => Awaitable<void>): Promise<T> {
  let result: T
  try {
    result = await body()
  } catch (error) {
    try {
      await end()
    } catch (later) {
      warnLaterFailure(later)
    }
    throw error
  }
  await end()
  return result
}

/** Throws the first of several failures; the others become warnings. */
export function throwFirst(failures: readonly unknown[]): void {
  if (failures.length === 0) return
  for (const later of failures.slice(1)) warnLaterFailure(later)
  throw failures[0]
}
