import {
  checkArguments,
  type ErrorOrigin,
  finite,
  flag,
  func,
  isThenable,
  messageOf,
  originText,
  strictObject,
  TorchLearnerError,
  text,
} from '../../check/index.js'
import { at, context, type Place, refuseAbandoned } from '../../tensor/index.js'
import type { Learner } from '../learner.js'
import { callbackName } from '../report/naming.js'
import type { CallbackState, SavedCallbackState } from './callback-state.js'
import { type Awaitable, EVENTS, type EventName, INNER_EVENTS } from './events.js'
import { partOf } from './parts-at-work.js'
import { CancelSignal, noteSource } from './signals.js'

/** Flags of a {@link Callback}, as given to the constructor. */
export interface CallbackFlags {
  /** The name in messages and in {@link Learner.callback}; default: the class name without `Callback`, in camelCase. */
  name?: string
  /** Where it stands among the others: lower runs first, ties in order of insertion. Default 0. */
  order?: number
  /** False switches it off until the end of the next fit. Default true. */
  run?: boolean
  /** Whether it takes part in the batches of training. Default true. */
  runTrain?: boolean
  /** Whether it takes part in the batches of validation. Default true. */
  runValid?: boolean
}

/** Functions for the events; each receives the callback itself. */
export type CallbackHandlers = { [E in EventName]?: (callback: Callback) => Awaitable<void> } & CallbackFlags

const handler = func<(callback: Callback) => Awaitable<void>>().optional()
const schema = strictObject({
  name: text('text').optional(),
  order: finite.optional(),
  run: flag.optional(),
  runTrain: flag.optional(),
  runValid: flag.optional(),
  ...(Object.fromEntries(EVENTS.map(event => [event, handler])) as Record<EventName, typeof handler>),
})

/**
 * Something that acts at chosen events of the training loop ({@link EVENTS} shows where). Override the methods you need
 * (they may be async: the loop awaits them) or hand functions to the constructor. `this.learn` is the Learner: read and
 * change the loop's state there (`this.learn.xb = ...`). Throw a {@link CancelSignal} to skip a part of the loop.
 *
 * Tensors made in a batch's events are freed after the batch: call `keep()` on one that must live longer.
 *
 * @example
 * class PrintLoss extends Callback {
 *   override order = 55
 *   override async afterEpoch() { console.log(this.learn.smoothLoss) }
 * }
 * const brief = new Callback({ afterBatch: cb => { if (cb.learn.iter === 9) throw new CancelTrain() } })
 */
export class Callback {
  order = 0
  run = true
  runTrain = true
  runValid = true
  /**
   * How long an abort waits for it when it is busy, in milliseconds; then the run ends without it, with an error that names
   * it. What it goes on with later is refused where that is possible (`ERR_STATE`): operators, the Learner's fields, events and
   * runs. What it does to plain objects, such as a module's mode or an optimizer's hyper-parameters, isn't. Default 2000.
   */
  abortGrace = 2000
  /** Taken out of the loop while another callback fetches predictions in the middle of a fit ({@link FetchPreds}). */
  removeOnFetch = false
  #name: string | null = null
  #learn: Learner | null = null
  /** What the constructor was given, until a Learner takes the callback: see {@link Callback.attach}. */
  #given: Partial<Callback> = {}

  /**
   * @param handlers functions by event name, and flags
   * @throws TorchLearnerError `ERR_INVALID_ARG` for a name that is neither, and for flags of the wrong kind
   */
  constructor(handlers: CallbackHandlers = {}) {
    const { name = null, ...all } = checkArguments(schema, handlers, 'Callback')
    const given: Partial<Callback> = {}
    for (const [key, value] of Object.entries(all)) {
      if (typeof value === 'function') Object.assign(given, { [key]: () => value(this) })
      else if (value !== undefined) Object.assign(given, { [key]: value })
    }
    this.#name = name
    Object.assign(this, given)
    if (new.target !== Callback) this.#given = given // fields of the subclass are set after this, and would win
  }

  /** `mixUp` for a `MixUp`, `trainEval` for a `TrainEvalCallback`. */
  get name(): string {
    return this.#name ?? callbackName(this.constructor.name)
  }

  /** How messages call it: the name it was given, or its class. */
  get label(): string {
    return this.#name ?? this.constructor.name
  }

