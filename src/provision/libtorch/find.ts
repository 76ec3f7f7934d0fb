// Where a usable libtorch is on this machine. No network and no writing: what provides and the loader
// (src/native/load.ts) both look through this file, so that they can't disagree.
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { hasCode } from '../../check/index.js'
import { ABSENT, obstacle } from '../obstacle.js'
import { wrongSize } from '../records.js'
import { libtorchRecords, readStamp, STAMP } from './records.js'
import { baseVersion, PLATFORM, PLATFORM_PACKAGE, REQUIRED_LIBRARIES, VERSION } from './release.js'

/** A libtorch on disk. */
export interface Libtorch {
  ok: true
  root: string
  lib: string
  /** null: libraries only, good for running and not for building */
  include: string | null
  /** as the folder says it, `2.13.0+cpu` */
  version: string
  cuda: boolean
}

export type Inspection = Libtorch | { ok: false; reason: string }

/** A place that was looked at, and why it didn't serve. */
export interface Step {
  step: string
  reason: string
}

export interface FindOptions {
  env?: NodeJS.ProcessEnv
  /** exactly this release, `2.13.0`; a `+cpu` after it doesn't count */
  version?: string | undefined
  /** must have the CUDA libraries */
  cuda?: boolean | undefined
  /** must have headers to build with */
  headers?: boolean | undefined
  /** a last place to look: where the addon's build found it */
  builtWith?: string | null | undefined
}

/** Where a libtorch is looked for, in this order. */
export type LibtorchPlace = 'LIBTORCH' | 'platform package' | 'cache' | 'the libtorch that the addon was built with'

export interface Found {
  libtorch: Libtorch | null
  /** Where it was; null without one. */
  place: LibtorchPlace | null
  /** LIBTORCH is set: no other place was looked at */
  explicit: boolean
  /** one was there in another version */
  mismatch: boolean
  steps: Step[]
}

/** The folder that this package keeps downloads in: TORCH_LEARNER_CACHE, else `torch-learner` in the XDG cache. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env.TORCH_LEARNER_CACHE) return resolve(env.TORCH_LEARNER_CACHE)
  return join(env.XDG_CACHE_HOME ? resolve(env.XDG_CACHE_HOME) : join(homedir(), '.cache'), 'torch-learner')
}

/** The folder of the libtorch that is unpacked after a download. */
export const cachedLibtorch = (env: NodeJS.ProcessEnv = process.env): string =>
  join(cacheFolder(env), `libtorch-${VERSION}-cpu-${PLATFORM}`)

/** A distribution keeps libraries under the name of the machine. */
const LIBRARY_FOLDERS = ['lib', 'lib/x86_64-linux-gnu', 'lib/aarch64-linux-gnu', 'lib64']

/**
 * What is in a folder that should be a libtorch.
 * @param root folder with lib/ (and include/, which only building needs)
 * @param options `stamped`: unpacked by us, and whole
 */
export function inspect(root: string, { stamped = false }: { stamped?: boolean } = {}): Inspection {
  const hidden = [root, join(root, 'lib'), join(root, STAMP)].find(path => ![null, ABSENT].includes(obstacle(path)))
  if (hidden) return { ok: false, reason: `${hidden} ${obstacle(hidden)}` }
  if (!existsSync(root)) return { ok: false, reason: `${root} ${ABSENT}` }
  const lib = LIBRARY_FOLDERS.map(folder => join(root, folder)).find(folder =>
    REQUIRED_LIBRARIES.every(library => existsSync(join(folder, library))),
  )
  if (!lib) return { ok: false, reason: `${root} has no lib/ with ${REQUIRED_LIBRARIES.join(' and ')}` }
  const stamp = readStamp(root)
  if (!stamp && stamped) return { ok: false, reason: `${root} is not complete: ${STAMP} is missing or damaged` }
  const damaged = wrongSize(root, libtorchRecords(root) ?? {})
  if (damaged) return { ok: false, reason: `${root} is not complete: ${damaged}` }
  const version = stamp?.version ?? readVersion(root)
  if (!version) return { ok: false, reason: `nothing in ${root} says which version it is` }
  const include = join(root, 'include')
  const hasHeaders = existsSync(join(include, 'ATen', 'ATen.h'))
  const cuda = existsSync(join(lib, 'libtorch_cuda.so'))
  return { ok: true, root, lib, include: hasHeaders ? include : null, version, cuda }
}

// Read from files: asking the library itself would mean loading it, and the wrong one may hang or crash.
const VERSION_FILES: readonly [file: string, pattern: RegExp][] = [
  ['include/torch/headeronly/version.h', /TORCH_VERSION\s*\\?\s*"([^"]+)"/],
  ['include/torch/csrc/api/include/torch/version.h', /TORCH_VERSION\s*\\?\s*"([^"]+)"/],
  ['build-version', /^\s*(\d\S*)/],
  ['version.py', /__version__\s*=\s*['"]([^'"]+)/],
  ['package.json', /"version"\s*:\s*"([^"]+)"/],
]

function readVersion(root: string): string | null {
  for (const [file, pattern] of VERSION_FILES) {
    const path = join(root, file)
    const version = existsSync(path) ? pattern.exec(readFileSync(path, 'utf8'))?.[1] : undefined
    if (version) return version
  }
  return null
}

/** The folder of the installed platform package, or null. */
function platformPackage(): string | null {
  const manifest = `${PLATFORM_PACKAGE}/package.json`
  try {
    return dirname(createRequire(import.meta.url).resolve(manifest))
  } catch (error) {
    if (hasCode(error, 'MODULE_NOT_FOUND')) return null
    throw error
  }
}

/**
 * Looks at every local place in order. LIBTORCH is the user's own word: when it is set and doesn't fit, nothing else
 * is taken in its stead.
 */
export function findLibtorch({
  env = process.env,
  version,
  cuda = false,
  headers = false,
  builtWith,
}: FindOptions = {}): Found {
  const steps: Step[] = []
  let mismatch = false

  const fits = (step: string, root: string): Libtorch | undefined => {
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
    return { libtorch, place: libtorch && 'LIBTORCH', explicit: true, mismatch, steps }
  }
  steps.push({ step: 'LIBTORCH', reason: 'not set' })

  const installed = platformPackage()
  if (!installed) steps.push({ step: 'platform package', reason: `${PLATFORM_PACKAGE} is not installed` })
  const places: [step: LibtorchPlace, root: string | null | undefined][] = [
    ['platform package', installed],
    ['cache', cachedLibtorch(env)],
    ['the libtorch that the addon was built with', builtWith],
  ]
  for (const [step, root] of places) {
    const libtorch = root ? fits(step, root) : undefined
    if (libtorch) return { libtorch, place: step, explicit: false, mismatch: false, steps }
  }
  return { libtorch: null, place: null, explicit: false, mismatch, steps }
}
