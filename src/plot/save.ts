import { randomUUID } from 'node:crypto'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, extname } from 'node:path'
import { invalidArgument } from '../native/index.js'
import { renderPng } from './png.js'

/**
 * Writes a file so that nobody ever sees half of it: aside, then renamed. Its folder is made when it isn't there.
 */
export async function writeAtomically(file: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  const aside = `${file}.${process.pid}-${randomUUID().slice(0, 8)}.tmp`
  try {
    await writeFile(aside, content)
    await rename(aside, file)
  } catch (error) {
    await rm(aside, { force: true })
    throw error
  }
}

/**
 * Writes a drawing as SVG or PNG, by the file's extension.
 *
 * @param file ends in `.svg` or `.png`
 * @returns `file`
 * @throws TorchLearnerError `ERR_INVALID_ARG` for another extension
 */
export async function saveFigure(file: string, svg: string): Promise<string> {
  const kind = typeof file === 'string' ? extname(file).toLowerCase() : ''
  if (kind !== '.svg' && kind !== '.png') throw invalidArgument('file', 'a path that ends in .png or .svg', file)
  if (typeof svg !== 'string' || !/<svg[\s>]/.test(svg)) throw invalidArgument('svg', 'the text of an SVG picture', svg)
  await writeAtomically(file, kind === '.svg' ? svg : await renderPng(svg))
  return file
}
