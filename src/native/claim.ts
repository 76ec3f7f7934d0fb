import { threadId } from 'node:worker_threads'
import { ADDON_NAMES, loadedLibraries } from './loaded.js'

/** The part of the preload module that threads meet in: the process's real environment, which they share. */
export interface Claims {
  /** True when the variable was not set, and has this value now. */
  setDefaultEnv(name: string, value: string): boolean
  unsetEnv(name: string): void
}

/** Loading takes a second. A thread that was ended within it leaves its claim behind. */
const PATIENCE = 20_000
const PAUSE = 10

/**
 * Runs `load` while no other thread of this process loads an addon: two copies of the package that look at the same moment would
 * each find none loaded. Where the addon is loaded already nobody waits.
 */
export function withClaim<T>(claims: Claims, addon: string, load: () => T): T {
  const name = `TORCH_LEARNER_LOADING_${process.pid}`
  const deadline = performance.now() + PATIENCE
  const clock = new Int32Array(new SharedArrayBuffer(4))
  while (!claims.setDefaultEnv(name, `${threadId} ${addon}`)) {
    if (loadedLibraries(...ADDON_NAMES).length > 0) return load()
    if (performance.now() > deadline) claims.unsetEnv(name)
    Atomics.wait(clock, 0, 0, PAUSE)
  }
  try {
    return load()
  } finally {
    claims.unsetEnv(name)
  }
}
