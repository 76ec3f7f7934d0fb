import {
  checkValue,
  count,
  field,
  invalidArgument,
  isTyped,
  list,
  object,
  oneOf,
  only,
  string,
} from '../check/index.js'
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

const tile = object({
  data: field<Uint8Array>('a Uint8Array of pixels', value => isTyped(value, 'Uint8Array')),
  width: count,
  height: count,
  channels: only(1).or(only(3)).or(only(4), '1, 3 or 4'),
  title: string('text').optional(),
  tone: oneOf('good', 'bad').optional(),
})
const tiles = list(tile, 'one or more pictures', 1)

/** Complains of what aren't pictures. */
export function checkTiles(given: readonly Tile[]): readonly Tile[] {
  const checked = checkValue(tiles, given, 'tiles')
  for (const { data, width, height, channels } of checked) {
    if (data.length !== width * height * channels) {
      throw invalidArgument('pixels', `${width} x ${height} x ${channels} bytes`, data)
    }
  }
  return checked
}
