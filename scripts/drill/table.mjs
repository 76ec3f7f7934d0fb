// @ts-check
// The drill's one table, and what all its rows must have in common.

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {number} [installed] milliseconds
 * @property {number} [loaded] milliseconds of the import
 * @property {number} [ms] milliseconds of the whole program
 * @property {number | null} [loss]
 * @property {string | null} error
 * @property {string} [skipped] why
 */

/** @param {number | undefined} ms */
const seconds = ms => (ms === undefined ? '' : (ms / 1000).toFixed(1))

/** @param {Row[]} rows */
export function table(rows) {
  const lines = rows.map(row => [
    row.name,
    seconds(row.installed),
    row.loaded === undefined ? '' : (row.loaded / 1000).toFixed(2),
    seconds(row.ms),
    row.loss === null ? 'not compared' : (row.loss?.toFixed(5) ?? ''),
    row.error !== null ? 'FAILED' : row.skipped ? `skipped: ${row.skipped}` : 'ok',
  ])
  const all = [['case', 'install s', 'import s', 'run s', 'loss', ''], ...lines]
  const widths = all[0]?.map((_, column) => Math.max(...all.map(line => line[column]?.length ?? 0))) ?? []
  return all
    .map(line =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Sets the error of each row whose loss isn't the first one's: the same fit on one machine has one loss. @param {Row[]} rows */
export function compareLosses(rows) {
  const first = rows.find(({ loss }) => typeof loss === 'number')
  for (const row of rows) {
    if (typeof row.loss !== 'number' || row.loss === first?.loss) continue
    row.error ??= `its loss is ${row.loss}, that of ${first?.name} ${first?.loss}`
  }
}
