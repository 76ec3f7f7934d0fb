import { checkValue, field, func, invalidArgument, list, object, probability, record } from '../check/index.js'
import { Callback, type CallbackState, Recorder, readState, type SavedCallbackState } from '../learner/index.js'
import { tensor } from '../tensor/index.js'

/** One value for all parameter groups, or one for each. */
type Values = number | readonly number[]

/** A hyper-parameter over the course of a fit: `pos` runs from 0 to 1. */
export type Schedule<T extends Values = Values> = (pos: number) => T

type Curve = (start: number, end: number, pos: number) => number

/** Lifts a curve between two numbers to one between two lists of numbers. */
function between(curve: Curve): {
  (start: number, end: number): Schedule<number>
  (start: Values, end: Values): Schedule
}
function between(curve: Curve): (start: Values, end: Values) => Schedule {
  return (start, end = start) => {
    checkEnds(start, end)
    return pos => {
      if (typeof pos !== 'number') throw invalidArgument('pos', 'a position from 0 to 1', pos)
      if (typeof start === 'number' && typeof end === 'number') return curve(start, end, pos)
      const length = typeof start === 'number' ? (typeof end === 'number' ? 1 : end.length) : start.length
      return Array.from({ length }, (_, i) => curve(at(start, i), at(end, i), pos))
    }
  }
}

function checkEnds(start: unknown, end: unknown): void {
  checkValue(values, start, 'start')
  checkValue(values, end, 'end')
  if (Array.isArray(start) && Array.isArray(end) && start.length !== end.length)
    throw invalidArgument('end', `as many numbers as start, ${start.length}`, end)
}

const number = field<number>('a number', value => typeof value === 'number')
const values = number.or(list(number, 'numbers', 1), 'a number, or an array of one for each parameter group')
const schedule = func<Schedule>('a schedule')

function at(value: Values, i: number): number {
  return typeof value === 'number' ? value : (value[i] ?? Number.NaN)
}

/** A straight line: `start + pos (end - start)`. */
export const schedLin = between((start, end, pos) => start + pos * (end - start))

/** Half a cosine: `start + (1 + cos(pi (1 - pos))) (end - start) / 2`. */
export const schedCos = between((start, end, pos) => start + ((1 + Math.cos(Math.PI * (1 - pos))) * (end - start)) / 2)

/** Always `start`. */
export const schedNo = between(start => start)

/** Geometric: `start (end / start)^pos`. */
export const schedExp = between((start, end, pos) => start * (end / start) ** pos)

/** A power: `start + (end - start) pos^power`. */
export function schedPoly(start: Values, end: Values, power: number): Schedule {
  checkValue(number, power, 'power')
  return between((a, b, pos) => a + (b - a) * pos ** power)(start, end)
}

/** Shares such as 0.7, 0.2 and 0.1 add up to 1 but for rounding. */
const SUM_TOLERANCE = 1e-6

const shares = list(number, 'an array of shares')
const schedules = list(schedule, 'an array of schedules')

/**
 * Schedules one after the other, `pcts[i]` of the way each. Positions are computed in float32 as in fastai; a boundary
 * belongs to the schedule that begins there.
 *
 * @param pcts shares, each at least 0, with sum 1 but for rounding
 * @param scheds as many schedules
 */
export function combineScheds<T extends Values>(pcts: readonly number[], scheds: readonly Schedule<T>[]): Schedule<T> {
  checkValue(shares, pcts, 'pcts')
  checkValue(schedules, scheds, 'scheds')
  const sum = pcts.reduce((total, pct) => total + pct, 0)
  if (!(Math.abs(sum - 1) < SUM_TOLERANCE) || pcts.some(pct => !(pct >= 0)))
    throw invalidArgument('pcts', 'shares of at least 0 with sum 1', pcts)
  if (pcts.length !== scheds.length)
    throw invalidArgument('scheds', `${pcts.length} schedules, as many as pcts`, scheds)
  const limits = [0]
  for (const pct of pcts) limits.push(Math.fround(limits[limits.length - 1] + Math.fround(pct)))
  if (sum !== 1) limits[limits.length - 1] = 1 // where rounding leaves a little, the last schedule ends at its end
  return pos => {
    const here = Math.fround(pos)
    const i = Math.min(
      Math.max(
        limits.findLastIndex(limit => here >= limit),
        0,
      ),
      scheds.length - 1,
    )
    const within = Math.fround(Math.fround(here - limits[i]) / Math.fround(limits[i + 1] - limits[i]))
    return scheds[i](within)
  }
}

/** Cosine from `start` to `middle` in the share `pct`, then on to `end`. */
export function combinedCos(pct: number, start: Values, middle: Values, end: Values): Schedule {
  checkValue(probability, pct, 'pct')
  return combineScheds([pct, 1 - pct], [schedCos(start, middle), schedCos(middle, end)])
}

const byName = record(schedule, 'an object of schedules by hyper-parameter')

/**
 * Sets hyper-parameters before each training batch, by how far the fit has come, and hands what it set to the Recorder
 * (`recorder.hps`).
 *
 * @example new ParamScheduler({ lr: schedCos(1e-3, 1e-5) })
 */
export class ParamScheduler extends Callback {
  override order = 60
  override runValid = false
  readonly scheds: Readonly<Record<string, Schedule>>
  /** What was set, at each training batch, for the last group. */
  hps: Record<string, number[]> = {}

  constructor(scheds: Readonly<Record<string, Schedule>>) {
    super()
    this.scheds = checkValue(byName, scheds, 'scheds')
  }

  override beforeFit(): void {
    this.hps = Object.fromEntries(Object.keys(this.scheds).map(name => [name, []]))
  }

  override beforeBatch(): void {
    const { opt, pctTrain } = this.learn
    for (const [name, sched] of Object.entries(this.scheds)) {
      const value = sched(pctTrain)
      opt?.setHyper(name, typeof value === 'number' ? value : [...value])
    }
  }

  override afterBatch(): void {
    const last = this.learn.opt?.hypers.at(-1)
    for (const name of Object.keys(this.scheds)) this.hps[name]?.push(last?.[name] ?? Number.NaN)
  }

  override saveState(): CallbackState {
    const lists = Object.entries(this.hps).map(([name, list]) => [
      name,
      tensor(Float64Array.from(list), { dtype: 'float64' }),
    ])
    return { tensors: Object.fromEntries(lists) }
  }

  override async loadState(state: SavedCallbackState): Promise<void> {
    const { tensors } = readState(this.label, state, object({}))
    for (const [name, list] of Object.entries(tensors)) this.hps[name] = Array.from(await list.data(), Number)
  }

  override afterFit(): void {
    const recorder = this.learn.callback(Recorder)
    if (recorder) recorder.hps = this.hps
  }
}
