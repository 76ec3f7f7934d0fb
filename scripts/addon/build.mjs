// @ts-check
// Compiles binding/ through cmake-js, and knows when that is not necessary.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { withLock } from '../libtorch/lock.mjs'
import { baseVersion } from '../libtorch/release.mjs'
import { codecAdvice, missingTools, parallelJobs } from './toolchain.mjs'

/** @import { Libtorch } from '../libtorch/find.mjs' */
/** @typedef {{ libtorch: string, root: string, cuda: boolean, codecs?: string[], sources: string }} BuildStamp */

const require = createRequire(import.meta.url)

/** The package's own folder. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** What the build makes, and beside it the stamp that says of what: the loader reads it before it loads anything. */
export const ADDON = join(ROOT, 'build', 'Release', 'torch_learner.node')
export const ADDON_STAMP = join(dirname(ADDON), 'torch_learner.json')

/** Hash of everything that goes into the addon, apart from the compiler. @param {Libtorch} libtorch @param {string[]} defines */
function contentHash(libtorch, defines) {
  const hash = createHash('sha256')
  const binding = join(ROOT, 'binding')
  const sources = readdirSync(binding, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath ?? entry.path, entry.name))
    .sort()
  for (const file of [join(ROOT, 'CMakeLists.txt'), ...sources]) {
    hash
      .update(`${file.slice(ROOT.length)}\0`)
      .update(readFileSync(file))
      .update('\0')
  }
  const inputs = [
    baseVersion(libtorch.version),
    require('node-addon-api/package.json').version,
    process.arch,
    ...defines,
  ]
  return hash.update(inputs.join('\0')).digest('hex')
}

/** @returns {BuildStamp | null} */
export function readAddonStamp() {
  if (!existsSync(ADDON) || !existsSync(ADDON_STAMP)) return null
  return JSON.parse(readFileSync(ADDON_STAMP, 'utf8'))
}

/** @param {Libtorch} libtorch */
function cmakeDefines(libtorch) {
  return [
    `TORCH_LEARNER_STATIC_CODECS=${isOn('TORCH_LEARNER_STATIC_CODECS') ? 'ON' : 'OFF'}`,
    `TORCH_LEARNER_SPNG_SOURCE=${process.env.TORCH_LEARNER_SPNG_SOURCE ?? ''}`,
    `TORCH_LEARNER_CUDA=${isOn('TORCH_LEARNER_CUDA') && libtorch.cuda ? 'ON' : 'OFF'}`,
  ]
}

/** @param {string} name of an environment variable */
const isOn = name => /^(1|on|true|yes)$/i.test(process.env[name] ?? '')

/** Is the addon that is there made of the present sources and of this libtorch? @param {Libtorch} libtorch */
export const isUpToDate = libtorch => readAddonStamp()?.sources === contentHash(libtorch, cmakeDefines(libtorch))

/**
 * Does the addon that is there decode all that it could? If not, the codecs may have been installed since.
 * @param {BuildStamp} stamp
 */
export const lacksCodecs = ({ codecs = [] }) => codecAdvice(codecs) !== null

/**
 * Compiles what has changed and writes the stamp.
 * @param {Libtorch} libtorch
 * @param {string} [target] of CMakeLists.txt, to be built besides
 */
export async function buildAddon(libtorch, target) {
  const missing = missingTools()
  if (missing) throw new Error(missing)
  if (!libtorch.include) throw new Error(`${libtorch.root} has no headers in include/, so nothing can be built with it`)

  mkdirSync(buildFolder, { recursive: true })
  const onWait = () => console.error('torch-learner: waiting for another build in this folder')
  await withLock(join(buildFolder, 'build.lock'), () => compile(libtorch, target), { onWait })
}

/** @param {Libtorch} libtorch @param {string} [target] */
async function compile(libtorch, target) {
  const defines = cmakeDefines(libtorch)
  const sources = contentHash(libtorch, defines)
  // Until the build has succeeded, the stamp vouches for no sources; the addon of last time stays usable meanwhile
  const before = readAddonStamp()
  if (before) writeStamp({ ...before, sources: '' })
  const args = [
    ...defines,
    `TORCH_LEARNER_LIBTORCH=${libtorch.root}`,
    `TORCH_LEARNER_LIBTORCH_LIB=${libtorch.lib}`,
    `TORCH_LEARNER_LIBTORCH_INCLUDE=${libtorch.include}`,
    `TORCH_LEARNER_NODE_ADDON_API=${require('node-addon-api').include_dir}`,
  ].map(define => `--CD${define}`)
  // `build` alone configures only once and would keep the libtorch of last time
  if (needsConfigure(args)) {
    await cmakeJs(['configure', ...args])
    writeFileSync(configuredFile, args.join('\n'))
  }
  const build = ['build', '--parallel', String(parallelJobs(availableParallelism(), totalmem()))]
  await cmakeJs(build)

  const cuda = defines.includes('TORCH_LEARNER_CUDA=ON')
  const codecs = nativeCodecs()
  writeStamp({ libtorch: libtorch.version, root: libtorch.root, cuda, codecs, sources })
  const advice = codecAdvice(codecs)
  if (advice) console.warn(`torch-learner: ${advice}`)
  if (target) await cmakeJs([...build, '--target', target])
}

/** Which formats the addon decodes by itself besides BMP and the like. */
function nativeCodecs() {
  const found = /^TORCH_LEARNER_NATIVE_CODECS:INTERNAL=(.*)$/m.exec(readFileSync(cacheFile, 'utf8'))?.[1]
  return found ? found.split(';') : []
}

/** @param {BuildStamp} stamp */
const writeStamp = stamp => writeFileSync(ADDON_STAMP, `${JSON.stringify(stamp, null, 2)}\n`)

const buildFolder = join(ROOT, 'build')
const cacheFile = join(buildFolder, 'CMakeCache.txt')
const configuredFile = join(buildFolder, 'configured.txt')

/** @param {string[]} args */
function needsConfigure(args) {
  if (!existsSync(cacheFile)) return true
  const home = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(readFileSync(cacheFile, 'utf8'))?.[1]
  if (home !== undefined && join(home, '/') === join(ROOT, '/')) {
    // CMake looks again for what it has not found
    if (codecAdvice(nativeCodecs()) !== null) return true
    return !existsSync(configuredFile) || readFileSync(configuredFile, 'utf8') !== args.join('\n')
  }
  // CMake refuses a cache that was made elsewhere, as after a folder has been moved
  for (const name of ['CMakeCache.txt', 'CMakeFiles']) rmSync(join(buildFolder, name), { recursive: true, force: true })
  return true
}

/** @param {string[]} args @returns {Promise<void>} */
function cmakeJs(args) {
  const program = require.resolve('cmake-js/bin/cmake-js')
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args, '--config', 'Release', '--directory', ROOT], {
      stdio: 'inherit',
      cwd: ROOT,
    })
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(`cmake-js ${args[0]} ended with ${signal ?? `code ${code}`}: see its output above`))
    })
  })
}
