// Binaries that were compiled elsewhere, for this machine: in prebuilds/, or in the platform's package.
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { codeOf } from '../../check/index.js'
import { processLibc } from '../libc.js'
import { packageRoot } from '../root.js'
import { type BuildStamp, stampIn } from './stamp.js'

/** The package with the addon for this platform. */
export const ADDON_PACKAGE = `@torch-learner/${process.platform}-${process.arch}`

/** A binary and what it is made of. */
export interface Prebuilt {
  readonly folder: string
  readonly stamp: BuildStamp
}

/**
 * The prebuilt addon that fits this machine, or null.
 *
 * @param sources only one that was compiled from sources of this hash
 */
export function prebuiltAddon(sources?: string): Prebuilt | null {
  // prebuilt against glibc: musl has neither its symbols nor its loader
  if (processLibc() === 'musl') return null
  const folders = [join(packageRoot(), 'prebuilds', `${process.platform}-${process.arch}`), packageFolder()]
  for (const folder of folders) {
    const stamp = folder === null ? null : stampIn(folder)
    if (folder !== null && stamp && (sources === undefined || stamp.sources === sources)) return { folder, stamp }
  }
  return null
}

/** The folder of the installed package, or null. */
function packageFolder(): string | null {
  try {
    return dirname(createRequire(import.meta.url).resolve(`${ADDON_PACKAGE}/package.json`))
  } catch (error) {
    if (codeOf(error)?.endsWith('MODULE_NOT_FOUND')) return null
    throw error
  }
}
