import {
  checkArguments,
  field,
  func,
  invalidArgument,
  list,
  type Output,
  strictObject,
  string,
  theme,
} from '../check/index.js'
import { document, element, fixed, label } from './svg.js'
import { clipText, textWidth, wrapText } from './text.js'
import { styleSheet, type Theme } from './theme.js'

/** A {@link matrixChart}. */
export interface MatrixChartOptions {
  /** Row by row: as many rows as columns. */
  matrix: readonly (readonly number[])[]
  /** One a row, and a column. */
  labels: readonly string[]
  /** How a value is written into its cell. Default: as it is, 0 not at all. */
  text?: (value: number) => string
  /** Above the table. */
  title?: string
  /** Below the columns, and beside the rows. */
  xLabel?: string
  yLabel?: string
  /** Default `light`. */
  theme?: Theme
}

const FONT = 13
/** The least that can be read: smaller numbers are left out. */
const LEAST_FONT = 6.5
const MARGIN = 12
/** The longest name of a class, on the page. */
const NAME_ROOM = 170

/**
 * A square table of numbers as shades, as SVG: confusion matrices. The diagonal is blue, all else orange; shades grow with the square
 * root, so that a few mistakes among many hits can be seen.
 *
 * @throws TorchLearnerError `ERR_INVALID_ARG` when the matrix isn't square or the labels are not as many
 */
export function matrixChart(options: MatrixChartOptions): string {
  const { matrix, labels, text, title, xLabel, yLabel, theme } = check(options)
  const n = labels.length
  const cell = Math.max(17, Math.min(n < 4 ? 84 : 60, Math.floor(430 / n)))
  const names = labels.map(name => clipText(name, NAME_ROOM, FONT))
  const longest = Math.max(...names.map(name => textWidth(name, FONT)))
  const place = placing(longest, cell)
  const left = MARGIN + (yLabel ? 22 : 0) + longest + 8
  const side = n * cell
  const width = Math.max(left + side + MARGIN, 190)
  const heading = title ? wrapText(title, width - 2 * MARGIN, 16, 3, true) : []
  const top = heading.length > 0 ? MARGIN + 8 + heading.length * 20 : MARGIN
  const below = top + side + place.height
  const height = below + (xLabel ? 28 : 8)
  const middle = top + side / 2
  const axis = { 'font-size': FONT, class: 'faint', 'text-anchor': 'middle' }
  const rowNames = names.map((name, i) =>
    label(name, left - 7, top + (i + 0.5) * cell + 4.5, { 'font-size': FONT, class: 'ink', 'text-anchor': 'end' }),
  )
  return document(
    width,
    height,
    title || 'Matrix',
    styleSheet(theme),
    element('rect', { class: 'background', width, height }),
    ...(heading.length > 0 ? [label(heading.join('\n'), MARGIN, MARGIN + 15, HEAD)] : []),
    ...cells(matrix, text, cell, left, top),
    element('rect', { x: left, y: top, width: side, height: side, fill: 'none', class: 'frame' }),
    ...rowNames,
    ...names.map((name, i) => place.draw(name, left + (i + 0.5) * cell, top + side)),
    ...(xLabel ? [label(xLabel, left + side / 2, below + 18, axis)] : []),
    ...(yLabel ? [label(yLabel, 21, middle, { ...axis, transform: `rotate(-90 21 ${fixed(middle)})` })] : []),
  )
}

const HEAD = { 'font-size': 16, 'font-weight': 'bold', class: 'ink' }

/** The squares and their numbers. Background colour shows between them. */
function cells(
  matrix: readonly (readonly number[])[],
  text: (value: number) => string,
  cell: number,
  left: number,
  top: number,
): string[] {
  const largest = Math.max(...matrix.flat(), Number.MIN_VALUE)
  const texts = matrix.map(row => row.map(text))
  const widest = Math.max(...texts.flat().map(written => textWidth(written, 1)))
  const font = Math.min(FONT, 0.45 * cell, (cell - 4) / Math.max(widest, 0.1))
  const gap = cell > 24 ? 1 : 0.5
  return matrix.flatMap((row, r) =>
    row.map((value, c) => {
      const [x, y] = [left + c * cell, top + r * cell]
      const share = Math.sqrt(Math.max(0, value) / largest)
      const square = { x: x + gap, y: y + gap, width: cell - 2 * gap, height: cell - 2 * gap }
      const opacity = (0.05 + 0.95 * share).toFixed(3) // 0 stays faintly visible as part of the table
      const shade = element('rect', { ...square, class: r === c ? 'swatch0' : 'swatch1', 'fill-opacity': opacity })
      if (texts[r][c] === '' || font < LEAST_FONT) return shade
      const style = {
        'font-size': font,
        class: share > (r === c ? 0.7 : 0.85) ? 'ground' : 'ink',
        'text-anchor': 'middle',
      }
      return shade + label(texts[r][c], x + cell / 2, y + cell / 2 + font * 0.36, style)
    }),
  )
}

/** How the columns' names are written: level where all fit, else slanted, upright where they stand closer than slanted lines can. */
function placing(longest: number, cell: number): { height: number; draw(name: string, x: number, y: number): string } {
  const style = { 'font-size': FONT, class: 'ink' }
  if (longest <= cell - 4) {
    return { height: 20, draw: (name, x, y) => label(name, x, y + 17, { ...style, 'text-anchor': 'middle' }) }
  }
  const angle = cell >= 22 ? -45 : -90
  const [dx, dy] = angle === -45 ? [4, 13] : [4.5, 7]
  return {
    height: longest * Math.sin((-angle * Math.PI) / 180) + 14,
    draw: (name, x, y) => {
      const transform = `rotate(${angle} ${fixed(x + dx)} ${fixed(y + dy)})`
      return label(name, x + dx, y + dy, { ...style, 'text-anchor': 'end', transform })
    },
  }
}

const schema = strictObject({
  matrix: list(field<readonly number[]>('rows of numbers', Array.isArray), 'rows of numbers'),
  labels: list(string('text'), 'an array of text'),
  text: func<(value: number) => string>().default(value => (value === 0 ? '' : String(value))),
  title: string('text').default(''),
  xLabel: string('text').default(''),
  yLabel: string('text').default(''),
  theme: theme.default('light'),
})

function check(options: MatrixChartOptions): Output<typeof schema> {
  const checked = checkArguments(schema, options, 'matrixChart')
  const { labels, matrix } = checked
  const n = labels.length
  if (n === 0 || matrix.length !== n || matrix.some(row => row.length !== n)) {
    throw invalidArgument('matrix', `${n} rows of ${n} numbers, one a label,`, matrix)
  }
  return checked
}
