import { existsSync, realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { failure } from '../check/index.js'
import { packageRoot } from '../provision/index.js'
import { ADDON_NAMES, loadedLibraries } from './loaded.js'
import { type AddonFiles, filesBeside } from './locate.js'

const RESTART = 'Restart the process'

/**
 * The addon that this process, in whichever of its threads, has loaded already: `own` itself, or the one of another copy of the
 * package with the same bytes, which this copy then uses too. Null when there is none. libtorch knows one operator by one name,
 * and ends the process when a second addon registers the same.
 *
 * @throws TorchLearnerError `ERR_TWO_COPIES` when it is another copy's with other bytes, `ERR_ADDON_LOAD` when `own` has been
 * replaced since it was loaded
 */
export function addonInProcess(own: AddonFiles): AddonFiles | null {
  for (const { path, isGone } of loadedLibraries(...ADDON_NAMES)) {
    const isOwn = path === realpathSync(own.addon)
    if (isOwn && !isGone) return own
    if (isOwn) {
      const message = `${path} has been replaced while this process had it loaded, and a process can't load a second one`
      throw failure('ERR_ADDON_LOAD', message, RESTART)
    }
    const other = isGone ? null : filesOf(path, own)
    if (other && isSame(own, other)) return other
    throw failure(
      'ERR_TWO_COPIES',
      `This process has already loaded ${path}, the addon of another copy of torch-learner, and can't load ${own.addon}, ` +
        `that of ${packageRoot()}, beside it: they are of different builds, and a process holds one`,
      'Have all packages use one version of torch-learner (`npm dedupe`, `pnpm dedupe`, `yarn dedupe`; `npm ls torch-learner` ' +
        'says who wants which), or use one of the two in a process of its own',
    )
  }
  return null
}

function filesOf(addon: string, own: AddonFiles): AddonFiles | null {
  const folder = dirname(addon)
  return existsSync(join(folder, 'torch_learner.json')) ? filesBeside(addon, own.place) : null
}

/** By the hashes in their stamps. */
function isSame(own: AddonFiles, other: AddonFiles): boolean {
  const [ours, theirs] = [own, other].map(({ addon, stamp }) => stamp.files?.[basename(addon)]?.sha256)
  return ours !== undefined && ours === theirs
}
