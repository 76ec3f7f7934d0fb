// The part of yauzl that unpack.mjs and unzip.mjs use; the package has no types of its own.
declare module 'yauzl' {
  import type { Readable } from 'node:stream'

  interface Entry {
    fileName: string
    versionMadeBy: number
    externalFileAttributes: number
  }
  interface ZipFile {
    eachEntry(): AsyncIterable<Entry>
    openReadStreamPromise(entry: Entry): Promise<Readable>
  }
  const yauzl: { openPromise(path: string): Promise<ZipFile> }
  export default yauzl
}
