import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { messageOf, TorchLearnerError } from '../check/index.js'
import { baseVersion, type Libtorch } from '../provision/index.js'
import type { NativeAddon } from './addon.js'
import { refuseTruncated } from './elf.js'
import { locateAddon, locateLibtorch } from './locate.js'
import { type Environment, withOpenMpDefaults } from './openmp.js'

interface PreloadModule extends Environment {
  preload(path: string): void
}

/** Opened in this order, so that each finds what it needs already there. */
const LIBRARIES = ['libc10.so', 'libtorch_cpu.so']
const CUDA_LIBRARIES = ['libc10_cuda.so', 'libtorch_cuda.so']

/**
 * Loads the addon with the one libtorch that fits it. Every file is found and every version compared before anything
 * is opened: ld.so left to itself takes whatever libtorch the system has, and the wrong one hangs instead of failing.
 *
 * @throws TorchLearnerError `ERR_ADDON_MISSING`, `ERR_ADDON_LOAD`, `ERR_LIBTORCH_MISSING` or `ERR_LIBTORCH_VERSION`, each
 * with the command that fixes it
 */
export function loadAddon(): NativeAddon {
  const files = locateAddon()
  const libtorch = locateLibtorch(files.stamp)
  refuseSecondLibtorch(libtorch)
  openLibtorch(files.preload, libtorch, files.stamp.cuda)

  const addon = requireAddon(files.addon)
  const built = addon.version().torch
  if (baseVersion(built) !== baseVersion(libtorch.version)) {
    throw new TorchLearnerError(
      'ERR_LIBTORCH_VERSION',
      `${files.addon} was compiled for libtorch ${built}, although the build says ${files.stamp.libtorch}. ` +
        'Run `npm rebuild torch-learner`',
    )
  }
  return addon
}

function openLibtorch(preloadPath: string, libtorch: Libtorch, cuda: boolean): void {
  const module: { exports: PreloadModule } = { exports: Object.create(null) }
  try {
    process.dlopen(module, preloadPath)
    const { exports } = module
    const names = cuda ? [...LIBRARIES, ...CUDA_LIBRARIES] : LIBRARIES
    const paths = [...openMpLibrary(libtorch), ...names.map(name => join(libtorch.lib, name))]
    for (const path of paths) refuseTruncated(path)
    withOpenMpDefaults(exports, () => {
      for (const path of paths) exports.preload(path)
    })
  } catch (cause) {
    throw new TorchLearnerError(
      'ERR_ADDON_LOAD',
      `libtorch ${libtorch.version} is in ${libtorch.root} and would not load: ${messageOf(cause)}. ` +
        'If the folder is damaged, delete it and run `npm rebuild torch-learner`; if a library of the system is missing, install it',
      { cause },
    )
  }
}

/** The libgomp beside libtorch, if there is one: it must be the one that everything in the process uses. */
function openMpLibrary(libtorch: Libtorch): string[] {
  const name = readdirSync(libtorch.lib).find(file => /^libgomp.*\.so/.test(file))
  return name === undefined ? [] : [join(libtorch.lib, name)]
}

function requireAddon(path: string): NativeAddon {
  try {
    return createRequire(import.meta.url)(path)
  } catch (cause) {
    throw new TorchLearnerError(
      'ERR_ADDON_LOAD',
      `${path} is there and would not load: ${messageOf(cause)}. Build it again for this machine: \`npm rebuild torch-learner\` ` +
        '(in a checkout of the project: `npm run build:native`)',
      { cause },
    )
  }
}

/** Two libtorch in one process share symbols and nothing else; whoever came first stays. */
function refuseSecondLibtorch(libtorch: Libtorch): void {
  const maps = '/proc/self/maps'
  if (!existsSync(maps)) return
  const ours = realpathSync(join(libtorch.lib, 'libtorch_cpu.so'))
  const loaded = readFileSync(maps, 'utf8').match(/\/.*\/libtorch_cpu\.so.*$/gm) ?? []
  const other = loaded.find(path => path !== ours)
  if (other === undefined) return
  throw new TorchLearnerError(
    'ERR_LIBTORCH_VERSION',
    `This process has already loaded ${other}, so that ${ours} can't be loaded beside it. ` +
      'Use one of the two packages in a process of its own, or set LIBTORCH to make both use the same libtorch',
  )
}