  /**
   * The learner that this callback belongs to.
   * @throws TorchLearnerError `ERR_STATE` while it belongs to none, and for what goes on in a run that an abort has ended
   */
  get learn(): Learner {
    refuseAbandoned(this.label)
    if (this.#learn) return this.#learn
    throw new TorchLearnerError(
      'ERR_STATE',
      `The callback ${this.label} belongs to no Learner yet: pass it in cbs, or call learn.addCb`,
    )
  }

  /**
   * Called by the Learner; a callback belongs to the Learner it was given to last. What the constructor was given holds from
   * the first time on, over fields of a subclass (`override order = 55`).
   */
  attach(learn: Learner): void {
    if (this.#learn && this.#learn !== learn && this.#learn.isRunning) {
      throw new TorchLearnerError(
        'ERR_STATE',
        `The callback ${this.label} is at work in another Learner: make one for each`,
      )
    }
    this.#learn = learn
    Object.assign(this, this.#given)
    this.#given = {}
  }

  /** Called by the Learner when the callback is removed from it. */
  detach(learn: Learner): void {
    if (this.#learn === learn) this.#learn = null
  }

  /** Whether it takes part in `event` now. */
  takesPart(event: EventName, training: boolean): boolean {
    return this.run && (!INNER_EVENTS.has(event) || (training ? this.runTrain : this.runValid))
  }

  /**
   * Called once when a fit, a validation or a session is over, however it ended, errors included; not one of the
   * events. Put back here what the callback changed. Must not throw.
   */
  cleanup?(): Awaitable<void>

  /** What it needs to go on in another process, for checkpoints; asked for between batches, between epochs and after a fit. */
  saveState?(): CallbackState

  /**
   * Takes back what {@link saveState} gave, after `beforeFit`. In the middle of an epoch once more before the first batch
   * that hasn't been done, since `beforeEpoch` and `beforeTrain` come again; and of a finished fit once more after `afterFit`.
   */
  loadState?(state: SavedCallbackState): Awaitable<void>

  afterCreate?(): Awaitable<void>
  beforeFit?(): Awaitable<void>
  beforeEpoch?(): Awaitable<void>
  beforeTrain?(): Awaitable<void>
  beforeBatch?(): Awaitable<void>
  afterPred?(): Awaitable<void>
  afterLoss?(): Awaitable<void>
  beforeBackward?(): Awaitable<void>
  afterCancelBackward?(): Awaitable<void>
  afterBackward?(): Awaitable<void>
  beforeStep?(): Awaitable<void>
  afterCancelStep?(): Awaitable<void>
  afterStep?(): Awaitable<void>
  afterCancelBatch?(): Awaitable<void>
  afterBatch?(): Awaitable<void>
  afterCancelTrain?(): Awaitable<void>
  afterTrain?(): Awaitable<void>
  beforeValidate?(): Awaitable<void>
  afterCancelValidate?(): Awaitable<void>
  afterValidate?(): Awaitable<void>
  afterCancelEpoch?(): Awaitable<void>
  afterEpoch?(): Awaitable<void>
  afterCancelFit?(): Awaitable<void>
  afterFit?(): Awaitable<void>
}

/** When a callback acts: at an event, or when it is added, cleaned up or removed. */
export type CallbackMoment = EventName | 'attach' | 'cleanup' | 'detach'

/**
 * Runs one callback's part in an event, as a place of its own. Synchronous when the method is: a promise costs more than
 * most methods do. Errors come out as `ERR_CALLBACK` naming callback and event, with the original as `cause`; signals pass
 * as they are.
 */
export function runCallback(callback: Callback, event: EventName, place: () => Place): Awaitable<void> {
  if (!callback[event]) return
  return acting(callback, event, place(), () => callback[event]?.())
}

/** As {@link runCallback}, for any method of a callback. */
export function acting(
  callback: Callback,
  event: CallbackMoment,
  place: Place,
  act: () => Awaitable<void>,
): Awaitable<void> {
  try {
    const pending = at(place, act)
    if (isThenable(pending)) {
      return pending.then(undefined, error => Promise.reject(inContext(callback, event, place, error)))
    }
  } catch (error) {
    throw inContext(callback, event, place, error)
  }
}

/**
 * The error of a callback, with the callback and the event (or method) in its message; signals pass as they are. That of
 * an operator is its own who recorded it, not his who happened to read it.
 */
function inContext(callback: Callback, event: CallbackMoment, place: Place, error: unknown): unknown {
  const { run } = context()
  if (error instanceof CancelSignal) {
    noteSource(error, run ? originText({ run: run.name, ...place }) : `${callback.label} at ${event}`)
    return error
  }
  if (!(error instanceof TorchLearnerError) || !run?.owns(error)) {
    const part = partOf(error)
    const here = run && { run: run.name, ...place, ...(part !== undefined && { part }) }
    return failedIn(callback.label, event, error, part, here)
  }
  const { callback: owner, event: its, part } = error.origin ?? {}
  return owner === undefined || its === undefined ? error : failedIn(owner, its, error, part)
}

/** What a callback hands over to be called later, such as a sink of numbers: its errors are those of the callback. */
export function blaming<Args extends unknown[]>(func: (...args: Args) => void): (...args: Args) => void {
  const { run, place } = context()
  const { callback, event } = place ?? {}
  if (run === null || callback === undefined || event === undefined) return func
  return (...args) => {
    try {
      func(...args)
    } catch (error) {
      throw failedIn(callback, event, error, undefined, { run: run.name, ...place })
    }
  }
}

/** @param here where it was thrown; an operator's error knows better where it comes from */
function failedIn(
  label: string,
  event: string,
  error: unknown,
  part: string | undefined,
  here: ErrorOrigin | null = null,
): TorchLearnerError {
  const { origin = here ?? undefined, operator } = error instanceof TorchLearnerError ? error : {}
  const who = part === undefined ? label : `${part}, ${label}`
  const message = `Error in ${who} at ${event}: ${messageOf(error)}`
  return new TorchLearnerError('ERR_CALLBACK', message, { cause: error, operator, origin })
}
