import { isThenable, TorchLearnerError } from '../../check/index.js'
import { type Place, Run, reportUnread } from '../../tensor/index.js'
import { type Callback, runCallback } from './callback.js'
import { throwFirst } from './ending.js'
import type { Awaitable } from './events.js'

type Pending = readonly [callback: Callback, promise: Promise<void>]

/** Failures that the first run of their Learner would be told: reported when there is to be none. */
const untold = new Set<unknown[]>()
const forgotten = new FinalizationRegistry(report)

function report(failures: unknown[]): void {
  untold.delete(failures)
  for (const error of failures.splice(0)) if (error instanceof TorchLearnerError) reportUnread(error)
}

// before the program looks whether there were any
process.prependListener('beforeExit', () => {
  for (const failures of untold) report(failures)
})

/** The event `afterCreate`, as a run of its own: at once for callbacks that are synchronous, the rest meanwhile. */
export class Creation {
  readonly #run: Run | null = null
  #pending: Pending[] = []
  #unsettled = 0
  readonly #failures: unknown[] = []
  #isTold = false

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
        error => {
          if (!this.#isTold) {
            this.#failures.push(error)
            untold.add(this.#failures)
          }
          this.#settle()
        },
      )
    }
    if (this.#unsettled > 0) forgotten.register(this, this.#failures)
  }

  #settle(): void {
    this.#unsettled -= 1
    if (this.#unsettled === 0) this.#run?.end(false)
  }

  /**
   * Waits until everybody is done, for the first run of the Learner: that one rejects if someone failed, the next ones
   * don't.
   */
  async settled(patiently: (pending: Awaitable<void>, callback: Callback) => Promise<void>): Promise<void> {
    const failures: unknown[] = []
    for (const [callback, promise] of this.#pending.splice(0)) {
      await patiently(promise, callback).catch(error => failures.push(error))
    }
    this.#isTold = true
    this.#failures.length = 0
    untold.delete(this.#failures)
    if (this.#unsettled > 0) this.#run?.abandon()
    throwFirst(failures)
  }
}
