import { fileURLToPath } from 'node:url'
import type { Pixels } from './grid.js'

const FONTS = ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf']

/** Pixels as a PNG file's bytes, compressed off the JavaScript thread. */
export async function encodePng({ data, width, height, channels }: Pixels): Promise<Buffer> {
  const { default: sharp } = await import('sharp')
  return await sharp(data, { raw: { width, height, channels } }).png({ compressionLevel: 6 }).toBuffer()
}

/**
 * An SVG as a PNG file's bytes, drawn off the JavaScript thread with DejaVu Sans, so that it looks the same on machines without fonts.
 *
 * @param scale pixels of the PNG for one of the SVG; default 2, for sharp text on today's screens
 */
export async function renderPng(svg: string, scale = 2): Promise<Buffer> {
  const { renderAsync } = await import('@resvg/resvg-js')
  const drawn = await renderAsync(svg, {
    fitTo: { mode: 'zoom', value: scale },
    font: { loadSystemFonts: false, fontFiles: FONTS.map(fontFile), defaultFontFamily: 'DejaVu Sans' },
  })
  // resvg's own PNG encoder would run on this thread
  return await encodePng({ data: drawn.pixels, width: drawn.width, height: drawn.height, channels: 4 })
}

function fontFile(name: string): string {
  return fileURLToPath(import.meta.resolve(`dejavu-fonts-ttf/ttf/${name}`))
}
