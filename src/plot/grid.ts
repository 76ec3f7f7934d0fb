import { checkArguments, checkValue, count, list, positive, strictObject, string, theme } from '../check/index.js'
import { document, element, label } from './svg.js'
import { textWidth, wrapText } from './text.js'
import { styleSheet, type Theme } from './theme.js'
import { checkTiles, displayScale, imageElement, type Tile } from './tile.js'

/** How {@link imageGrid} lays pictures out. */
export interface GridOptions {
  /** Default: floor(sqrt(n)), and as many columns as it then takes. */
  rows?: number
  cols?: number
  /** Above everything. */
  title?: string
  /** Above each row, at its left. */
  rowTitles?: readonly string[]
  /** The longer side of a picture on the page, about, in pixels. Default 150, less for more than six columns. */
  size?: number
  /** Default `light`. */
  theme?: Theme
}

const rowsOrCols = count.optional()
const schema = strictObject({
  rows: rowsOrCols,
  cols: rowsOrCols,
  title: string('text').default(''),
  rowTitles: list(string('text'), 'an array of text').default([]),
  size: positive.optional(),
  theme: theme.default('light'),
})

const GAP = 12
const FONT = 13
const LINE = 17
const HEAD = { 'font-size': 16, 'font-weight': 'bold', class: 'ink' }
const ROW_HEAD = { 'font-size': FONT, 'font-weight': 'bold', class: 'ink' }
/** A page isn't wider than about this, nor its pictures smaller than {@link SMALLEST}. */
const PAGE = 940
const SMALLEST = 64
/** Even below narrow pictures there is room for a title so wide. */
const TITLE_ROOM = 96
/** And for a heading. */
const NARROWEST = 174

interface Row {
  readonly tiles: readonly Tile[]
  readonly titles: readonly (readonly string[])[]
  readonly heading: string
  /** Heights: of the heading, of the titles, of the pictures. */
  readonly head: number
  readonly titled: number
  readonly pictures: number
}

/**
 * Pictures in rows and columns with their titles, as SVG. Small ones are enlarged by a whole factor without smoothing, so that their
 * pixels can be seen. A title that is too wide for its column continues on a second line; what is longer still is cut.
 *
 * @throws TorchLearnerError `ERR_INVALID_ARG` without pictures or when a picture's data doesn't fit its size
 */
export async function imageGrid(tiles: readonly Tile[], options: GridOptions = {}): Promise<string> {
  const all = checkTiles(tiles)
  const { title, rowTitles, theme, ...given } = checkArguments(schema, options, 'imageGrid')
  const { rows, cols } = gridShape(all.length, given.rows, given.cols)
  const shown = all.slice(0, rows * cols)
  const size = given.size ?? Math.max(SMALLEST, Math.min(150, PAGE / cols - GAP))
  const cell = cellWidth(shown, size)
  const width = Math.max(GAP + cols * (cell + GAP), NARROWEST)
  const left = Math.round((width - (cols * (cell + GAP) - GAP)) / 2)
  const heading = title === '' ? [] : wrapText(title, width - 2 * left, 16, 3, true)
  let y = heading.length > 0 ? GAP + heading.length * 20 + 6 : GAP
  const drawn: Promise<string>[] = []
  for (let r = 0; r < rows; r++) {
    const row = layRow(shown.slice(r * cols, (r + 1) * cols), rowTitles[r] ?? '', cell, size)
    drawn.push(drawRow(row, left, y, cell, size))
    y += row.head + row.titled + row.pictures + GAP
  }
  return document(
    width,
    y,
    title || [...new Set(shown.map(({ title = '' }) => title))].join(', ') || 'Pictures',
    styleSheet(theme),
    element('rect', { class: 'background', width, height: y }),
    ...(heading.length > 0 ? [label(heading.join('\n'), left, GAP + 15, HEAD)] : []),
    ...(await Promise.all(drawn)),
  )
}

/** As wide as the widest picture; titles may make it a third wider. */
function cellWidth(tiles: readonly Tile[], size: number): number {
  const widest = Math.max(...tiles.map(tile => tile.width * displayScale(tile, size)))
  const longest = Math.max(...tiles.map(({ title = '' }) => textWidth(title, FONT)))
  return Math.ceil(Math.max(widest, Math.min(longest, Math.max(1.3 * widest, TITLE_ROOM))))
}

function layRow(tiles: readonly Tile[], heading: string, cell: number, size: number): Row {
  const titles = tiles.map(({ title = '' }) => (title === '' ? [] : wrapText(title, cell + 2, FONT, 2)))
  const lines = Math.max(0, ...titles.map(({ length }) => length))
  return {
    tiles,
    titles,
    heading,
    head: heading === '' ? 0 : 22,
    titled: lines === 0 ? 0 : lines * LINE + 4,
    pictures: Math.ceil(Math.max(0, ...tiles.map(tile => tile.height * displayScale(tile, size)))),
  }
}

async function drawRow(row: Row, left: number, y: number, cell: number, size: number): Promise<string> {
  const top = y + row.head + row.titled
  const cells = row.tiles.map(async (tile, c) => {
    const scale = displayScale(tile, size)
    const center = left + c * (cell + GAP) + cell / 2
    // on whole pixels of the PNG: between them it would be blurred
    const x = Math.round(2 * (center - (tile.width * scale) / 2)) / 2
    const picture = await imageElement(tile, x, top, scale)
    const lines = row.titles[c]
    if (lines.length === 0) return picture
    const text = { 'font-size': FONT, class: tile.tone ?? 'ink', 'text-anchor': 'middle' }
    // right above the picture, however many lines its neighbours have
    return label(lines.join('\n'), center, top - 7 - (lines.length - 1) * LINE, text) + picture
  })
  const heading = row.heading === '' ? '' : label(row.heading, left, y + FONT + 1, ROW_HEAD)
  return heading + (await Promise.all(cells)).join('')
}

/** fastai's grid: floor(sqrt(n)) rows. One given number decides the other. */
export function gridShape(n: number, rows?: number, cols?: number): { rows: number; cols: number } {
  checkValue(rowsOrCols, rows, 'rows')
  checkValue(rowsOrCols, cols, 'cols')
  if (rows !== undefined && cols !== undefined)
    return { rows: Math.min(rows, Math.ceil(n / cols)), cols: Math.min(cols, n) }
  if (cols !== undefined) return { rows: Math.ceil(n / cols), cols: Math.min(cols, n) }
  const height = Math.min(rows ?? Math.floor(Math.sqrt(n)), n)
  return { rows: height, cols: Math.ceil(n / height) }
}
