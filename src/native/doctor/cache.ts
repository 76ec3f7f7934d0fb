import { existsSync, lstatSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Problem } from '../../check/index.js'
import { ABSENT, cacheFolder, obstacle, obstacleToWriting } from '../../provision/index.js'
import { setup } from '../remedies.js'
import type { Probe } from './probe.js'

/** What libtorch takes: the archive, and beside it what is unpacked of it. */
export const SPACE_NEEDED = 0.7e9

export interface CacheFacts {
  readonly folder: string
  /** Why it can't be read, as in `does not exist`; null when it can. */
  readonly reading: string | null
  /** Why nothing can be written to it, or to where it would be made; null when something can. */
  readonly writing: string | null
  /** All files together. */
  readonly bytes: number
  /** What this user can still write there; null where that can't be told. */
  readonly freeBytes: number | null
  /** Downloads that have not come to their end. */
  readonly parts: readonly { readonly file: string; readonly bytes: number }[]
}

export function cacheFacts(probe: Probe): CacheFacts {
  const folder = cacheFolder()
  const reading = obstacle(folder) ?? (statSync(folder).isDirectory() ? null : 'is not a folder')
  const there = nearest(folder)
  const names = reading === null ? readdirSync(folder) : []
  const parts = names
    .filter(name => name.endsWith('.part'))
    .map(name => ({ file: join(folder, name), bytes: statSync(join(folder, name)).size }))
  return {
    folder,
    reading,
    writing: obstacleToWriting(there),
    bytes: names.reduce((sum, name) => sum + bytesOf(join(folder, name)), 0),
    freeBytes: probe.freeBytes(there),
    parts,
  }
}

/** The folder, or the first one above it that exists. */
function nearest(folder: string): string {
  let at = folder
  while (!existsSync(at) && at !== dirname(at)) at = dirname(at)
  return at
}

function bytesOf(path: string): number {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (!stat) return 0
  if (!stat.isDirectory()) return stat.size
  try {
    return readdirSync(path).reduce((sum, name) => sum + bytesOf(join(path, name)), 0)
  } catch {
    return 0 // somebody else's
  }
}

/** What hinders, and what would only if something had to be fetched. @param isNeeded libtorch has to be fetched yet */
export function problemsOfCache(cache: CacheFacts, isNeeded: boolean): { problems: Problem[]; warnings: Problem[] } {
  const found: Problem[] = []
  const { folder, reading, writing, freeBytes, parts } = cache
  const other = 'set TORCH_LEARNER_CACHE to a folder that this user may read and write'
  if (reading !== null && reading !== ABSENT) {
    found.push({
      code: 'cache-unreadable',
      message: `The cache ${folder} ${reading}`,
      remedy: `Change its owner (\`chown\`), or ${other}`,
    })
  } else if (writing !== null) {
    found.push({
      code: 'cache-unwritable',
      message: `The cache ${folder} ${writing}`,
      remedy: `Change its owner (\`chown\`), or ${other}`,
    })
  }
  if (freeBytes !== null && freeBytes < (isNeeded ? SPACE_NEEDED : SPACE_NEEDED / 100)) {
    const message = `The disk of the cache ${folder} is full: ${megabytes(freeBytes)} are free`
    const need = isNeeded ? `, libtorch needs ${megabytes(SPACE_NEEDED)}` : ''
    found.push({
      code: 'disk-full',
      message: message + need,
      remedy: 'Make room, or set TORCH_LEARNER_CACHE to a folder on another disk',
    })
  }
  const partial = parts.map(({ file, bytes }): Problem => {
    const remedy = isNeeded ? `Run ${setup()}, which goes on from there` : 'Delete it'
    return {
      code: 'half-downloaded',
      message: `${file} is a download that was interrupted after ${megabytes(bytes)}`,
      remedy,
    }
  })
  return isNeeded ? { problems: found, warnings: partial } : { problems: [], warnings: [...found, ...partial] }
}

export const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6).toLocaleString('en')} MB`
