import { invalidArgument } from '../native/index.js'
import { encodePng } from './png.js'
import { document, element, label, textWidth } from './svg.js'
import { checkTheme, styleSheet, type Theme } from './theme.js'

/** A picture in memory: rows of pixels, `channels` bytes each. */
export interface Pixels {
  data: Uint8Array
  width: number
  height: number
  /** 1 grey, 3 RGB, 4 RGB and alpha. */
  channels: 1 | 3 | 4
}

/** One picture of an {@link imageGrid}. */
export interface Tile extends Pixels {
  /** Above the picture; `\n` starts a new line. */
  title?: string
  /** The title's colour: green for `good`, red for `bad`. */
  tone?: 'good' | 'bad'
}

export interface GridOptions {
  /** Default: floor(sqrt(n)), and as many columns as it then takes. */
  rows?: number
  cols?: number
  /** Above everything. */
  title?: string
  /** The longer side of a picture on the page, about, in pixels. Default 150. */
  size?: number
  /** Default `light`. */
  theme?: Theme
}

const GAP = 14
const FONT = 13
const LINE = Math.ceil(FONT * 1.25)

/**
 * Pictures in rows and columns with their titles, as SVG. Small ones are enlarged by a whole factor without smoothing, so that their
 * pixels can be seen.
 *
 * @throws TorchLearnerError `ERR_INVALID_ARG` without pictures or when a picture's data doesn't fit its size
 */
export async function imageGrid(tiles: readonly Tile[], options: GridOptions = {}): Promise<string> {
  if (!Array.isArray(tiles) || tiles.length === 0) throw invalidArgument('tiles', 'one or more pictures', tiles)
  checkOptions(options)
  const { rows, cols } = gridShape(tiles.length, options.rows, options.cols)
  const shown = tiles.slice(0, rows * cols)
  for (const tile of shown) checkPixels(tile)
  const scales = shown.map(tile => displayScale(tile, options.size ?? 150))
  const widest = Math.max(...shown.map(({ width }, i) => width * scales[i]))
  const tallest = Math.ceil(Math.max(...shown.map(({ height }, i) => height * scales[i])))
  const titles = shown.map(({ title }) => title ?? '')
  // a long title may widen its column to one and a half pictures; what is longer still is cut
  const cellWidth = Math.ceil(
    Math.min(Math.max(widest, ...titles.map(title => textWidth(title, FONT))), Math.max(1.5 * widest, 120)),
  )
  const titleLines = Math.max(...titles.map(title => (title === '' ? 0 : title.split('\n').length)))
  const titleHeight = titleLines === 0 ? 0 : titleLines * LINE + 5
  const top = options.title ? 44 : GAP
  const cells = await Promise.all(
    shown.map(async (tile, i) => {
      const x = GAP + (i % cols) * (cellWidth + GAP)
      const y = top + Math.floor(i / cols) * (tallest + titleHeight + GAP)
      const center = x + cellWidth / 2
      const left = Math.round(center - (tile.width * scales[i]) / 2) // between pixels it would be blurred
      const picture = await image(tile, left, y + titleHeight, scales[i])
      const text = { 'font-size': FONT, class: tile.tone ?? 'ink', 'text-anchor': 'middle' }
      return titles[i] === '' ? picture : label(clip(titles[i], cellWidth), center, y + FONT, text) + picture
    }),
  )
  const width = GAP + cols * (cellWidth + GAP)
  const height = top + rows * (tallest + titleHeight + GAP)
  return document(
    width,
    height,
    styleSheet(options.theme ?? 'light'),
    element('rect', { class: 'background', width, height }),
    ...(options.title ? [label(options.title, GAP, 27, { 'font-size': 16, 'font-weight': 'bold', class: 'ink' })] : []),
    ...cells,
  )
}

/** fastai's grid: floor(sqrt(n)) rows. One given number decides the other. */
export function gridShape(n: number, rows?: number, cols?: number): { rows: number; cols: number } {
  for (const [name, value] of Object.entries({ rows, cols })) {
    if (value !== undefined && !(Number.isInteger(value) && value > 0))
      throw invalidArgument(name, 'a whole number from 1', value)
  }
  if (rows !== undefined && cols !== undefined)
    return { rows: Math.min(rows, Math.ceil(n / cols)), cols: Math.min(cols, n) }
  if (cols !== undefined) return { rows: Math.ceil(n / cols), cols: Math.min(cols, n) }
  const height = Math.min(rows ?? Math.floor(Math.sqrt(n)), n)
  return { rows: height, cols: Math.ceil(n / height) }
}

function displayScale({ width, height }: Pixels, size: number): number {
  const longer = Math.max(width, height)
  return longer <= size ? Math.max(1, Math.round(size / longer)) : Math.min(1, (1.5 * size) / longer)
}

function checkOptions(options: GridOptions): void {
  if (typeof options !== 'object' || options === null) throw invalidArgument('options', 'an object', options)
  const { title, size, theme } = options
  if (title !== undefined && typeof title !== 'string') throw invalidArgument('title', 'text', title)
  if (size !== undefined && !(Number.isFinite(size) && size > 0))
    throw invalidArgument('size', 'a number above 0', size)
  checkTheme(theme)
}

function checkPixels(tile: Tile): void {
  if (typeof tile !== 'object' || tile === null) throw invalidArgument('tiles', 'pictures', tile)
  const { data, width, height, channels, title } = tile
  if (!(data instanceof Uint8Array)) throw invalidArgument('data', 'a Uint8Array of pixels', data)
  if (![1, 3, 4].includes(channels)) throw invalidArgument('channels', '1, 3 or 4', channels)
  if (title !== undefined && typeof title !== 'string') throw invalidArgument('title', 'text', title)
  if (!(width > 0 && height > 0) || data.length !== width * height * channels) {
    throw invalidArgument('pixels', `${width} x ${height} x ${channels} bytes`, data)
  }
}

async function image(pixels: Pixels, x: number, y: number, scale: number): Promise<string> {
  const png = await encodePng(pixels)
  const crisp = scale > 1 ? { 'image-rendering': 'optimizeSpeed' } : {}
  const href = `data:image/png;base64,${png.toString('base64')}`
  // the older spelling of href: viewers of SVG 1.1 know only that
  return element('image', {
    x,
    y,
    width: pixels.width * scale,
    height: pixels.height * scale,
    ...crisp,
    'xlink:href': href,
  })
}

function clip(title: string, width: number): string {
  return title
    .split('\n')
    .map(line => {
      let end = line.length
      while (end > 3 && textWidth(line.slice(0, end), FONT) > width + GAP / 2) end--
      return end < line.length ? `${line.slice(0, end - 1)}…` : line
    })
    .join('\n')
}
