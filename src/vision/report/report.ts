/** How well one class is recognised. */
export interface ClassScores {
  readonly name: string
  /** The share of right ones among what was taken for this class; 0 if nothing was. */
  readonly precision: number
  /** The share of this class that was recognised; 0 if there is none of it. */
  readonly recall: number
  /** The harmonic mean of both. */
  readonly f1: number
  /** How many samples are of this class. */
  readonly support: number
}

/** The scores of each class. @param matrix actual classes in rows, predicted ones in columns */
export function classScores(matrix: readonly (readonly number[])[], names: readonly string[]): ClassScores[] {
  return names.map((name, c) => {
    const support = sum(matrix[c])
    const recall = ratio(matrix[c][c], support)
    const precision = ratio(matrix[c][c], sum(matrix.map(row => row[c])))
    return { name, precision, recall, f1: ratio(2 * precision * recall, precision + recall), support }
  })
}

const COLUMN = 9

/** The table as scikit-learn's `classification_report` lays it out. */
export function reportTable(scores: readonly ClassScores[], accuracy: number, digits: number): string {
  const total = sum(scores.map(({ support }) => support))
  const names = [...scores.map(({ name }) => name), 'weighted avg']
  const width = Math.max(...names.map(name => [...name].length))
  const line = (name: string, cells: readonly string[]) =>
    `${' '.repeat(width - [...name].length)}${name} ${cells.map(cell => ` ${cell.padStart(COLUMN)}`).join('')}`
  const row = ({ name, precision, recall, f1, support }: ClassScores) =>
    line(name, [...[precision, recall, f1].map(value => value.toFixed(digits)), String(support)])
  const average = (name: string, weight: (one: ClassScores) => number): ClassScores => ({
    name,
    precision: sum(scores.map(one => one.precision * weight(one))),
    recall: sum(scores.map(one => one.recall * weight(one))),
    f1: sum(scores.map(one => one.f1 * weight(one))),
    support: total,
  })
  return [
    line('', ['precision', 'recall', 'f1-score', 'support']),
    '',
    ...scores.map(row),
    '',
    line('accuracy', ['', '', accuracy.toFixed(digits), String(total)]),
    row(average('macro avg', () => 1 / scores.length)),
    row(average('weighted avg', ({ support }) => support / total)),
  ].join('\n')
}

export const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
export const ratio = (part: number, whole: number) => (whole === 0 ? 0 : part / whole)
