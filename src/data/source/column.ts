/** What pandas reads as missing, and fastai therefore refuses as a label. */
const MISSING: ReadonlySet<string> = new Set(
  '#N/A,#N/A N/A,#NA,-1.#IND,-1.#QNAN,-NaN,-nan,1.#IND,1.#QNAN,<NA>,N/A,NA,NULL,NaN,None,n/a,nan,null'.split(','),
)

/** Whether a cell holds nothing: blank, or one of pandas' words for that. */
export function isMissing(cell: string): boolean {
  return isBlank(cell) || MISSING.has(cell)
}

export const isBlank = (cell: string): boolean => cell.trim() === ''

const WHOLE = /^[ \t\v\f]*[+-]?\d+[ \t\v\f]*$/
const NUMBER = /^[ \t\v\f]*[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)[ \t\v\f]*$/i
const INFINITE = /^\s*([+-]?)inf/i
const TRUTH = /^(true|false)$/i

/**
 * What the cells of a column are, as pandas infers it from all of them: numbers (`01` is 1), truth values, else text as it is written.
 * So `1`, `2` and `10` are in the order of numbers and `1.0` is the class `1`. Missing cells don't count. Whole numbers that a
 * JavaScript number can't hold are text.
 *
 * @param cells each at least once
 * @returns the value by cell; truth values are `true` and `false` as text
 */
export function columnValues(cells: readonly string[]): Map<string, string | number> {
  const present = cells.filter(cell => !isMissing(cell))
  const numbers = present.every(cell => NUMBER.test(cell)) ? present.map(numberOf) : []
  const tooLarge = present.every(cell => WHOLE.test(cell)) && !numbers.every(Number.isSafeInteger)
  const overflows = numbers.some((value, i) => !Number.isFinite(value) && !INFINITE.test(present[i]))
  if (numbers.length > 0 && !tooLarge && !overflows) return new Map(present.map((cell, i) => [cell, numbers[i]]))
  if (present.every(cell => TRUTH.test(cell))) return new Map(present.map(cell => [cell, cell.toLowerCase()]))
  return new Map(present.map(cell => [cell, cell]))
}

function numberOf(cell: string): number {
  const sign = INFINITE.exec(cell)?.[1]
  if (sign !== undefined) return sign === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  return Number(cell) + 0 // no -0
}
