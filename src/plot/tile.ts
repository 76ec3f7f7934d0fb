import { invalidArgument, isTyped } from '../check/index.js'
import { encodePng, type Pixels, ZOOM } from './png.js'
import { element } from './svg.js'

/** One picture of an {@link imageGrid}. */
export interface Tile extends Pixels {
  /** Above the picture; `\n` starts a new line. */
  title?: string
  /** The title's colour: green for `good`, red for `bad`. */
  tone?: 'good' | 'bad'
}

/**
 * How much a picture is enlarged or shrunk on the page. In a PNG each of its pixels then becomes a whole number of pixels, so
 * that nothing is blurred: small pictures show their pixels, larger ones are as sharp as they are. Only those half as large
 * again as they may be are shrunk, by the factor that makes them so.
 *
 * @param size the longer side on the page, about
 */
export function displayScale({ width, height }: Pixels, size: number): number {
  const longer = Math.max(width, height)
  const room = ZOOM * size
  return longer <= 1.5 * room ? Math.max(1, Math.round(room / longer)) / ZOOM : (1.5 * size) / longer
}

/** The picture as an element, at `scale`. */
export async function imageElement(tile: Pixels, x: number, y: number, scale: number): Promise<string> {
  const [width, height] = [tile.width * scale, tile.height * scale]
  // what can't be seen isn't kept
  const shrunk = scale < 1 / ZOOM ? { width: Math.round(ZOOM * width), height: Math.round(ZOOM * height) } : undefined
  const png = await encodePng(tile, { resize: shrunk })
  // two spellings each: resvg and viewers of SVG 1.1 know the older, browsers the newer (styleSheet has it)
  const crisp = scale * ZOOM > 1 ? { class: 'crisp', 'image-rendering': 'optimizeSpeed' } : {}
  return element('image', {
    x,
    y,
    width,
    height,
    ...crisp,
    'xlink:href': `data:image/png;base64,${png.toString('base64')}`,
  })
}

/** Complains of what isn't a picture. */
export function checkTile(tile: Tile): void {
  if (typeof tile !== 'object' || tile === null) throw invalidArgument('tiles', 'pictures', tile)
  const { data, width, height, channels, title } = tile
  if (!isTyped(data, 'Uint8Array')) throw invalidArgument('data', 'a Uint8Array of pixels', data)
  if (![1, 3, 4].includes(channels)) throw invalidArgument('channels', '1, 3 or 4', channels)
  if (title !== undefined && typeof title !== 'string') throw invalidArgument('title', 'text', title)
  if (!(width > 0 && height > 0) || data.length !== width * height * channels) {
    throw invalidArgument('pixels', `${width} x ${height} x ${channels} bytes`, data)
  }
}
