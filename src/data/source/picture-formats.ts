import { extname } from 'node:path'
import { TorchLearnerError } from '../../check/index.js'

/** Extensions of the picture files that can be read, lower case, with the dot. */
export const imageExtensions: ReadonlySet<string> = new Set(
  (
    '.apng .avif .bmp .dib .gif .jfif .jpe .jpeg .jpg .pbm .pgm .pjpeg .png .pnm .ppm .svg .svgz ' + '.tif .tiff .webp'
  ).split(' '),
)

/** Of pictures in formats that no build of this package reads. */
const FOREIGN: ReadonlySet<string> = new Set(
  '.heic .heif .hif .ico .j2c .j2k .jp2 .jpf .jpx .jxl .pcx .psd .tga .xbm .xpm .xwd'.split(' '),
)

/** What to do with pictures in a foreign format. */
export const CONVERT = 'convert them to JPEG or PNG'

/** Counts the pictures that were left out of a list because of their format. */
export class PassedOver {
  readonly #counts = new Map<string, number>()

  /** Whether a file is listed; if it is a picture and isn't, it is counted. */
  admits(name: string): boolean {
    const extension = extname(name).toLowerCase()
    if (imageExtensions.has(extension)) return true
    if (FOREIGN.has(extension)) this.#counts.set(extension, (this.#counts.get(extension) ?? 0) + 1)
    return false
  }

  /** Counts what another has counted, too. */
  add(other: PassedOver): void {
    for (const [extension, count] of other.#counts) {
      this.#counts.set(extension, (this.#counts.get(extension) ?? 0) + count)
    }
  }

  /** `12 .heic and 1 .jxl files`; empty when there were none. */
  toString(): string {
    const counts = [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, n]) => `${n} ${name}`)
    const last = counts.pop()
    if (last === undefined) return ''
    const all = counts.length === 0 ? last : `${counts.join(', ')} and ${last}`
    return `${all} ${all.startsWith('1 ') && counts.length === 0 ? 'file' : 'files'}`
  }

  /** Says in one warning what was left out, if anything was. */
  warn(folder: string): void {
    const files = this.toString()
    if (files === '') return
    process.emitWarning(
      `Passed over ${files} in ${folder}: pictures in such formats can't be read. To use them, ${CONVERT}`,
      { type: 'TorchLearnerWarning', code: 'TORCH_LEARNER_PASSED_OVER' },
    )
  }

  /** The error for a folder without a picture that can be read. */
  noPictures(folder: string): TorchLearnerError {
    const files = this.toString()
    const why = files === '' ? '' : ` that can be read, only ${files}: ${CONVERT}`
    return new TorchLearnerError('ERR_NO_DATA', `There are no pictures in ${folder}${why}`)
  }
}
