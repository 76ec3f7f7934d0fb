import { invalidArgument } from '../check/index.js'

/** A learning rate to try, and the point of the curve that speaks for it. */
export interface Suggestion {
  readonly lr: number
  readonly point: readonly [lr: number, loss: number]
}

/** Reads a learning rate off the curve of smoothed losses over learning rates; at least two points. */
export type Suggest = (lrs: readonly number[], losses: readonly number[]) => Suggestion

/**
 * A way of your own to read the curve: learning rates and smoothed losses (two points at least, all finite but perhaps the
 * last), and how many steps were planned. Returns a learning rate, or also the point of the curve to mark.
 */
export type SuggestFunction = (lrs: readonly number[], losses: readonly number[], numIt: number) => number | Suggestion

/** The ways to read the curve that there are. */
export type SuggestName = keyof typeof suggestions

/** How {@link Learner.lrFind} suggests a rate: names, or functions (and names) under names of your own. */
export type SuggestFuncs =
  | SuggestName
  | readonly SuggestName[]
  | Readonly<Record<string, SuggestName | SuggestFunction>>

/** The names under which suggestions come. */
export type SuggestedNames<Funcs> = Funcs extends string
  ? Funcs
  : Funcs extends readonly (infer Name extends SuggestName)[]
    ? Name
    : Extract<keyof Funcs, string>

function at(lrs: readonly number[], losses: readonly number[], i: number): Suggestion {
  return { lr: lrs[i], point: [lrs[i], losses[i]] }
}

/** Two thirds down the longest stretch over which the losses fall, however they bounce in between. */
const valley: Suggest = (lrs, losses) => {
  const lengths: number[] = []
  let end = 0
  let begin = 0
  losses.forEach((loss, i) => {
    const before = lengths.filter((_, j) => losses[j] > loss)
    lengths.push(1 + Math.max(0, ...before))
    if (lengths[i] <= lengths[end]) return
    end = i
    begin = end - lengths[i]
  })
  const third = (end - begin) / 3
  return at(lrs, losses, Math.max(0, begin + Math.trunc(third) + Math.trunc(third / 2)))
}

const WINDOW = 15
const STEADY = 0.005

/**
 * From the right, the last place before the slope becomes the same on both sides of a window of 15 points. A curve
 * with fewer points gets a narrower window, where fastai fails.
 */
const slide: Suggest = (lrs, losses) => {
  const slopes = gradient(losses)
  const window = Math.min(WINDOW, losses.length - 1)
  let right = losses.length - 1
  let found = right - window
  for (let left = found; left >= 0 && Math.abs(slopes[right] - slopes[left]) > STEADY; left--, right--) found = left
  return at(lrs, losses, found)
}

/** A tenth of the learning rate with the least loss. */
const minimum: Suggest = (lrs, losses) => {
  const { point } = at(lrs, losses, indexOfLeast(losses))
  return { lr: point[0] / 10, point }
}

/** Where the loss falls fastest over the logarithm of the learning rate. */
const steep: Suggest = (lrs, losses) => {
  const slopes = losses.slice(1).map((loss, i) => (loss - losses[i]) / (Math.log(lrs[i + 1]) - Math.log(lrs[i])))
  return at(lrs, losses, indexOfLeast(slopes))
}

/** The ways to read the curve, by fastai's names. */
export const suggestions = { valley, slide, minimum, steep } satisfies Record<string, Suggest>

/** Central differences, one-sided at both ends. */
function gradient(values: readonly number[]): number[] {
  return values.map((_, i) => {
    const [before, after] = [Math.max(i - 1, 0), Math.min(i + 1, values.length - 1)]
    return (values[after] - values[before]) / (after - before)
  })
}

function indexOfLeast(values: readonly number[]): number {
  return values.reduce((least, value, i) => (value < values[least] ? i : least), 0)
}

/** What else the result of a search holds. */
const TAKEN = ['lrs', 'losses']
const isName = (value: unknown): value is SuggestName => typeof value === 'string' && Object.hasOwn(suggestions, value)

/**
 * The functions behind what was asked for, by name; all of {@link suggestions} when nothing was.
 * @throws TorchLearnerError `ERR_INVALID_ARG` for anything else than names and functions
 */
export function suggestFunctions(funcs: SuggestFuncs | undefined): [name: string, func: SuggestFunction][] {
  if (funcs === undefined) return Object.entries(suggestions)
  const entries = entriesOf(funcs)
  return entries.map(([name, func]) => {
    if (typeof func === 'function' && !TAKEN.includes(name)) return [name, func as SuggestFunction]
    if (isName(func) && !TAKEN.includes(name)) return [name, suggestions[func]]
    const names = Object.keys(suggestions).join(', ')
    throw invalidArgument(
      "lrFind's suggestFuncs",
      `names (${names}), or an object of names and functions (not called ${TAKEN.join(' or ')})`,
      TAKEN.includes(name) ? name : func,
    )
  })
}

function entriesOf(funcs: unknown): [string, unknown][] {
  if (typeof funcs === 'object' && funcs !== null && !Array.isArray(funcs)) return Object.entries(funcs)
  return [funcs].flat().map(name => [String(name), name])
}

/** Suggestions of a function, its learning rate checked; where it names no point, the nearest one of the curve is marked. */
export function suggestBy(
  [name, func]: [string, SuggestFunction],
  lrs: readonly number[],
  losses: readonly number[],
  numIt: number,
): Suggestion {
  const found = func(lrs, losses, numIt)
  const lr = typeof found === 'number' ? found : found?.lr
  if (!(typeof lr === 'number' && Number.isFinite(lr) && lr > 0)) {
    throw invalidArgument(`what ${name} suggests`, 'a learning rate above 0, or { lr, point }', found)
  }
  if (typeof found === 'object' && Array.isArray(found.point)) return { lr, point: found.point }
  const distance = (i: number) => Math.abs(Math.log(lrs[i] / lr))
  const nearest = lrs.reduce((least, _, i) => (distance(i) < distance(least) ? i : least), 0)
  return { lr, point: [lrs[nearest], losses[nearest]] }
}
