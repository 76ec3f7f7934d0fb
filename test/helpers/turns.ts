import { readFileSync } from 'node:fs'

/**
 * How long the JavaScript thread was busy at a stretch while `body` ran, and altogether, in milliseconds of its own computing where
 * the system tells (Linux), else of the clock.
 */
export async function stretches<T>(body: () => Promise<T>): Promise<{ result: T; longest: number; total: number }> {
  let last = busy()
  let longest = 0
  let isOver = false
  const note = () => {
    const now = busy()
    longest = Math.max(longest, now - last)
    last = now
  }
  const tick = () => {
    note()
    if (!isOver) setImmediate(tick)
  }
  setImmediate(tick)
  await new Promise(resolve => setImmediate(resolve))
  const start = busy()
  last = start
  longest = 0
  const result = await body()
  note()
  isOver = true
  return { result, longest, total: last - start }
}

function busy(): number {
  try {
    const [nanoseconds] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')
    return Number(nanoseconds) / 1e6
  } catch {
    return performance.now() // another system
  }
}
