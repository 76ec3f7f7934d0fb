import { invalidArgument, isOperators, TorchLearnerError } from '../../check/index.js'
import { context, type Place, Run, refuseAbandoned } from '../../tensor/index.js'
import type { Callback, CallbackMoment } from './callback.js'
import { endingWith } from './ending.js'
import { type Awaitable, INNER_EVENTS } from './events.js'
import type { LoopState } from './loop-state.js'
import { explained } from './signals.js'

/**
 * What a run of the Learner is for, as callbacks may ask (`learn.purpose`):
 *
 * - `fit`: it trains, and validates after each epoch (`learn.training` tells which): `fit`, `fitOneCycle`, `fineTune`...
 * - `find`: it trains in order to look for a learning rate, and everything is put back afterwards: `lrFind`
 * - `validate`: it measures the model: `validate`
 * - `predict`: someone wants the model's predictions: `getPreds`, `predict`, `tta`, `showResults`...
 */
export type RunPurpose = 'fit' | 'find' | 'validate' | 'predict'

/** What {@link Work.do} is told about a run. A session by hand is for what only its user knows: `purpose` is `null`. */
export interface Task {
  what: string
  purpose: RunPurpose | null
  signal?: AbortSignal
}

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
  return {
    callback: callback.label,
    event,
    ...(!AROUND_EPOCHS.has(event) && epoch !== undefined && { epoch }),
    ...(inBatch && { batch, ...(validation && { validation }) }),
  }
}

const AROUND_EPOCHS: ReadonlySet<CallbackMoment> = new Set(['beforeFit', 'afterFit', 'afterCancelFit'] as const)

/** A run that answers for a part of the one in force, or for itself where there is none. */
export function innerRun(what: string): Run {
  const { run } = context()
  return run === null || run.isOver ? new Run(what) : new Run(run.name, run)
}

/** What a Learner is doing: one thing at a time, which answers for its own operators. */
export class Work {
  #now: { run: Run; signal: AbortSignal | undefined; hung: boolean; purpose: RunPurpose | null } | null = null
  /** Of a pass within a pass where nothing is under way. */
  readonly #idle: { purpose: RunPurpose | null } = { purpose: null }

  get isUnderWay(): boolean {
    return this.#now !== null
  }

  get purpose(): RunPurpose | null {
    return (this.#now ?? this.#idle).purpose
  }

  /**
   * Runs `body`, and `end` however it went. An operator of the run that has failed and that nobody has read is an error of
   * the run.
   *
   * @param told its name (`fit`), what it is for, and the signal that may end it, also while a callback hangs
   */
  async do<T>({ what, purpose, signal }: Task, body: () => Promise<T>, end: () => Promise<void>): Promise<T> {
    refuseAbandoned(what)
    if (this.#now) throw new TorchLearnerError('ERR_STATE', `${what}: this Learner is at work already; await it first`)
    // What ends it is a run of its own: its failures are told too, whatever became of the first.
    const [run, ending] = [new Run(what), new Run(what)]
    const now = { run, signal, hung: false, purpose }
    this.#now = now
    try {
      return await endingWith(
        () => unlessAborted(signal, () => run.whole(() => unlessAborted(signal, body))),
        () => ending.whole(end),
      )
    } catch (error) {
      throw explained(error)
    } finally {
      this.#now = null
      if (now.hung) for (const part of [run, ending]) part.abandon()
    }
  }

  /** A pass within a pass has a purpose of its own while it lasts. */
  async withPurpose<T>(purpose: RunPurpose, body: () => Promise<T>): Promise<T> {
    const here = this.#now ?? this.#idle
    const before = here.purpose
    here.purpose = purpose
    try {
      return await body()
    } finally {
      here.purpose = before
    }
  }

  /** Runs `fn` as a part of what is under way, also where someone else calls: in a session that `await using` closes. */
  within<T>(what: string, fn: () => T): T {
    refuseAbandoned(what)
    const { run } = context()
    return this.#now === null || (run !== null && !run.isOver) ? fn() : this.#now.run.within(fn)
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

/**
 * What `body` comes to, unless the signal has aborted: then that ends the run, and not an operator's failure that comes to
 * light after it.
 */
async function unlessAborted<T>(signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T> {
  try {
    const result = await body()
    signal?.throwIfAborted()
    return result
  } catch (error) {
    if (isOperators(error)) signal?.throwIfAborted()
    throw error
  }
}

/** Node's timers take no longer ones. */
const LONGEST = 2 ** 31 - 1

function graceOf({ abortGrace }: Callback): number {
  if (typeof abortGrace === 'number' && abortGrace >= 0) return Math.min(abortGrace, LONGEST)
  throw invalidArgument('abortGrace', 'milliseconds, 0 or more', abortGrace)
}
