// What is recorded of a libtorch's files: by us when it is unpacked into the cache, by its package when that is made.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isSyntaxError } from '../../check/index.js'
import type { FileRecords } from '../records.js'

/** Written last into an unpacked libtorch; without it, a folder in the cache is not used. */
export const STAMP = 'torch-learner.json'

/** In the package: size and SHA-256 of each file. */
const HASHES = 'sha256.json'

export interface Stamp {
  version: string
  /** Where it came from: a URL. */
  source?: string
  /** Sizes, by path within the folder. */
  files: Record<string, number>
  /** Likewise; 0.1 didn't write them. */
  sha256?: Record<string, string>
}

/** Null without one, or when it is damaged. */
export function readStamp(root: string): Stamp | null {
  const stamp = readJson<Partial<Stamp>>(join(root, STAMP))
  const { version, files } = stamp ?? {}
  return typeof version === 'string' && typeof files === 'object' && files !== null
    ? { ...stamp, version, files }
    : null
}

/** Of the libraries; null where nothing is recorded. */
export function libtorchRecords(root: string): FileRecords | null {
  const stamp = readStamp(root)
  const all = stamp ? recordsOf(stamp) : readJson<FileRecords>(join(root, HASHES))
  if (!all) return null
  // licences and the like are not worth a look at every import
  return Object.fromEntries(Object.entries(all).filter(([name]) => name.startsWith('lib')))
}

function recordsOf({ files, sha256 = {} }: Stamp): FileRecords {
  return Object.fromEntries(
    Object.entries(files).map(([name, size]) => {
      const hash = sha256[name]
      return [name, hash === undefined ? { size } : { size, sha256: hash }]
    }),
  )
}

function readJson<T>(file: string): T | null {
  if (!existsSync(file)) return null
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    if (isSyntaxError(error)) return null
    throw error
  }
}
