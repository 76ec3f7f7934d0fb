// The part of yauzl that unpack.mjs uses; the package has no types of its own.
declare module 'yauzl' {
  import type { Readable } from 'node:stream'

  interface Entry {
    fileName: string
  }
  interface ZipFile {
    eachEntry(): AsyncIterable<Entry>
    openReadStreamPromise(entry: Entry): Promise<Readable>
  }
  const yauzl: { openPromise(path: string): Promise<ZipFile> }
  export default yauzl
}
