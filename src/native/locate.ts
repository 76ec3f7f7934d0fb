import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { codeOf, failure, hasCode, messageOf } from '../check/index.js'
import {
  ABSENT,
  ADDON_PACKAGE,
  baseVersion,
  cachedAddon,
  type FileRecords,
  findLibtorch,
  isCheckout,
  type Libtorch,
  type LibtorchPlace,
  obstacle,
  packageRoot,
  packageVersion,
  wrongSize,
} from '../provision/index.js'
import { damageOf } from './elf.js'
import { build, installOptional, reinstall, setup } from './remedies.js'

/**
 * Where an addon was found: `variable` in the folder that TORCH_LEARNER_PREBUILD names, `build` in the package's own build/ or
 * prebuilds/, `package` in the platform's package, `cache` among what `torch-learner build` has compiled.
 */
export type AddonPlace = 'variable' | 'build' | 'package' | 'cache'

/** The compiled addon with what the build wrote beside it. */
export interface AddonFiles {
  addon: string
  /** opens libtorch by full path, see binding/core/preload.c */
  preload: string
  stamp: AddonStamp
  place: AddonPlace
}

/** Of what the addon was built: libtorch's version, where it lay (null: on another machine), and whether CUDA kernels are in it. */
export interface AddonStamp {
  libtorch: string
  root: string | null
  cuda: boolean
  /** Formats that it decodes by itself. */
  codecs?: readonly string[]
  /** The addon and the preload module as they were built. */
  files?: FileRecords
}

const PLATFORM = `${process.platform}-${process.arch}`
/** Platforms that have such a package. */
const PREBUILT = ['linux-x64']

const STAMP = 'torch_learner.json'
const PRELOAD = 'torch_learner_preload.so'

/**
 * Finds the addon, without loading anything: where TORCH_LEARNER_PREBUILD says, else in the package's own folder, in the
 * platform's package, in the cache.
 *
 * @throws TorchLearnerError `ERR_ADDON_MISSING` when there is none, `ERR_ADDON_LOAD` when what the build writes beside it
 * is missing, unreadable or damaged
 */
export function locateAddon(): AddonFiles {
  const named = process.env.TORCH_LEARNER_PREBUILD
  if (named) {
    const addon = addonBelow(resolve(named))
    if (addon) return filesBeside(addon, 'variable')
    throw failure(
      'ERR_ADDON_MISSING',
      `TORCH_LEARNER_PREBUILD is ${named}, and there is no addon in build/Release or prebuilds/${PLATFORM} of it`,
      'Set it to a folder that has one, or unset it',
    )
  }
  const own = addonBelow(packageRoot())
  if (own) return filesBeside(own, 'build')
  const installed = platformPackage()
  if (installed) return filesBeside(installed, 'package')
  // what the cache holds is named after the sources
  const cached = existsSync(join(packageRoot(), 'binding')) ? addonIn(cachedAddon()) : null
  if (cached) return filesBeside(cached, 'cache')
  throw missing()
}

function missing() {
  if (isCheckout()) return failure('ERR_ADDON_MISSING', 'The native addon is not built yet', `Run ${setup()}`)
  if (!PREBUILT.includes(PLATFORM)) {
    const message = `There is no prebuilt addon of torch-learner for ${PLATFORM}, and none was compiled on this machine`
    return failure('ERR_ADDON_MISSING', message, `Run ${build()}`)
  }
  return failure(
    'ERR_ADDON_MISSING',
    `The package ${ADDON_PACKAGE}, which has torch-learner's compiled addon for this platform, is not installed: optional ` +
      'dependencies were left out, or the lockfile was made on another platform',
    `${installOptional(`${ADDON_PACKAGE}@${packageVersion()}`)}; ${setup()} does without`,
  )
}

function addonBelow(folder: string): string | null {
  return addonIn(join(folder, 'build', 'Release')) ?? addonIn(join(folder, 'prebuilds', PLATFORM))
}

function addonIn(folder: string): string | null {
  try {
    const found = readdirSync(folder, { withFileTypes: true }).find(
      entry => entry.name.endsWith('.node') && !entry.isDirectory(),
    )
    return found === undefined ? null : join(folder, found.name)
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return null
    throw unreadable(folder, error)
  }
}

function unreadable(path: string, cause?: unknown) {
  const why = obstacle(path) ?? `can't be read: ${messageOf(cause)}`
  return failure('ERR_ADDON_LOAD', `${path} ${why}`, 'Give this user the right to read it, or run as its owner', {
    cause,
  })
}

