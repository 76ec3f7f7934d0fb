import { extname } from 'node:path'
import { checkArguments, checkValue, field, figureFile, flag, strictObject } from '../check/index.js'
import { writeAside } from '../files/index.js'
import { renderPng, ZOOM } from './png.js'
import { inlineColumns, inlinePicture, inlineProtocol, type PictureSink, sinkField } from './terminal.js'

/**
 * Writes a file so that nobody ever sees half of it: aside, then renamed. Its folder is made when it isn't there.
 *
 * @throws TorchLearnerError `ERR_WRITE`
 */
export async function writeAtomically(file: string, content: string | Uint8Array): Promise<void> {
  await writeAside(file, [typeof content === 'string' ? Buffer.from(content) : content])
}

/** How {@link saveFigure} goes about it. */
export interface SaveFigureOptions {
  /** Show the picture in the terminal too. Default: if stdout is one that can, see {@link inlineProtocol}. */
  inline?: boolean
  /** Which terminal. Default `process.stdout`. */
  sink?: PictureSink
}

const schema = strictObject({ inline: flag.default(true), sink: sinkField.optional() })
const fileField = figureFile.and(figureFile.what, file => ['.svg', '.png'].includes(extname(file).toLowerCase()))
const drawing = field<string>('the text of an SVG picture', svg => typeof svg === 'string' && /<svg[\s>]/.test(svg))

/**
 * Writes a drawing as SVG or PNG, by the file's extension, and shows it in terminals that can: kitty, Ghostty, Konsole, iTerm2,
 * WezTerm (`TORCH_LEARNER_INLINE=0` keeps them from it).
 *
 * @param file ends in `.svg` or `.png`
 * @returns `file`
 * @throws TorchLearnerError `ERR_INVALID_ARG` for another extension; `ERR_WRITE`
 */
export async function saveFigure(file: string, svg: string, options: SaveFigureOptions = {}): Promise<string> {
  const kind = extname(checkValue(fileField, file, 'file')).toLowerCase()
  checkValue(drawing, svg, 'svg')
  const { inline, sink = process.stdout } = checkArguments(schema, options, 'saveFigure')
  const protocol = inline ? inlineProtocol(sink) : null
  const png = kind === '.png' || protocol !== null ? await renderPng(svg) : null
  await writeAtomically(file, kind === '.svg' || png === null ? svg : png)
  if (protocol !== null && png !== null) {
    const [width, height] = [png.readUInt32BE(16) / ZOOM, png.readUInt32BE(20) / ZOOM]
    sink.write(inlinePicture(png, protocol, inlineColumns(width, height, sink)))
  }
  return file
}
