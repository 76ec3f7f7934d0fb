import { isAbortSignal } from './kinds.js'
import { Field, list } from './schema.js'

/*
 * What options and arguments may be, by name. Each field says what would be right, as the sentence of `invalidArgument` goes on
 * with it: "Expected <what> for alpha but received ...".
 */

/**
 * A kind of values of one's own, for the options of one's own callbacks: see {@link Tracker}, {@link MixHandler}.
 *
 * @param what what would be right, as messages say it: `a number above 0`
 * @param fits whether a value is
 * @example field('a number of at least 0', value => typeof value === 'number' && value >= 0).optional()
 */
export function field<T>(what: string, fits: (value: unknown) => boolean): Field<T> {
  return new Field<T>(what, z => z.custom<T>(fits, what))
}

function number(what: string, fits: (value: number) => boolean) {
  return field<number>(what, value => typeof value === 'number' && Number.isFinite(value) && fits(value))
}

export const flag = field<boolean>('true or false', value => typeof value === 'boolean')

/** Any number but NaN and the infinite ones. */
export const finite = number('a number', () => true)
/** Above 0. */
export const positive = number('a number above 0', value => value > 0)
/** From 0. */
export const nonNegative = number('a number of at least 0', value => value >= 0)

/** Some or all of a whole: (0, 1]. */
export const share = number('a number above 0, and at most 1', value => value > 0 && value <= 1)
/** A part of a whole that leaves something: (0, 1). */
export const fraction = number('a number above 0 and below 1', value => value > 0 && value < 1)
/** How probable something is, or how much of it is taken: [0, 1]. */
export const probability = between(0, 1)
/** What is kept from step to step: [0, 1). */
export const decayRate = number('a number from 0 to 1, 1 excluded', value => value >= 0 && value < 1)

/** From `least` to `most`, both included; `most` may be Infinity. */
export function between(least: number, most: number, what = rangeText('a number', least, most)) {
  return field<number>(what, value => typeof value === 'number' && value >= least && value <= most)
}

/** A whole number that a float64 holds exactly, from `least` to `most`. */
export function whole(least: number, most = Infinity, what = rangeText('a whole number', least, most)) {
  return field<number>(what, value => {
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most
  })
}

function rangeText(kind: string, least: number, most: number): string {
  if (least === -Infinity && most === Infinity) return kind
  return most === Infinity ? `${kind} from ${least}` : `${kind} from ${least} to ${most}`
}

/** How many, and not none. */
export const count = whole(1)
/** What a generator of one's own starts from; a dimension. Below 0 too. */
export const integer = whole(-Infinity)

/** Text, the empty one too. */
export function string(what = 'a string') {
  return field<string>(what, value => typeof value === 'string')
}

/** Text that isn't empty. */
export function text(what: string) {
  return field<string>(what, value => typeof value === 'string' && value !== '')
}

/** One of a few words: `oneOf('crop', 'pad', 'squish')`. */
export function oneOf<const Choice extends string>(...choices: readonly Choice[]) {
  return field<Choice>(alternatives(choices), value => choices.some(choice => choice === value))
}

/** The same where words are shown in quotes. */
export function oneOfQuoted<const Choice extends string>(...choices: readonly Choice[]) {
  return field<Choice>(alternatives(choices.map(choice => `'${choice}'`)), value => {
    return choices.some(choice => choice === value)
  })
}

function alternatives(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} or ${words[words.length - 1]}`
}

/** @param what what the function is for: `a loss function` */
export function func<F = (...args: never[]) => unknown>(what = 'a function') {
  return field<F>(what, value => typeof value === 'function')
}

/** An object of a class of this package. */
export function instance<T>(type: abstract new (...args: never[]) => T, what: string) {
  return field<T>(what, value => value instanceof type)
}

/** Whatever it is: somebody else looks at it. */
export const anything = new Field<unknown>('anything', z => z.unknown())

/** This very value: `only(0, '0')`. */
export function only<const T extends string | number | null>(value: T, what = String(value)) {
  return field<T>(what, given => given === value)
}

/** Height and width: one whole number from 1 for both, or each. */
export const size = field<number | [number, number]>(
  'a whole number from 1 or [height, width]',
  value => isSide(value) || (Array.isArray(value) && value.length === 2 && isSide(value[0]) && isSide(value[1])),
)

function isSide(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1
}

/** Where tensors are; libtorch knows which there are. */
export const device = string('a device such as cpu or cuda:0')
export const classNames = list(string('a class name'), 'an array of class names')
export const signal = field<AbortSignal>('an AbortSignal', isAbortSignal)

/** What figures have in common. */
export const figureFile = string('a path that ends in .png or .svg')
export const theme = oneOf('light', 'dark', 'auto')