/** The addon of the installed platform package, or null. */
function platformPackage(): string | null {
  let manifest: string
  try {
    manifest = createRequire(import.meta.url).resolve(`${ADDON_PACKAGE}/package.json`)
  } catch (error) {
    if (codeOf(error) === 'MODULE_NOT_FOUND') return null
    throw error
  }
  const { version }: { version: string } = JSON.parse(readFileSync(manifest, 'utf8'))
  if (version !== packageVersion()) {
    throw failure(
      'ERR_ADDON_LOAD',
      `${dirname(manifest)} is ${ADDON_PACKAGE} ${version}, and torch-learner ${packageVersion()} needs ${packageVersion()}`,
      `Run \`npm install ${ADDON_PACKAGE}@${packageVersion()}\``,
    )
  }
  const addon = addonIn(dirname(manifest))
  if (addon) return addon
  throw failure('ERR_ADDON_LOAD', `${dirname(manifest)} has no addon in it`, reinstall(dirname(manifest)))
}

/**
 * What lies beside an addon.
 *
 * @throws TorchLearnerError `ERR_ADDON_LOAD`
 */
export function filesBeside(addon: string, place: AddonPlace): AddonFiles {
  const folder = dirname(addon)
  const preload = join(folder, PRELOAD)
  const stampFile = join(folder, STAMP)
  for (const file of [preload, stampFile]) {
    const why = obstacle(file)
    if (why === null) continue
    if (why !== ABSENT) throw unreadable(file)
    const message = `${addon} is the rest of a build that did not finish: ${file} is missing`
    throw failure('ERR_ADDON_LOAD', message, again({ addon, place }))
  }
  return { addon, preload, stamp: readStamp(stampFile, { addon, place }), place }
}

/** What helps against a damaged addon, by where it came from. */
export function again({ addon, place }: Pick<AddonFiles, 'addon' | 'place'>): string {
  if (place === 'variable') return 'Set TORCH_LEARNER_PREBUILD to the folder of a build that is whole, or unset it'
  if (place === 'package') return reinstall(dirname(addon))
  return `Run ${build()}`
}

function readStamp(file: string, files: Pick<AddonFiles, 'addon' | 'place'>): AddonStamp {
  let stamp: AddonStamp
  try {
    stamp = JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw failure('ERR_ADDON_LOAD', `${file} is damaged: ${messageOf(cause)}`, again(files), { cause })
  }
  if (typeof stamp?.libtorch === 'string') return stamp
  throw failure('ERR_ADDON_LOAD', `${file} does not say which libtorch the addon is for`, again(files))
}

/**
 * Compares the addon's files with what the build recorded, and looks at their heads and tails: a cut-off library loads, and
 * the process dies of it.
 *
 * @throws TorchLearnerError `ERR_ADDON_LOAD`
 */
export function refuseDamagedAddon(files: AddonFiles): void {
  const wrong =
    (files.stamp.files && wrongSize(dirname(files.addon), files.stamp.files)) ??
    damageOf(files.addon) ??
    damageOf(files.preload)
  if (wrong) throw failure('ERR_ADDON_LOAD', `The addon is damaged: ${wrong}`, again(files))
}

/** A libtorch, and what led to it. */
export interface LocatedLibtorch {
  readonly libtorch: Libtorch
  readonly place: LibtorchPlace
}

/**
 * Finds the libtorch that fits the addon, without loading anything.
 *
 * @throws TorchLearnerError `ERR_LIBTORCH_MISSING` when there is none, `ERR_LIBTORCH_VERSION` when there is one of another
 * version
 */
export function findFitting(stamp: AddonStamp): LocatedLibtorch {
  const version = baseVersion(stamp.libtorch)
  const found = findLibtorch({ version, cuda: stamp.cuda, builtWith: stamp.root })
  if (found.libtorch && found.place) return { libtorch: found.libtorch, place: found.place }

  const list = found.steps.map(({ step, reason }) => `${step}: ${reason}`)
  const remedy = found.explicit
    ? `Set LIBTORCH to a folder with lib/ of libtorch ${version}, or unset it`
    : `Run ${setup()}, which fetches it, or set LIBTORCH to a folder with lib/ of libtorch ${version}`
  throw found.mismatch
    ? failure('ERR_LIBTORCH_VERSION', `The addon needs libtorch ${version}, and another version was found`, remedy, {
        list,
      })
    : failure('ERR_LIBTORCH_MISSING', `libtorch ${version}, which the addon needs, was not found`, remedy, { list })
}

/** {@link findFitting} without the place. */
export const locateLibtorch = (stamp: AddonStamp): Libtorch => findFitting(stamp).libtorch

/** What helps against a damaged libtorch, by where it is. */
export function mendLibtorch({ libtorch, place }: LocatedLibtorch): string {
  if (place === 'LIBTORCH')
    return `Set LIBTORCH to a libtorch ${baseVersion(libtorch.version)} that is whole, or unset it`
  if (place === 'platform package') return reinstall(libtorch.root)
  if (place === 'cache') return `Delete ${libtorch.root} and run ${setup()}`
  return `Put a whole libtorch in ${libtorch.root}, or delete that and run ${setup()}`
}
