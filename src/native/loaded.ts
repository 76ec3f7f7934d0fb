import { mappedFiles } from '../provision/index.js'

/** A library that this process has opened, in whichever thread. */
export interface LoadedLibrary {
  /** With symbolic links followed. */
  readonly path: string
  /** The file that was opened is no longer there: another may have its name by now. */
  readonly isGone: boolean
}

const GONE = ' (deleted)'

/** What the addon is called: by a build, and by prebuildify. */
export const ADDON_NAMES: readonly string[] = ['torch_learner.node', 'torch-learner.node']

/** The libraries in this process whose path ends with `/` and one of `names`. */
export function loadedLibraries(...names: readonly string[]): LoadedLibrary[] {
  const found = new Map<string, LoadedLibrary>()
  for (const entry of mappedFiles()) {
    const isGone = entry.endsWith(GONE)
    const path = isGone ? entry.slice(0, -GONE.length) : entry
    if (names.some(name => path.endsWith(`/${name}`))) found.set(entry, { path, isGone })
  }
  return [...found.values()]
}
