// Of what an addon is made: the stamp that stands beside it, and the hash of the sources that are here.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FileRecords } from '../records.js'
import { packageRoot } from '../root.js'

/** What the build writes beside the addon: the loader reads it before it loads anything. */
export interface BuildStamp {
  libtorch: string
  /** Where libtorch lay; null in a binary for other machines. */
  root: string | null
  cuda: boolean
  /** Formats that it decodes by itself: without `png` and `jpeg` such files are decoded slowly. */
  codecs?: string[]
  /** {@link sourcesHash} of what it was compiled from; empty while it is being compiled. */
  sources: string
  /** What lies beside the stamp, so that damage is found. */
  files?: FileRecords
  /** Hash of all that went into the build, options and libtorch's version too. */
  build?: string
}

/** Names of the files that belong together. */
export const ADDON = 'torch_learner.node'
export const PRELOAD = 'torch_learner_preload.so'
export const STAMP = 'torch_learner.json'

/** The stamp in a folder with an addon, or null. */
export function stampIn(folder: string): BuildStamp | null {
  const file = join(folder, STAMP)
  if (!existsSync(file) || !readdirSync(folder).some(name => name.endsWith('.node'))) return null
  return JSON.parse(readFileSync(file, 'utf8'))
}

/** Hash of binding/ and CMakeLists.txt: an addon with the same in its stamp is made of these. */
export function sourcesHash(root: string = packageRoot()): string {
  const hash = createHash('sha256')
  const sources = readdirSync(join(root, 'binding'), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath ?? entry.path, entry.name))
    .sort()
  for (const file of [join(root, 'CMakeLists.txt'), ...sources]) {
    hash
      .update(`${file.slice(root.length + 1)}\0`)
      .update(readFileSync(file))
      .update('\0')
  }
  return hash.digest('hex')
}
