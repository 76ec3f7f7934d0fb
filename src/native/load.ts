import { readdirSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { failure, messageOf } from '../check/index.js'
import { baseVersion, type Libtorch, refuseMusl } from '../provision/index.js'
import type { NativeAddon } from './addon.js'
import { type Claims, withClaim } from './claim.js'
import { addonInProcess } from './copies.js'
import { damageOf } from './elf.js'
import { loadedLibraries } from './loaded.js'
import {
  type AddonFiles,
  again,
  findFitting,
  type LocatedLibtorch,
  locateAddon,
  mendLibtorch,
  refuseDamagedAddon,
} from './locate.js'
import { type Environment, openMpDefaults, withOpenMpDefaults } from './openmp.js'
import { build } from './remedies.js'
import type { TrialPlan } from './trial.js'
import { refuseDeadly } from './tried.js'

interface PreloadModule extends Environment {
  preload(path: string): void
}

/** Opened in this order, so that each finds what it needs already there. */
const LIBRARIES = ['libc10.so', 'libtorch_cpu.so']
const CUDA_LIBRARIES = ['libc10_cuda.so', 'libtorch_cuda.so']

/**
 * Loads the addon with the one libtorch that fits it. Every file is found, compared with what was recorded of it, and every
 * version compared, before anything is opened: ld.so left to itself takes whatever libtorch the system has, and the wrong one
 * hangs instead of failing; damaged files kill the process.
 *
 * @throws TorchLearnerError `ERR_LIBC`, `ERR_ADDON_MISSING`, `ERR_ADDON_LOAD`, `ERR_TWO_COPIES`, `ERR_LIBTORCH_MISSING` or
 * `ERR_LIBTORCH_VERSION`, each with the command that helps
 */
export function loadAddon(): NativeAddon {
  refuseMusl()
  refuseRemovedFolder()
  const own = locateAddon()
  refuseDamagedAddon(own)
  const loaded = addonInProcess(own)
  if (loaded && loaded !== own) return requireAddon(loaded)

  const located = findFitting(own.stamp)
  refuseSecondLibtorch(located.libtorch)
  const plan = planOf(own, located)
  const isBuiltHere = own.stamp.root === located.libtorch.root
  if (!loaded && !isBuiltHere) refuseDeadly(plan, again(own))
  return open(own, located, plan)
}

/** What is opened for an addon and a libtorch; their files are looked at. */
export function planOf(files: AddonFiles, located: LocatedLibtorch): TrialPlan {
  const { libtorch } = located
  const names = files.stamp.cuda ? [...LIBRARIES, ...CUDA_LIBRARIES] : LIBRARIES
  const libraries = [...openMpLibrary(libtorch), ...names.map(name => join(libtorch.lib, name))]
  for (const path of libraries) {
    const damage = damageOf(path)
    if (damage) throw wouldNotLoad(damage, located)
  }
  return { preload: files.preload, libraries, addon: files.addon, defaults: openMpDefaults() }
}

function open(files: AddonFiles, located: LocatedLibtorch, plan: TrialPlan): NativeAddon {
  const preload = openPreload(files)
  return withClaim(preload, files.addon, () => {
    // another thread may have loaded another copy since we looked
    const loaded = addonInProcess(files)
    if (loaded && loaded !== files) return requireAddon(loaded)
    openLibtorch(preload, located, plan)
    const addon = requireAddon(files)
    refuseLie(addon, files, located.libtorch)
    return addon
  })
}

function openPreload(files: AddonFiles): PreloadModule & Claims {
  const module: { exports: PreloadModule & Claims } = { exports: Object.create(null) }
  try {
    process.dlopen(module, files.preload)
  } catch (cause) {
    throw failure('ERR_ADDON_LOAD', `${files.preload} would not load: ${messageOf(cause)}`, again(files), { cause })
  }
  return module.exports
}

/** MKL ends the process, without a word to JavaScript, where it is loaded without a working directory. */
function refuseRemovedFolder(): void {
  try {
    process.cwd()
  } catch (cause) {
    const message =
      "The working directory of this process isn't there any more, and libtorch can't be loaded without one"
    throw failure('ERR_ADDON_LOAD', message, 'Start the process in a folder that exists', { cause })
  }
}

function openLibtorch(preload: PreloadModule, located: LocatedLibtorch, plan: TrialPlan): void {
  try {
    withOpenMpDefaults(preload, () => {
      for (const path of plan.libraries) preload.preload(path)
    })
  } catch (cause) {
    throw wouldNotLoad(messageOf(cause), located, cause)
  }
}

function wouldNotLoad(why: string, located: LocatedLibtorch, cause?: unknown) {
  const { version, root } = located.libtorch
  return failure(
    'ERR_ADDON_LOAD',
    `libtorch ${version} is in ${root} and would not load: ${why}`,
    `If a library of the system is missing, install it; otherwise the folder is damaged. ${mendLibtorch(located)}`,
    cause === undefined ? {} : { cause },
  )
}

/** The libgomp beside libtorch, if there is one: it must be the one that everything in the process uses. */
function openMpLibrary(libtorch: Libtorch): string[] {
  const name = readdirSync(libtorch.lib).find(file => /^libgomp.*\.so/.test(file))
  return name === undefined ? [] : [join(libtorch.lib, name)]
}

function requireAddon(files: AddonFiles): NativeAddon {
  try {
    return createRequire(import.meta.url)(files.addon)
  } catch (cause) {
    throw failure(
      'ERR_ADDON_LOAD',
      `${files.addon} is there and would not load: ${messageOf(cause)}`,
      files.place === 'package' ? `${again(files)}, or build it for this machine with ${build()}` : again(files),
      { cause },
    )
  }
}

function refuseLie(addon: NativeAddon, files: AddonFiles, libtorch: Libtorch): void {
  const built = addon.version().torch
  if (baseVersion(built) === baseVersion(libtorch.version)) return
  const message = `${files.addon} was compiled for libtorch ${built}, although the build says ${files.stamp.libtorch}`
  throw failure('ERR_LIBTORCH_VERSION', message, again(files))
}

/** Two libtorch in one process share symbols and nothing else; whoever came first stays. */
function refuseSecondLibtorch(libtorch: Libtorch): void {
  const loaded = loadedLibraries('libtorch_cpu.so')
  if (loaded.length === 0) return
  const ours = realpathSync(join(libtorch.lib, 'libtorch_cpu.so'))
  const other = loaded.find(({ path, isGone }) => path !== ours || isGone)
  if (other === undefined) return
  throw failure(
    'ERR_LIBTORCH_VERSION',
    `This process has already loaded ${other.path}${other.isGone ? ', which has been replaced since' : ''}, so that ${ours} ` +
      "can't be loaded beside it",
    'Use one of the two packages in a process of its own, or set LIBTORCH to make both use the same libtorch',
  )
}
