// @ts-check
// Unpacks a zip file: plain files and folders, and only what the caller agrees to.
import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import yauzl from 'yauzl'

const UNIX = 3
/** By the file type bits of Unix. @type {Map<number, 'File' | 'Directory' | 'SymbolicLink'>} */
const KINDS = new Map([
  [0, 'File'],
  [0o100000, 'File'],
  [0o040000, 'Directory'],
  [0o120000, 'SymbolicLink'],
])

/**
 * @param {string} archive
 * @param {string} folder that is there
 * @param {(name: string, kind: 'File' | 'Directory' | 'SymbolicLink' | 'Device') => boolean} wanted false leaves an entry out
 */
export async function unzip(archive, folder, wanted) {
  const zip = await yauzl.openPromise(archive)
  for await (const entry of zip.eachEntry()) {
    const kind = kindOf(entry)
    if (!wanted(entry.fileName, kind)) continue
    const path = join(folder, entry.fileName)
    await mkdir(kind === 'Directory' ? path : dirname(path), { recursive: true })
    if (kind !== 'Directory') await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(path))
  }
}

/** @param {{ fileName: string, versionMadeBy: number, externalFileAttributes: number }} entry */
function kindOf({ fileName, versionMadeBy, externalFileAttributes }) {
  if (fileName.endsWith('/')) return 'Directory'
  if (versionMadeBy >>> 8 !== UNIX) return 'File'
  return KINDS.get((externalFileAttributes >>> 16) & 0o170000) ?? 'Device'
}
