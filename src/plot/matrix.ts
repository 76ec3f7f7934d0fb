import { invalidArgument } from '../native/index.js'
import { document, element, label, textWidth } from './svg.js'
import { checkTheme, styleSheet, type Theme } from './theme.js'

/** A {@link matrixChart}. */
export interface MatrixChartOptions {
  /** Row by row: as many rows as columns. */
  matrix: readonly (readonly number[])[]
  /** One a row, and a column. */
  labels: readonly string[]
  /** How a value is written into its cell. Default: as it is, 0 not at all. */
  text?: (value: number) => string
  title?: string
  /** Below the columns, and beside the rows. */
  xLabel?: string
  yLabel?: string
  /** Default `light`. */
  theme?: Theme
}

const FONT = 12
const MARGIN = 16

/**
 * A square table of numbers as shades, as SVG: confusion matrices.
 *
 * @throws TorchLearnerError `ERR_INVALID_ARG` when the matrix isn't square or the labels are not as many
 */
export function matrixChart(options: MatrixChartOptions): string {
  if (typeof options !== 'object' || options === null)
    throw invalidArgument('options', 'an object with matrix', options)
  const { matrix, labels, title, xLabel, yLabel, theme = 'light' } = options
  if (!Array.isArray(labels) || !labels.every(label => typeof label === 'string')) {
    throw invalidArgument('labels', 'an array of text', labels)
  }
  if (!Array.isArray(matrix) || !matrix.every(Array.isArray)) throw invalidArgument('matrix', 'rows of numbers', matrix)
  checkTheme(theme)
  const n = labels.length
  if (n === 0 || matrix.length !== n || matrix.some(row => row.length !== n)) {
    throw invalidArgument('matrix', `${n} rows of ${n} numbers, one a label,`, matrix)
  }
  const text = options.text ?? (value => (value === 0 ? '' : String(value)))
  // many classes: smaller cells, without numbers below the size that can be read
  const cell = Math.max(14, Math.min(56, Math.floor(640 / n)))
  const font = Math.min(FONT, cell * 0.36)
  const room = Math.min(180, Math.max(...labels.map(name => textWidth(name, FONT))) + 10)
  const left = MARGIN + (yLabel ? 22 : 0) + room
  const top = title ? 48 : MARGIN
  const side = n * cell
  const slant = labels.some(name => textWidth(name, FONT) > cell - 4)
  const below = top + side + (slant ? room * 0.75 : 20)
  const width = left + side + MARGIN + (slant ? 12 : 0)
  const height = below + (xLabel ? 26 : 8) + 6
  const largest = Math.max(...matrix.flat(), Number.MIN_VALUE)
  const cells = matrix.flatMap((row, r) =>
    row.map((value, c) => {
      const [x, y, share] = [left + c * cell, top + r * cell, Math.max(0, value) / largest]
      const shade = element('rect', {
        x,
        y,
        width: cell,
        height: cell,
        class: 'swatch0',
        'fill-opacity': fixedShare(share),
      })
      const written = cell < 22 ? '' : text(value)
      if (written === '') return shade
      const ink = share > 0.65 ? 'background' : 'ink'
      const place = { 'font-size': font, class: ink, 'text-anchor': 'middle' }
      return shade + label(written, x + cell / 2, y + cell / 2 + font * 0.36, place)
    }),
  )
  const rowNames = labels.map((name, i) =>
    label(clip(name, room - 6), left - 7, top + (i + 0.5) * cell + 4, {
      'font-size': FONT,
      class: 'ink',
      'text-anchor': 'end',
    }),
  )
  const columnNames = labels.map((name, i) => {
    const [x, y] = [left + (i + 0.5) * cell, top + side + 15]
    if (!slant) return label(name, x, y, { 'font-size': FONT, class: 'ink', 'text-anchor': 'middle' })
    const turned = { 'text-anchor': 'end', transform: `rotate(-45 ${x + 4} ${y - 2})` }
    return label(clip(name, room - 6), x + 4, y - 2, { 'font-size': FONT, class: 'ink', ...turned })
  })
  const frame = { x: left, y: top, width: side, height: side, fill: 'none', class: 'frame', 'stroke-width': 1 }
  const middle = top + side / 2
  const faint = { 'font-size': FONT, class: 'faint', 'text-anchor': 'middle' }
  return document(
    width,
    height,
    styleSheet(theme),
    element('rect', { class: 'background', width, height }),
    ...(title ? [label(title, MARGIN, 28, { 'font-size': 16, 'font-weight': 'bold', class: 'ink' })] : []),
    ...cells,
    element('rect', frame),
    ...rowNames,
    ...columnNames,
    ...(xLabel ? [label(xLabel, left + side / 2, below + 18, faint)] : []),
    ...(yLabel
      ? [label(yLabel, MARGIN + 6, middle, { ...faint, transform: `rotate(-90 ${MARGIN + 6} ${middle})` })]
      : []),
  )
}

/** 0 stays faintly visible as part of the table. */
const fixedShare = (share: number) => (0.03 + 0.97 * share).toFixed(3)

function clip(name: string, width: number): string {
  let end = name.length
  while (end > 3 && textWidth(name.slice(0, end), FONT) > width) end--
  return end < name.length ? `${name.slice(0, end - 1)}…` : name
}
