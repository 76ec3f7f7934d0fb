/** The part of yauzl that unzip.ts and libtorch/unpack.ts use; the package has no types of its own. */
declare module 'yauzl' {
  import type { Readable } from 'node:stream'

  export interface Entry {
    fileName: string
    versionMadeBy: number
    externalFileAttributes: number
    uncompressedSize: number
    crc32: number
  }
  export interface ZipFile {
    eachEntry(): AsyncIterable<Entry>
    openReadStreamPromise(entry: Entry): Promise<Readable>
    close(): void
  }
  const yauzl: { openPromise(path: string, options?: { autoClose?: boolean }): Promise<ZipFile> }
  export default yauzl
}
