/** An entry of a zip file. */
export interface ZipEntry {
  readonly path: string
  readonly kind: 'File' | 'Directory' | 'SymbolicLink' | 'Device'
  readonly size: number
  readonly mode: number
  /** Throws at its end when it isn't what it should be. */
  readonly content: AsyncIterable<Buffer>
}

/** See unzip.mjs. */
export function unzip(archive: string, visit: (entry: ZipEntry) => Promise<void>): Promise<void>
