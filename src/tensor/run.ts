import { type ErrorOrigin, invalidArgument, isThenable, TorchLearnerError } from '../check/index.js'
import { native } from '../native/index.js'
import { context, within } from './context.js'

/** A place in a run: what {@link ErrorOrigin} says beside the run. */
export type Place = Omit<ErrorOrigin, 'run'>

const PLACES = 2 ** 24
/** Places of a run that are remembered: those of the last dozens of batches, where the loop runs ahead by two. */
const REMEMBERED = 4096
const REMEMBERED_WHEN_OVER = 256
/** Runs that are over and still remembered: their errors may come to light late. */
const RUNS_REMEMBERED = 16
/** The addon's number for work that is done ahead: whoever takes it sees its errors, otherwise nobody does. */
const AHEAD = 1

const known = new Map<number, Run>()
const over: Run[] = []
/**
 * @internal Something that answers for its own operators, such as a Learner's fit. What fails in it is told to those who
 * read it, else to the run's own marks, and never to other code; the context carries it along calls and awaits.
 */
export class Run {
  readonly number: number
  #places: { number: number; place: Place }[] = []
  #last = 0
  #over = false
  #abandoned = false

  /** @param outer the run that this one is a part of: errors in it are that one's too, though another receives them */
  constructor(
    readonly name: string,
    readonly outer: Run | null = null,
    number?: number,
  ) {
    this.number = number ?? native.beginRun()
    known.set(this.number, this)
  }

  get isOver(): boolean {
    return this.#over
  }

  /** It ended although something in it still hung: what that does from now on must change nothing. */
  get isAbandoned(): boolean {
    return this.#abandoned || (this.outer?.isAbandoned ?? false)
  }

  abandon(): void {
    this.#abandoned = true
  }

  /** Whether this is the error of an operator that was recorded in this run, or in a part of it. */
  owns(error: unknown): boolean {
    let run: Run | null = (typeof error === 'object' && error !== null && runs.get(error)) || null
    while (run !== null && run !== this) run = run.outer
    return run !== null
  }

  /** Runs `fn` as a part of this run: where it stands in the outer one, if there is one. */
  within<T>(fn: () => T): T {
    const { run, place } = context()
    if (this.outer !== null && run === this.outer && place !== null) return this.at(place, fn)
    return within({ run: this, place: null, origin: this.number * PLACES }, fn)
  }

  /** Runs `fn` at a place of its own in this run: within the place in force, unless it is that of a callback. */
  at<T>(given: Place, fn: () => T): T {
    const { run, place: around } = context()
    const place = run === this && around !== null ? placeWithin(around, given) : given
    this.#last = (this.#last % (PLACES - 1)) + 1
    this.#places[this.#last % REMEMBERED] = { number: this.#last, place }
    return within({ run: this, place, origin: this.number * PLACES + this.#last }, fn)
  }

  /**
   * Runs `fn` as the whole of this run, and ends it. If `fn` ends well, rejects with what has failed in the run and nobody
   * received.
   */
  async whole<T>(fn: () => T | Promise<T>): Promise<T> {
    let failed = true
    try {
      const result = await this.within(fn)
      await native.mark(this.number * PLACES, true)
      failed = false
      return result
    } finally {
      this.end(failed)
    }
  }

  /** @param excused errors that nobody has read need not be reported: the run's own failure says enough */
  end(excused: boolean): void {
    if (this.#over) return
    this.#over = true
    native.endRun(this.number, excused)
    this.#places = this.#places.filter(entry => entry.number > this.#last - REMEMBERED_WHEN_OVER)
    over.push(this)
    while (over.length > RUNS_REMEMBERED) known.delete(over.shift()?.number ?? 0)
  }

  origin(place: number): ErrorOrigin {
    const found = this.#over ? this.#places.find(entry => entry?.number === place) : this.#places[place % REMEMBERED]
    return { run: this.name, ...(found?.number === place ? found.place : {}) }
  }
}

/** Parts within parts are named together, up to this length. */
const LONGEST_PART = 200

function placeWithin(around: Place, place: Place): Place {
  if (place.callback !== undefined) return place
  const { part: whole = '' } = around
  const { part = '' } = place
  const both = part !== '' && whole !== '' && part.length + whole.length < LONGEST_PART
  return { ...around, ...place, ...(both && { part: `${part} in ${whole}` }) }
}

const ahead = new Run('ahead of its turn', null, AHEAD)

/** @internal Runs `fn` as work ahead of its turn, which perhaps nobody will want. */
export function aheadOfTurn<T>(place: Place, fn: () => T): T {
  return ahead.at(place, fn)
}

/** @internal Runs `fn` at a place of the run in force, if there is one. */
export function at<T>(place: Place, fn: () => T): T {
  const { run } = context()
  return run === null || run.isOver ? fn() : run.at(place, fn)
}

/**
 * @internal Refuses what goes on in a run that an abort has ended without it.
 * @throws TorchLearnerError `ERR_STATE`
 */
export function refuseAbandoned(what: string): void {
  if (context().run?.isAbandoned)
    throw new TorchLearnerError('ERR_STATE', `${what}: this goes on in a run that was aborted and has ended without it`)
}

/** So many named scopes may be within each other: more would overflow the stack, of which each takes a dozen frames. */
const DEEPEST = 256

/**
 * Runs `fn` as a run of this name; within another run, as a place of that one.
 *
 * @throws TorchLearnerError `ERR_INVALID_ARG` in {@link DEEPEST} others
 */
export function named<T>(name: string, body: () => T): T {
  const { run: outer, depth } = context()
  if (depth >= DEEPEST) {
    throw invalidArgument(
      'named scopes within each other',
      `at most ${DEEPEST}`,
      depth + 1,
      'Leave out the names of the inner ones',
    )
  }
  const fn = () => within({ depth: depth + 1 }, body)
  // what goes on in an abandoned run stays in it, so that its operators are refused
  if (outer !== null && (!outer.isOver || outer.isAbandoned)) return outer.at({ part: name }, fn)
  const run = new Run(name)
  let result: T
  try {
    result = run.within(fn)
  } catch (error) {
    run.end(true)
    throw error
  }
  if (!isThenable(result)) {
    run.end(false)
    return result
  }
  const ended = Promise.resolve(result).then(
    value => {
      run.end(false)
      return value
    },
    error => {
      run.end(true)
      throw error
    },
  )
  return ended as T
}

const runs = new WeakMap<object, Run>()

/** Where an operator was recorded, as the addon's number for it says. */
export function originOf(origin: number): ErrorOrigin | undefined {
  const number = Math.floor(origin / PLACES)
  return number === 0 ? undefined : (known.get(number)?.origin(origin % PLACES) ?? { run: 'a run that is over' })
}

/** Notes which run an operator's error is of. */
export function belongs(error: object, origin: number): void {
  const run = known.get(Math.floor(origin / PLACES))
  if (run) runs.set(error, run)
}
