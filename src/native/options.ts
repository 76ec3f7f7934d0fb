import { checkValue, func, inspected, invalidArgument, isPlainObject } from '../check/index.js'

/**
 * Checks an options object: one with no other than the known names. An option that is ignored is a bug found late.
 *
 * @param where what takes the options: `Linear`
 */
export function knownOptions(where: string, options: unknown, names: readonly string[]): void {
  const given = inspected(`the options of ${where}`, options, () => (isOptions(options) ? Object.keys(options) : null))
  if (given === null) throw invalidArgument(`the options of ${where}`, `an object with ${names.join(', ')}`, options)
  for (const name of given) {
    if (!names.includes(name)) throw invalidArgument(`the options of ${where}`, `only ${names.join(', ')}`, name)
  }
}

/** An instance of some class that has no fields of its own, a tensor or a date, is something else that was misplaced. */
function isOptions(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) return false
  return isPlainObject(value) || Object.keys(value).length > 0
}

const fn = func()

/** A function that somebody passed, checked. */
export function checkFunction(name: string, value: unknown): void {
  checkValue(fn, value, name)
}
