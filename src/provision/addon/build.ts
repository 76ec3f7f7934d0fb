// Compiles binding/ through cmake-js, and knows when that is not necessary.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import type { Libtorch } from '../libtorch/find.js'
import { baseVersion } from '../libtorch/release.js'
import { withLock } from '../lock.js'
import { packageRoot } from '../root.js'
import { codecAdvice, missingTools, parallelJobs } from './toolchain.js'

/** What the build writes beside the addon: the loader reads it before it loads anything. */
export interface BuildStamp {
  libtorch: string
  root: string | null
  cuda: boolean
  codecs?: string[]
  sources: string
}

const require = createRequire(import.meta.url)

const buildFolder = () => join(packageRoot(), 'build')

/** What the build makes. */
export const builtAddon = (): string => join(buildFolder(), 'Release', 'torch_learner.node')

/** Beside it, of what it is made. */
export const builtStamp = (): string => join(dirname(builtAddon()), 'torch_learner.json')

/** Hash of everything that goes into the addon, apart from the compiler. */
function contentHash(libtorch: Libtorch, defines: readonly string[]): string {
  const root = packageRoot()
  const hash = createHash('sha256')
  const binding = join(root, 'binding')
  const sources = readdirSync(binding, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath ?? entry.path, entry.name))
    .sort()
  for (const file of [join(root, 'CMakeLists.txt'), ...sources]) {
    hash
      .update(`${file.slice(root.length + 1)}\0`)
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

export function readAddonStamp(): BuildStamp | null {
  if (!existsSync(builtAddon()) || !existsSync(builtStamp())) return null
  return JSON.parse(readFileSync(builtStamp(), 'utf8'))
}

function cmakeDefines(libtorch: Libtorch): string[] {
  return [
    `TORCH_LEARNER_STATIC_CODECS=${isOn('TORCH_LEARNER_STATIC_CODECS') ? 'ON' : 'OFF'}`,
    `TORCH_LEARNER_SPNG_SOURCE=${process.env.TORCH_LEARNER_SPNG_SOURCE ?? ''}`,
    `TORCH_LEARNER_CUDA=${isOn('TORCH_LEARNER_CUDA') && libtorch.cuda ? 'ON' : 'OFF'}`,
  ]
}

/** @param name of an environment variable */
const isOn = (name: string) => /^(1|on|true|yes)$/i.test(process.env[name] ?? '')

/** Is the addon that is there made of the present sources and of this libtorch? */
export const isUpToDate = (libtorch: Libtorch): boolean =>
  readAddonStamp()?.sources === contentHash(libtorch, cmakeDefines(libtorch))

/** Does the addon that is there decode all that it could? If not, the codecs may have been installed since. */
export const lacksCodecs = ({ codecs = [] }: BuildStamp): boolean => codecAdvice(codecs) !== null

/**
 * Compiles what has changed and writes the stamp.
 *
 * @param target of CMakeLists.txt, to be built besides
 */
export async function buildAddon(libtorch: Libtorch, target?: string): Promise<void> {
  const missing = missingTools()
  if (missing) throw new Error(missing)
  if (!libtorch.include) throw new Error(`${libtorch.root} has no headers in include/, so nothing can be built with it`)

  mkdirSync(buildFolder(), { recursive: true })
  const onWait = () => console.error('torch-learner: waiting for another build in this folder')
  await withLock(join(buildFolder(), 'build.lock'), () => compile(libtorch, target), { onWait })
}

async function compile(libtorch: Libtorch, target?: string): Promise<void> {
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
    writeFileSync(configuredFile(), args.join('\n'))
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
function nativeCodecs(): string[] {
  const found = /^TORCH_LEARNER_NATIVE_CODECS:INTERNAL=(.*)$/m.exec(readFileSync(cacheFile(), 'utf8'))?.[1]
  return found ? found.split(';') : []
}

const writeStamp = (stamp: BuildStamp) => writeFileSync(builtStamp(), `${JSON.stringify(stamp, null, 2)}\n`)

const cacheFile = () => join(buildFolder(), 'CMakeCache.txt')
const configuredFile = () => join(buildFolder(), 'configured.txt')

function needsConfigure(args: readonly string[]): boolean {
  if (!existsSync(cacheFile())) return true
  const home = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(readFileSync(cacheFile(), 'utf8'))?.[1]
  if (home !== undefined && join(home, '/') === join(packageRoot(), '/')) {
    // CMake looks again for what it has not found
    if (codecAdvice(nativeCodecs()) !== null) return true
    return !existsSync(configuredFile()) || readFileSync(configuredFile(), 'utf8') !== args.join('\n')
  }
  // CMake refuses a cache that was made elsewhere, as after a folder has been moved
  for (const name of ['CMakeCache.txt', 'CMakeFiles'])
    rmSync(join(buildFolder(), name), { recursive: true, force: true })
  return true
}

function cmakeJs(args: readonly string[]): Promise<void> {
  const program = require.resolve('cmake-js/bin/cmake-js')
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args, '--config', 'Release', '--directory', packageRoot()], {
      stdio: 'inherit',
      cwd: packageRoot(),
    })
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(`cmake-js ${args[0]} ended with ${signal ?? `code ${code}`}: see its output above`))
    })
  })
}
