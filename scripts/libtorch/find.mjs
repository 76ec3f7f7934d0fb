// @ts-check
// Where a usable libtorch is on this machine. No network and no writing: the installer and the loader
// (src/native/load.ts) both look through this file, so that they can't disagree.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { isSyntaxError } from '../errors.mjs'
import { baseVersion, PLATFORM, PLATFORM_PACKAGE, REQUIRED_LIBRARIES, VERSION } from './release.mjs'

/** Written last into an unpacked libtorch; without it, a folder in the cache is not used. */
export const STAMP = 'torch-learner.json'

/**
 * The folder that this package keeps downloads in: TORCH_LEARNER_CACHE, else `torch-learner` in the XDG cache.
 * @param {NodeJS.ProcessEnv} [env]
 */
export function cacheFolder(env = process.env) {
  if (env.TORCH_LEARNER_CACHE) return resolve(env.TORCH_LEARNER_CACHE)
  return join(env.XDG_CACHE_HOME ? resolve(env.XDG_CACHE_HOME) : join(homedir(), '.cache'), 'torch-learner')
}

/** The folder of the libtorch that the installer unpacks. @param {NodeJS.ProcessEnv} [env] */
export const cachedLibtorch = (env = process.env) => join(cacheFolder(env), `libtorch-${VERSION}-cpu-${PLATFORM}`)

/** A distribution keeps libraries under the name of the machine. */
const LIBRARY_FOLDERS = ['lib', 'lib/x86_64-linux-gnu', 'lib/aarch64-linux-gnu', 'lib64']

/**
 * What is in a folder that should be a libtorch.
 * @param {string} root folder with lib/ (and include/, which only building needs)
 * @param {{ stamped?: boolean }} [options] `stamped`: unpacked by us, and whole
 * @returns {import('./find.mjs').Inspection}
 */
export function inspect(root, { stamped = false } = {}) {
  if (!existsSync(root)) return { ok: false, reason: `${root} does not exist` }
  const lib = LIBRARY_FOLDERS.map(folder => join(root, folder)).find(folder =>
    REQUIRED_LIBRARIES.every(library => existsSync(join(folder, library))),
  )
  if (!lib) return { ok: false, reason: `${root} has no lib/ with ${REQUIRED_LIBRARIES.join(' and ')}` }
  const stamp = readStamp(root)
  if (!stamp && stamped) return { ok: false, reason: `${root} is not complete: ${STAMP} is missing or damaged` }
  const damaged = stamp && damagedFile(root, stamp)
  if (damaged) return { ok: false, reason: `${root} is not complete: the size of ${damaged} is wrong` }
  const version = stamp?.version ?? readVersion(root)
  if (!version) return { ok: false, reason: `nothing in ${root} says which version it is` }
  const include = join(root, 'include')
  const hasHeaders = existsSync(join(include, 'ATen', 'ATen.h'))
  const cuda = existsSync(join(lib, 'libtorch_cuda.so'))
  return { ok: true, root, lib, include: hasHeaders ? include : null, version, cuda }
}

/** @param {string} root @returns {{ version: string, files: Record<string, number> } | null} */
function readStamp(root) {
  const file = join(root, STAMP)
  if (!existsSync(file)) return null
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    if (isSyntaxError(error)) return null
    throw error
  }
}

/** The first file whose size isn't what the installer wrote. @param {string} root @param {{ files: Record<string, number> }} stamp */
function damagedFile(root, stamp) {
  return Object.entries(stamp.files).find(
    ([name, size]) => statSync(join(root, name), { throwIfNoEntry: false })?.size !== size,
  )?.[0]
}

// Read from files: asking the library itself would mean loading it, and the wrong one may hang or crash.
const VERSION_FILES = [
  ['include/torch/headeronly/version.h', /TORCH_VERSION\s*\\?\s*"([^"]+)"/],
  ['include/torch/csrc/api/include/torch/version.h', /TORCH_VERSION\s*\\?\s*"([^"]+)"/],
  ['build-version', /^\s*(\d\S*)/],
  ['version.py', /__version__\s*=\s*['"]([^'"]+)/],
  ['package.json', /"version"\s*:\s*"([^"]+)"/],
]

/** @param {string} root @returns {string | null} */
function readVersion(root) {
  for (const [file, pattern] of /** @type {[string, RegExp][]} */ (VERSION_FILES)) {
    const path = join(root, file)
    const version = existsSync(path) ? pattern.exec(readFileSync(path, 'utf8'))?.[1] : undefined
    if (version) return version
  }
  return null
}

/** The folder of the installed platform package, or null. */
function platformPackage() {
  const manifest = `${PLATFORM_PACKAGE}/package.json`
  try {
    return dirname(createRequire(import.meta.url).resolve(manifest))
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'MODULE_NOT_FOUND') return null
    throw error
  }
}

/**
 * Looks at every local place in order. LIBTORCH is the user's own word: when it is set and doesn't fit, nothing else
 * is taken in its stead.
 * @param {import('./find.mjs').FindOptions} [options]
 * @returns {import('./find.mjs').Found}
 */
export function findLibtorch({ env = process.env, version, cuda = false, headers = false, builtWith } = {}) {
  /** @type {import('./find.mjs').Step[]} */
  const steps = []
  let mismatch = false

  /** @param {string} step @param {string} root */
  const fits = (step, root) => {
    const seen = inspect(root, { stamped: step === 'cache' })
    if (!seen.ok) return void steps.push({ step, reason: seen.reason })
    if (version && baseVersion(seen.version) !== version) {
      mismatch = true
      return void steps.push({ step, reason: `${root} is libtorch ${seen.version}, not ${version}` })
    }
    if (cuda && !seen.cuda) return void steps.push({ step, reason: `${root} has no libtorch_cuda.so` })
    if (headers && !seen.include) return void steps.push({ step, reason: `${root} has no headers in include/` })
    return seen
  }

  if (env.LIBTORCH) {
    const libtorch = fits('LIBTORCH', resolve(env.LIBTORCH)) ?? null
    return { libtorch, explicit: true, mismatch, steps }
  }
  steps.push({ step: 'LIBTORCH', reason: 'not set' })

  const installed = platformPackage()
  if (!installed) steps.push({ step: 'platform package', reason: `${PLATFORM_PACKAGE} is not installed` })
  /** @type {[string, string | null | undefined][]} */
  const places = [
    ['platform package', installed],
    ['cache', cachedLibtorch(env)],
    ['the libtorch that the addon was built with', builtWith],
  ]
  for (const [step, root] of places) {
    const libtorch = root ? fits(step, root) : undefined
    if (libtorch) return { libtorch, explicit: false, mismatch: false, steps }
  }
  return { libtorch: null, explicit: false, mismatch, steps }
}
