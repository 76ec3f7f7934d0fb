import { setImmediate } from 'node:timers/promises'

/**
 * Splits long work on the JavaScript thread, so that others get their turn: the function that comes back is called after
 * each small piece of it, and gives something to await when there has been enough.
 *
 * @param budget milliseconds at a stretch
 */
export function takeTurns(budget = 10): () => Promise<void> | undefined {
  let since = performance.now()
  return () => {
    if (performance.now() - since < budget) return undefined
    return setImmediate().then(() => {
      since = performance.now()
    })
  }
}
