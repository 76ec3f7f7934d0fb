// What has been fetched and compiled on this machine, for whoever wants to see it or the room that it takes.
import { lstatSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf, messageOf } from '../check/index.js'
import { datasetsFolder, weightsFolder } from './folders.js'
import { cacheFolder } from './libtorch/find.js'
import { withLock } from './lock.js'

/** Kinds of what is kept. */
export const KINDS = ['libtorch', 'addons', 'weights', 'datasets', 'downloads'] as const
export type CacheKind = (typeof KINDS)[number]

/** Something that can be removed by itself. */
export interface CacheEntry {
  readonly kind: CacheKind
  readonly name: string
  /** Files and folders that go with it. */
  readonly paths: readonly string[]
  readonly bytes: number
  /** Why not all of it could be looked at. */
  readonly problem?: string
}

/** Everything that is kept, by kind. Weights and data sets lie where PyTorch and fastai look for theirs, so that only those are
 * listed that this package could have fetched. */
export function cacheEntries(env: NodeJS.ProcessEnv = process.env): CacheEntry[] {
  return [...ownEntries(cacheFolder(env)), ...weights(weightsFolder(env)), ...datasets(datasetsFolder(env))]
}

function ownEntries(folder: string): CacheEntry[] {
  return namesIn(folder).flatMap(name => {
    const kind = kindOf(name)
    return kind ? [entry(kind, name, [join(folder, name)])] : []
  })
}

/** The names that this package gives, whole: whoever sets TORCH_LEARNER_CACHE may keep other things in that folder. */
const NAMES: readonly (readonly [CacheKind, RegExp])[] = [
  ['libtorch', /^libtorch-\d+\.\d+\.\d+-[a-z]+\d*-[a-z\d]+-[a-z\d]+$/],
  ['addons', /^(addon|build)-\d+\.\d+\.\d+(-[\w.]+)?-[\da-f]{16}$|^new-addon-\d+$|^tried$/],
  ['downloads', /^[\da-f]{16}\.part(\.etag)?$|^libtorch-[\w.-]+\.unpacking-\d+$|^torch-learner-pip-\w{6}$/],
]

function kindOf(name: string): CacheKind | null {
  return NAMES.find(([, pattern]) => pattern.test(name))?.[0] ?? null
}

/** As torchvision names the files of the networks that there are here. */
const WEIGHTS = /^(wide_)?res(net|next)\w*-[\da-f]{8}\.pth$/

function weights(folder: string): CacheEntry[] {
  return namesIn(folder).flatMap(name => {
    if (WEIGHTS.test(name)) return [entry('weights', name, [join(folder, name)])]
    return WEIGHTS.test(name.replace(/\.part$/, '')) ? [entry('downloads', name, [join(folder, name)])] : []
  })
}

/** Beside the folder of a data set that was fetched here stands a note of its address. */
const NOTE = /^\.(.+)\.source$/
const ARCHIVE = /^\.(tgz|tar\.gz|tar|zip)(\.part(\.etag)?)?$/i

function datasets(home: string): CacheEntry[] {
  const data = join(home, 'data')
  const archives = namesIn(join(home, 'archive'))
  return namesIn(data).flatMap(note => {
    const stem = NOTE.exec(note)?.[1]
    // a file of such a name is not ours; what it seems to stand for is a folder above
    if (stem === undefined || stem === '.' || stem === '..') return []
    const own = archives.filter(name => name.startsWith(stem) && ARCHIVE.test(name.slice(stem.length)))
    return [
      entry('datasets', stem, [join(data, stem), ...own.map(name => join(home, 'archive', name)), join(data, note)]),
    ]
  })
}

/** The names in a folder; none when it isn't there. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return []
    throw new Error(`${folder} can't be read: ${messageOf(error)}`, { cause: error })
  }
}

function entry(kind: CacheKind, name: string, paths: readonly string[]): CacheEntry {
  let bytes = 0
  let problem: string | undefined
  const add = (path: string) => {
    try {
      const stat = lstatSync(path)
      bytes += stat.size
      if (stat.isDirectory()) for (const child of readdirSync(path)) add(join(path, child))
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') problem ??= messageOf(error)
    }
  }
  for (const path of paths) add(path)
  return { kind, name, paths, bytes, ...(problem === undefined ? {} : { problem }) }
}

/** Removes it, when nobody is filling it any more. */
export async function removeEntry({ paths }: CacheEntry): Promise<void> {
  const [first = ''] = paths
  await withLock(`${first}.lock`, async () => {
    for (const path of paths) rmSync(path, { recursive: true, force: true })
  })
}
