import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Problem } from '../../check/index.js'
import { isCheckout, packageRoot } from '../../provision/index.js'

/** Who arranged the folder that the package lies in. */
export type Layout = 'checkout' | 'npm' | 'pnpm' | 'yarn node_modules' | 'yarn PnP' | 'bun' | 'unknown'

/** What each package manager leaves in the node_modules that it has filled. */
const TRACES: readonly [file: string, layout: Layout][] = [
  ['.modules.yaml', 'pnpm'],
  ['.yarn-state.yml', 'yarn node_modules'],
  ['.yarn-integrity', 'yarn node_modules'],
  ['.package-lock.json', 'npm'],
]

export function layoutOf(root: string = packageRoot()): Layout {
  if (process.versions.pnp !== undefined) return 'yarn PnP'
  if (root === packageRoot() && isCheckout()) return 'checkout'
  if (/[\\/]node_modules[\\/]\.pnpm[\\/]/.test(root)) return 'pnpm'
  for (const folder of foldersAbove(root)) {
    if (!/[\\/]node_modules$/.test(folder)) continue
    const trace = TRACES.find(([file]) => existsSync(join(folder, file)))
    if (trace) return trace[1]
    if (['bun.lock', 'bun.lockb'].some(file => existsSync(join(folder, '..', file)))) return 'bun'
  }
  return 'unknown'
}

/** Folders of this package that a program in `start` could load, each once: two of them in one process get in each other's way. */
export function copiesFor(start: string): string[] {
  const found = new Set([packageRoot().replace(/[\\/]$/, '')])
  for (const folder of foldersAbove(start)) {
    const modules = join(folder, 'node_modules')
    const store = join(modules, '.pnpm')
    const within = list(store)
      .filter(name => name.startsWith('torch-learner@'))
      .map(name => join(store, name, 'node_modules'))
    for (const place of [modules, ...within, ...nested(modules)]) {
      const copy = join(place, 'torch-learner')
      if (isPackage(copy)) found.add(realpathSync(copy))
    }
  }
  return [...found]
}

export function problemOfCopies(copies: readonly string[]): Problem[] {
  if (copies.length < 2) return []
  return [
    {
      code: 'two-copies',
      message: `There are ${copies.length} copies of torch-learner, and a process can use only one build of them: ${copies.join(', ')}`,
      remedy:
        'Bring them to one version and run `npm dedupe` (`pnpm dedupe`, `yarn dedupe`); `npm ls torch-learner` says who wants which',
    },
  ]
}

/** The node_modules of the packages in one. */
function nested(modules: string): string[] {
  const packages = list(modules).flatMap(name => {
    return name.startsWith('@') ? list(join(modules, name)).map(inner => join(name, inner)) : [name]
  })
  return packages.map(name => join(modules, name, 'node_modules'))
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return [] // most of the places that are looked at don't exist
  }
}

function isPackage(folder: string): boolean {
  try {
    const { name }: { name?: string } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    return name === 'torch-learner'
  } catch {
    return false // not there, or not a package's
  }
}

function foldersAbove(start: string): string[] {
  const folders = [start]
  for (let folder = start; folder !== dirname(folder); folder = dirname(folder)) folders.push(dirname(folder))
  return folders
}
