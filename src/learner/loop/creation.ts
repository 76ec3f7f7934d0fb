import { isThenable } from '../../check/index.js'
import { type Place, Run } from '../../tensor/index.js'
import { type Callback, runCallback } from './callback.js'
import { throwFirst } from './ending.js'
import type { Awaitable } from './events.js'

type Pending = readonly [callback: Callback, promise: Promise<void>]

/** The event `afterCreate`, as a run of its own: at once for callbacks that are synchronous, the rest meanwhile. */
export class Creation {
  readonly #run: Run | null = null
  #pending: Pending[] = []
  #unsettled = 0

  constructor(callbacks: readonly Callback[], placeOf: (callback: Callback) => Place) {
    const acting = callbacks.filter(callback => callback.run && callback.afterCreate)
    if (acting.length === 0) return
    const run = new Run('create')
    this.#run = run
    let failed = true
    try {
      for (const callback of acting) {
        const promise = run.within(() => runCallback(callback, 'afterCreate', () => placeOf(callback)))
        if (isThenable(promise)) this.#pending.push([callback, Promise.resolve(promise)])
      }
      failed = false
    } finally {
      if (failed || this.#pending.length === 0) run.end(failed)
    }
    this.#unsettled = this.#pending.length
    for (const [, promise] of this.#pending) {
      promise.then(
        () => this.#settle(),
        () => this.#settle(), // the first run is told
      )
    }
  }

  #settle(): void {
    this.#unsettled -= 1
    if (this.#unsettled === 0) this.#run?.end(false)
  }

  /**
   * Waits until everybody is done, for the first run of the Learner: that one rejects if somebody failed, the next ones
   * don't.
   */
  async settled(patiently: (pending: Awaitable<void>, callback: Callback) => Promise<void>): Promise<void> {
    const failures: unknown[] = []
    for (const [callback, promise] of this.#pending.splice(0)) {
      await patiently(promise, callback).catch(error => failures.push(error))
    }
    if (this.#unsettled > 0) this.#run?.abandon()
    throwFirst(failures)
  }
}
