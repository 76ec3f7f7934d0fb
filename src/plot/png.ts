import { fileURLToPath } from 'node:url'
import { importPackage } from '../check/index.js'

/** A picture in memory: rows of pixels, `channels` bytes each. */
export interface Pixels {
  data: Uint8Array
  width: number
  height: number
  /** 1 grey, 3 RGB, 4 RGB and alpha. */
  channels: 1 | 3 | 4
}

/** Pixels of a PNG for one of the drawing. */
export const ZOOM = 2

const FONTS = ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf']

/** What the packages below are needed to do, as {@link importPackage} goes on. */
const PURPOSE = 'draw PNG figures'

/** How {@link encodePng} writes. */
export interface PngOptions {
  /** Bring the picture to this size. */
  resize?: { width: number; height: number }
  /** At most 256 colours: a third of the bytes, no visible loss for charts. Default false. */
  palette?: boolean
  /** Leave the alpha channel out. Default false. */
  opaque?: boolean
}

/**
 * Pixels as a PNG file's bytes, compressed off the JavaScript thread: with filters, which suit photographs, and without, which
 * suits flat and enlarged pictures; the smaller file is returned.
 */
export async function encodePng(
  pixels: Pixels,
  { resize, palette = false, opaque = false }: PngOptions = {},
): Promise<Buffer> {
  const { default: sharp } = await importPackage(() => import('sharp'), 'sharp', PURPOSE)
  const { data, width, height, channels } = pixels
  const picture = sharp(data, { raw: { width, height, channels } })
  if (opaque) picture.removeAlpha()
  if (resize) picture.resize({ ...resize, fit: 'fill' })
  if (palette) return await picture.png({ palette, dither: 0 }).toBuffer()
  const tried = [false, true].map(adaptiveFiltering => {
    return picture.clone().png({ compressionLevel: 9, adaptiveFiltering }).toBuffer()
  })
  const [plain, filtered] = await Promise.all(tried)
  return filtered.length < plain.length ? filtered : plain
}

/**
 * An SVG as a PNG file's bytes, drawn off the JavaScript thread with DejaVu Sans, so that it looks the same on machines without
 * fonts. The machine's own fonts are looked at for scripts which DejaVu lacks (Chinese, Japanese, Korean, emoji).
 * What follows the viewer's setting (theme `auto`) is drawn light.
 *
 * @param scale pixels of the PNG for one of the SVG; default 2, for sharp text on today's screens
 */
export async function renderPng(svg: string, scale: number = ZOOM): Promise<Buffer> {
  const { renderAsync } = await importPackage(() => import('@resvg/resvg-js'), '@resvg/resvg-js', PURPOSE)
  const fontFiles = await importPackage(async () => FONTS.map(fontFile), 'dejavu-fonts-ttf', PURPOSE)
  const { pixels, width, height } = await renderAsync(svg, {
    fitTo: { mode: 'zoom', value: scale },
    font: {
      loadSystemFonts: /[\u2e80-\uffdc]|[\u{10000}-\u{10ffff}]/u.test(svg),
      fontFiles,
      defaultFontFamily: 'DejaVu Sans',
    },
  })
  // resvg's own PNG encoder would run on this thread
  const look = { palette: !svg.includes('<image'), opaque: svg.includes('class="background"') }
  return await encodePng({ data: pixels, width, height, channels: 4 }, look)
}

function fontFile(name: string): string {
  return fileURLToPath(import.meta.resolve(`dejavu-fonts-ttf/ttf/${name}`))
}
