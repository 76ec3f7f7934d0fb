import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { TorchLearnerError } from '../check/index.js'
import { baseVersion, findLibtorch, type Libtorch, packageRoot } from '../provision/index.js'

const require = createRequire(import.meta.url)

/** The compiled addon with what the build wrote beside it. */
export interface AddonFiles {
  addon: string
  /** opens libtorch by full path, see binding/core/preload.c */
  preload: string
  stamp: AddonStamp
}

/** Of what the addon was built: libtorch's version, where it lay, and whether CUDA kernels are in it. */
export interface AddonStamp {
  libtorch: string
  root: string | null
  cuda: boolean
}

const REBUILD = 'Run `npm rebuild torch-learner` (in a checkout of the project: `npm run build:native`)'

/**
 * Finds the addon: build/Release, else prebuilds/ for this platform.
 *
 * @throws TorchLearnerError `ERR_ADDON_MISSING` when there is none, `ERR_ADDON_LOAD` when what the build writes beside it
 * is missing
 */
export function locateAddon(): AddonFiles {
  const addon = addonPath()
  const folder = dirname(addon)
  const preload = join(folder, 'torch_learner_preload.so')
  const stampFile = join(folder, 'torch_learner.json')
  for (const file of [preload, stampFile]) {
    if (existsSync(file)) continue
    throw new TorchLearnerError(
      'ERR_ADDON_LOAD',
      `${addon} is the rest of a build that did not finish: ${file} is missing. ${REBUILD}`,
    )
  }
  return { addon, preload, stamp: readStamp(stampFile) }
}

function addonPath(): string {
  const resolver: { path(folder: string): string } = require('node-gyp-build')
  try {
    return resolver.path(packageRoot())
  } catch (cause) {
    const platform = `${process.platform}-${process.arch}`
    throw new TorchLearnerError(
      'ERR_ADDON_MISSING',
      `The native addon of torch-learner is neither built nor prebuilt for ${platform}: its install script has not run ` +
        `(some package managers block install scripts, and --ignore-scripts does) or has failed. ${REBUILD}`,
      { cause },
    )
  }
}

function readStamp(file: string): AddonStamp {
  try {
    const stamp: AddonStamp = JSON.parse(readFileSync(file, 'utf8'))
    if (typeof stamp.libtorch === 'string') return stamp
  } catch (cause) {
    throw new TorchLearnerError('ERR_ADDON_LOAD', `${file} can't be read. ${REBUILD}`, { cause })
  }
  throw new TorchLearnerError('ERR_ADDON_LOAD', `${file} does not say which libtorch the addon is for. ${REBUILD}`)
}

/**
 * Finds the libtorch that fits the addon, without loading anything.
 *
 * @throws TorchLearnerError `ERR_LIBTORCH_MISSING` when there is none, `ERR_LIBTORCH_VERSION` when there is one of another
 * version
 */
export function locateLibtorch(stamp: AddonStamp): Libtorch {
  const version = baseVersion(stamp.libtorch)
  const found = findLibtorch({ version, cuda: stamp.cuda, builtWith: stamp.root })
  if (found.libtorch) return found.libtorch

  const list = found.steps.map(({ step, reason }) => `${step}: ${reason}`)
  const remedy = found.explicit
    ? `Set LIBTORCH to a folder with lib/ of libtorch ${version}, or unset it`
    : `Run \`npm rebuild torch-learner\`, which fetches it, or set LIBTORCH to a folder with lib/ of libtorch ${version}`
  throw found.mismatch
    ? new TorchLearnerError(
        'ERR_LIBTORCH_VERSION',
        `The addon needs libtorch ${version}, and another version was found. ${remedy}. Looked at:`,
        { list },
      )
    : new TorchLearnerError(
        'ERR_LIBTORCH_MISSING',
        `libtorch ${version}, which the addon needs, was not found. ${remedy}. Looked at:`,
        { list },
      )
}
