// Compiles binding/, and knows when that is not necessary.
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { join } from 'node:path'
import { refuseMusl } from '../libc.js'
import { cacheFolder, type Libtorch } from '../libtorch/find.js'
import { baseVersion } from '../libtorch/release.js'
import { withLock } from '../lock.js'
import { isIntact, recordFiles } from '../records.js'
import { packageRoot, packageVersion } from '../root.js'
import { addonApiFolder, addonApiVersion, cmakeJs, configure, missingPackages, nativeCodecs } from './cmake.js'
import { ADDON, type BuildStamp, PRELOAD, STAMP, sourcesHash, stampIn } from './stamp.js'
import { codecAdvice, missingTools, parallelJobs } from './toolchain.js'

/** Where a checkout compiles. */
const buildFolder = () => join(packageRoot(), 'build')

const releaseIn = (out: string) => join(out, 'Release')

/** What a checkout's build makes. */
export const builtAddon = (): string => join(releaseIn(buildFolder()), ADDON)

/** Beside it, of what it is made. */
export const builtStamp = (): string => join(releaseIn(buildFolder()), STAMP)

export const readAddonStamp = (): BuildStamp | null => stampIn(releaseIn(buildFolder()))

/** Where `torch-learner build` puts what it compiles outside of a checkout: the package's own folder may be read-only, or shared. */
export const cachedAddon = (): string => join(cacheFolder(), `addon-${suffix()}`)

const suffix = () => `${packageVersion()}-${sourcesHash().slice(0, 16)}`

/** Hash of everything that goes into the addon, apart from the compiler. */
function buildHash(libtorch: Libtorch, defines: readonly string[]): string {
  const inputs = [sourcesHash(), baseVersion(libtorch.version), addonApiVersion(), process.arch, ...defines]
  return createHash('sha256').update(inputs.join('\0')).digest('hex')
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

/** Is a checkout's addon made of the present sources and of this libtorch? */
export function isUpToDate(libtorch: Libtorch): boolean {
  const stamp = readAddonStamp()
  if (stamp?.build !== buildHash(libtorch, cmakeDefines(libtorch))) return false
  return stamp.files === undefined || isIntact(releaseIn(buildFolder()), stamp.files)
}

/** Does the addon that is there decode all that it could? If not, the codecs may have been installed since. */
export const lacksCodecs = ({ codecs = [] }: BuildStamp): boolean => codecAdvice(codecs) !== null

/** Throws, in one message, when something to compile with is missing. To be asked before anything is fetched. */
export function checkTools(): void {
  refuseMusl()
  const missing = [missingTools(), missingPackages()].filter(text => text !== null)
  if (missing.length > 0) throw new Error(missing.join('. '))
}

/**
 * Compiles what has changed in a checkout and writes the stamp.
 *
 * @param target of CMakeLists.txt, to be built besides
 */
export async function buildAddon(libtorch: Libtorch, target?: string): Promise<void> {
  await buildIn(buildFolder(), libtorch, target)
}

/** Compiles the addon into the cache, for a package that was installed. Gives its folder. */
export async function buildIntoCache(libtorch: Libtorch): Promise<string> {
  const target = cachedAddon()
  mkdirSync(cacheFolder(), { recursive: true })
  let waited = false
  const onWait = () => {
    waited = true
    console.error('torch-learner: waiting for another process that builds the addon')
  }
  // beside the folder, which goes at the end; whoever waited takes what the other one has built
  return await withLock(
    `${target}.lock`,
    async () => {
      const isBuilt = waited && stampIn(target)?.build === buildHash(libtorch, cmakeDefines(libtorch))
      return isBuilt ? target : await buildAside(target, libtorch)
    },
    { onWait },
  )
}

async function buildAside(target: string, libtorch: Libtorch): Promise<string> {
  const out = join(cacheFolder(), `build-${suffix()}`)
  await buildIn(out, libtorch)
  const aside = join(cacheFolder(), `new-addon-${process.pid}`)
  rmSync(aside, { recursive: true, force: true })
  mkdirSync(aside)
  for (const name of [ADDON, PRELOAD, STAMP]) copyFileSync(join(releaseIn(out), name), join(aside, name))
  rmSync(target, { recursive: true, force: true })
  renameSync(aside, target)
  rmSync(out, { recursive: true, force: true })
  return target
}

/**
 * Compiles the binary for other machines, apart from the checkout's own unless that is one, and gives its folder. What makes it one
 * is said by the variables TORCH_LEARNER_STATIC_CODECS and TORCH_LEARNER_SPNG_SOURCE.
 */
export async function buildRelease(libtorch: Libtorch): Promise<string> {
  if (isUpToDate(libtorch)) return releaseIn(buildFolder())
  const out = join(buildFolder(), 'release')
  if (stampIn(releaseIn(out))?.build !== buildHash(libtorch, cmakeDefines(libtorch))) await buildIn(out, libtorch)
  return releaseIn(out)
}

async function buildIn(out: string, libtorch: Libtorch, target?: string): Promise<void> {
  checkTools()
  if (!libtorch.include) throw new Error(`${libtorch.root} has no headers in include/, so nothing can be built with it`)
  mkdirSync(out, { recursive: true })
  const onWait = () => console.error('torch-learner: waiting for another build in this folder')
  await withLock(join(out, 'build.lock'), () => compile(out, libtorch, target), { onWait })
}

async function compile(out: string, libtorch: Libtorch, target?: string): Promise<void> {
  const defines = cmakeDefines(libtorch)
  const made = { sources: sourcesHash(), build: buildHash(libtorch, defines) }
  // Until the build has succeeded, the stamp vouches for no sources; the addon of last time stays usable meanwhile
  const before = stampIn(releaseIn(out))
  if (before) writeStamp(out, { ...before, sources: '', build: '' })
  // what make and ninja take for new, because of its time
  if (before?.files && !isIntact(releaseIn(out), before.files)) {
    for (const name of [ADDON, PRELOAD]) rmSync(join(releaseIn(out), name), { force: true })
  }
  const variables = [
    ...defines,
    `TORCH_LEARNER_LIBTORCH=${libtorch.root}`,
    `TORCH_LEARNER_LIBTORCH_LIB=${libtorch.lib}`,
    `TORCH_LEARNER_LIBTORCH_INCLUDE=${libtorch.include}`,
    `TORCH_LEARNER_NODE_ADDON_API=${addonApiFolder()}`,
  ]
  await configure(
    out,
    variables.map(define => `--CD${define}`),
  )
  const build = ['build', '--parallel', String(parallelJobs(availableParallelism(), totalmem()))]
  await cmakeJs(out, build)

  const cuda = defines.includes('TORCH_LEARNER_CUDA=ON')
  const codecs = nativeCodecs(out)
  const files = recordFiles(releaseIn(out), [ADDON, PRELOAD])
  writeStamp(out, { libtorch: libtorch.version, root: libtorch.root, cuda, codecs, ...made, files })
  const advice = codecAdvice(codecs)
  if (advice) console.warn(`torch-learner: ${advice}`)
  if (target) await cmakeJs(out, [...build, '--target', target])
}

const writeStamp = (out: string, stamp: BuildStamp) =>
  writeFileSync(join(releaseIn(out), STAMP), `${JSON.stringify(stamp, null, 2)}\n`)
