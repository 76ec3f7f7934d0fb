// @ts-check
// The manifests of the packages as they are published. What they share with the checkout's comes from there.
import { join } from 'node:path'
import { PLATFORM, ROOT, readJson } from './files.mjs'

/** What the checkout says. */
export const CHECKOUT = readJson(join(ROOT, 'package.json'))

/** Counts the repackings of one libtorch: 2.13.0-1, 2.13.0-2, ... Raise it where the package changes and libtorch doesn't. */
const REPACK = 1

export const ADDON_PACKAGE = `@torch-learner/${PLATFORM}`
export const LIBTORCH_PACKAGE = `@torch-learner/libtorch-cpu-${PLATFORM}`

/** @param {string} libtorch its version, without what follows a `+` */
export const libtorchVersion = libtorch => `${libtorch}-${REPACK}`

/**
 * Of the main package: without what only a checkout needs, with the platform packages. Exact versions: an addon fits the
 * JavaScript of its own release and the libtorch that it was compiled for, and no other.
 * @param {Record<string, string>} optionalDependencies
 */
export function mainManifest(optionalDependencies) {
  const { scripts: _scripts, devDependencies: _dev, ava: _ava, ...kept } = CHECKOUT
  return { ...kept, optionalDependencies }
}

/** For whom a binary is. libc only where there are several. */
const platform = () => ({
  os: [process.platform],
  cpu: [process.arch],
  ...(process.platform === 'linux' ? { libc: ['glibc'] } : {}),
})

const about = () => ({
  ...(CHECKOUT.repository ? { repository: CHECKOUT.repository } : {}),
  engines: CHECKOUT.engines,
  // Yarn's Plug'n'Play keeps packages zipped, and the system's loader opens no zip files
  preferUnplugged: true,
  ...platform(),
})

/** @param {string[]} files what it holds */
export function addonManifest(files) {
  return {
    name: ADDON_PACKAGE,
    version: CHECKOUT.version,
    description: `The native addon of torch-learner for ${PLATFORM}`,
    license: CHECKOUT.license,
    exports: { './package.json': './package.json' },
    files,
    ...about(),
  }
}

/** @param {string} libtorch its version @param {string[]} files what it holds */
export function libtorchManifest(libtorch, files) {
  return {
    name: LIBTORCH_PACKAGE,
    version: libtorchVersion(libtorch),
    description: `The CPU libraries of PyTorch ${libtorch} for torch-learner on ${PLATFORM}`,
    license: 'SEE LICENSE IN licences',
    exports: { './package.json': './package.json' },
    files,
    ...about(),
  }
}
