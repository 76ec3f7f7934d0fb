import { availableParallelism, totalmem } from 'node:os'
import { type Problem, problemOf } from '../check/index.js'
import { packageRoot, packageVersion, refuseMusl } from '../provision/index.js'
import { type AddonFacts, type Binaries, examineBinaries, type LibtorchFacts } from './doctor/binaries.js'
import { type CacheFacts, cacheFacts, problemsOfCache } from './doctor/cache.js'
import { type GpuFacts, gpuFacts, problemsOfGpu } from './doctor/gpu.js'
import { copiesFor, type Layout, layoutOf, problemOfCopies } from './doctor/layout.js'
import { isSupportedNode, supportedNode } from './doctor/node-version.js'
import { machine, type Probe } from './doctor/probe.js'
import { reportText } from './doctor/text.js'
import type { Cpu } from './machine.js'
import type { TrialResult } from './trial.js'

/** Environment variables that change what is found or how it runs. */
const VARIABLES = [
  ...['LIBTORCH', 'TORCH_LEARNER_CACHE', 'TORCH_LEARNER_PREBUILD', 'TORCH_LEARNER_SYNC', 'TORCH_LEARNER_TRIAL'],
  ...['XDG_CACHE_HOME', 'LD_LIBRARY_PATH', 'LD_PRELOAD'],
  ...['OMP_NUM_THREADS', 'OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'ATEN_CPU_CAPABILITY', 'CUDA_VISIBLE_DEVICES'],
]

/** All that {@link doctorReport} has found. Sizes are in bytes. */
export interface DoctorReport {
  /** Nothing stands in the way of importing the package and training. */
  readonly ready: boolean
  /** What stands in the way, each with what to do about it. */
  readonly problems: readonly Problem[]
  /** What works and could be better. */
  readonly warnings: readonly Problem[]
  readonly package: {
    readonly version: string
    readonly root: string
    readonly layout: Layout
    readonly copies: readonly string[]
  }
  readonly node: {
    readonly version: string
    readonly supported: boolean
    /** Such as `linux-x64`. */
    readonly platform: string
    readonly libc: 'glibc' | 'musl' | null
    /** Of glibc, such as `2.36`. */
    readonly libcVersion: string | null
  }
  readonly cpu: Cpu & {
    /** Processors that this process may use. */
    readonly processors: number
    /** What libtorch chooses its kernels by, such as `AVX2`; null where it wasn't loaded. */
    readonly capability: string | null
  }
  /** libtorch's threads; null where it wasn't loaded. */
  readonly threads: number | null
  readonly memory: { readonly total: number; readonly free: number | null }
  /** Variables that are set and change what is found or how it runs. */
  readonly environment: Readonly<Record<string, string>>
  readonly addon: AddonFacts | null
  readonly libtorch: LibtorchFacts | null
  /** Where no libtorch, or another one, was found. */
  readonly lookedAt: Binaries['lookedAt']
  readonly cache: CacheFacts
  readonly gpu: GpuFacts
  /** How loading and computing went in a child process; null where nothing was tried, because of a problem found before. */
  readonly trial: TrialResult | null
}

/**
 * What is installed where, in which version, whether it is whole, and whether it works: the first thing to look at, and to send
 * along, when something doesn't. Reads every byte of the binaries and tries them in a child process, which takes a few seconds.
 * It finds fault and never throws.
 *
 * @returns a text of about thirty lines: the verdict, what is wrong and what to do, then one fact a line
 * @example console.log(await doctor())
 */
export async function doctor(): Promise<string> {
  return reportText(await doctorReport())
}

/** As {@link doctor}, as an object: what `npx torch-learner doctor --json` prints. */
export async function doctorReport(): Promise<DoctorReport> {
  return await examine({})
}

/** @internal {@link doctorReport} with some answers of the machine replaced. */
export async function examine(answers: Partial<Probe>): Promise<DoctorReport> {
  const probe: Probe = { ...machine, ...answers }
  const problems: Problem[] = []
  const supported = isSupportedNode(probe.nodeVersion)
  if (!supported) {
    const message = `Node ${probe.nodeVersion} is not supported`
    problems.push({ code: 'unsupported-node', message, remedy: `Use Node ${supportedNode()}` })
  }
  const libc = probe.libc()
  const musl = problemOfLibc(libc)
  const binaries = musl ? NOTHING : await examineBinaries()
  const cache = cacheFacts(probe)
  const ofCache = problemsOfCache(cache, binaries.libtorch === null && !musl)
  const gpu = gpuFacts(probe, binaries)
  const copies = copiesFor(probe.cwd())
  problems.push(...(musl ? [musl] : []), ...binaries.problems, ...ofCache.problems)
  const facts = binaries.trial?.outcome === 'works' ? binaries.trial.facts : null
  return {
    ready: problems.length === 0,
    problems,
    warnings: [...binaries.warnings, ...ofCache.warnings, ...problemOfCopies(copies), ...problemsOfGpu(gpu, binaries)],
    package: { version: packageVersion(), root: packageRoot(), layout: layoutOf(), copies },
    node: {
      version: probe.nodeVersion,
      supported,
      platform: `${process.platform}-${process.arch}`,
      libc,
      libcVersion: probe.glibcVersion(),
    },
    cpu: { ...probe.cpu(), processors: availableParallelism(), capability: facts?.cpu ?? null },
    threads: facts?.threads ?? null,
    memory: { total: totalmem(), free: facts?.freeMemory ?? null },
    environment: Object.fromEntries(
      VARIABLES.flatMap(name => (process.env[name] === undefined ? [] : [[name, process.env[name] ?? '']])),
    ),
    addon: binaries.addon,
    libtorch: binaries.libtorch,
    lookedAt: binaries.lookedAt,
    cache,
    gpu,
    trial: binaries.trial,
  }
}

/** Where none of it can load. */
const NOTHING: Binaries = { addon: null, libtorch: null, lookedAt: [], trial: null, problems: [], warnings: [] }

function problemOfLibc(libc: 'glibc' | 'musl' | null): Problem | null {
  try {
    refuseMusl(libc)
    return null
  } catch (error) {
    return problemOf(error)
  }
}
