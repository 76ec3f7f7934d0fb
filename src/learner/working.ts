import { invalidArgument, TorchLearnerError } from '../native/index.js'
import { type Place, Run } from '../tensor/index.js'
import type { Callback, CallbackMoment } from './callback.js'
import { endingWith } from './ending.js'
import { type Awaitable, INNER_EVENTS } from './events.js'
import type { LoopState } from './loop-state.js'

/** Where the loop stands, for the errors of operators that are recorded now. */
export function standing(learn: LoopState): Place {
  const { epoch, iter, training, fitting } = learn
  return {
    ...(fitting !== 'no' && epoch !== null && { epoch }),
    ...(iter !== null && { batch: iter, ...(!training && { validation: true }) }),
  }
}

/** The place of a callback's part in an event: the batch only where the event is one of a batch. */
export function placeOf(learn: LoopState, callback: Callback, event: CallbackMoment): Place {
  const { epoch, batch, validation } = standing(learn)
  const inBatch = batch !== undefined && (INNER_EVENTS as ReadonlySet<string>).has(event)
  const inFit = event === 'beforeFit' || event === 'afterFit' || event === 'afterCancelFit' || event === 'cleanup'
  return {
    callback: callback.label,
    event,
    ...(!inFit && epoch !== undefined && { epoch }),
    ...(inBatch && { batch, ...(validation && { validation }) }),
  }
}

/** What a Learner is doing: one thing at a time, which answers for its own operators. */
export class Work {
  #now: { run: Run; signal: AbortSignal | undefined; hung: boolean } | null = null

  get isUnderWay(): boolean {
    return this.#now !== null
  }

  /**
   * Runs `body`, and `end` however it went. An operator of the run that has failed and that nobody has read is an error of
   * the run.
   *
   * @param what the name of the run: `fit`
   * @param signal what may end it, also while a callback hangs
   */
  async do<T>(
    what: string,
    signal: AbortSignal | undefined,
    body: () => Promise<T>,
    end: () => Promise<void>,
  ): Promise<T> {
    if (this.#now) throw new TorchLearnerError('ERR_STATE', `${what}: this Learner is at work already; await it first`)
    const run = new Run(what)
    const now = { run, signal, hung: false }
    this.#now = now
    const whole = async (): Promise<T> => {
      const result = await body()
      await run.whole()
      return result
    }
    let failed = true
    try {
      const result = await run.within(() => endingWith(whole, end))
      failed = false
      return result
    } finally {
      this.#now = null
      run.end(failed)
      run.abandoned = now.hung
    }
  }

  /**
   * Waits for a callback, but no longer than it is given once the signal has aborted.
   * @throws TorchLearnerError `ERR_CALLBACK`, with the signal's reason as `cause`
   */
  async patiently(pending: Awaitable<void>, callback: Callback, moment: CallbackMoment): Promise<void> {
    const { signal } = this.#now ?? {}
    if (!signal) return await pending
    const grace = graceOf(callback)
    let timer: NodeJS.Timeout | undefined
    let hurry = (): void => undefined
    const givenUp = new Promise<never>((_, reject) => {
      const giveUp = () => {
        if (this.#now) this.#now.hung = true
        const message = `Error in ${callback.label} at ${moment}: still at work ${grace} ms after the run was aborted, which ended without it`
        reject(new TorchLearnerError('ERR_CALLBACK', message, { cause: signal.reason }))
      }
      hurry = () => {
        timer = setTimeout(giveUp, grace)
      }
    })
    if (signal.aborted) hurry()
    else signal.addEventListener('abort', hurry, { once: true })
    try {
      await Promise.race([pending, givenUp])
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', hurry)
    }
  }
}

/** Node's timers take no longer ones. */
const LONGEST = 2 ** 31 - 1

function graceOf({ abortGrace }: Callback): number {
  if (typeof abortGrace === 'number' && abortGrace >= 0) return Math.min(abortGrace, LONGEST)
  throw invalidArgument('abortGrace', 'milliseconds, 0 or more', abortGrace)
}
