// Reads a zip file: plain files and folders, their sizes and checksums compared with what the directory says.
import { crc32 } from 'node:zlib'
import type { Entry, ZipFile } from 'yauzl'

/** Makers whose attributes hold Unix's mode: Unix itself, and macOS. */
const UNIX = [3, 19]
/** By the file type bits of Unix. */
const KINDS = new Map<number, ZipEntry['kind']>([
  [0, 'File'],
  [0o100000, 'File'],
  [0o040000, 'Directory'],
  [0o120000, 'SymbolicLink'],
])

/** An entry of a zip file. */
export interface ZipEntry {
  readonly path: string
  readonly kind: 'File' | 'Directory' | 'SymbolicLink' | 'Device'
  readonly size: number
  readonly mode: number
  /** Throws at its end when it isn't what it should be. */
  readonly content: AsyncIterable<Buffer>
}

/** @param visit called for one entry after the other */
export async function unzip(archive: string, visit: (entry: ZipEntry) => Promise<void>): Promise<void> {
  const { default: yauzl } = await import('yauzl')
  const zip = await yauzl.openPromise(archive)
  try {
    for await (const entry of zip.eachEntry()) {
      const { fileName: path, uncompressedSize: size } = entry
      const [kind, mode] = kindOf(entry)
      await visit({ path, kind, size, mode, content: contentOf(zip, entry) })
    }
  } finally {
    zip.close()
  }
}

async function* contentOf(zip: ZipFile, entry: Entry): AsyncGenerator<Buffer, void, void> {
  let sum = 0
  for await (const chunk of await zip.openReadStreamPromise(entry)) {
    sum = crc32(chunk, sum)
    yield chunk
  }
  if (sum === entry.crc32) return
  const [actual, expected] = [sum, entry.crc32].map(value => value.toString(16).padStart(8, '0'))
  throw new Error(`${entry.fileName} is damaged: its CRC-32 is ${actual} instead of ${expected}`)
}

function kindOf({ fileName, versionMadeBy, externalFileAttributes }: Entry): [ZipEntry['kind'], number] {
  const mode = UNIX.includes(versionMadeBy >>> 8) ? externalFileAttributes >>> 16 : 0
  if (fileName.endsWith('/')) return ['Directory', mode]
  return [KINDS.get(mode & 0o170000) ?? 'Device', mode]
}
