import { availableParallelism, cpus, totalmem } from 'node:os'
import { messageOf, TorchLearnerError } from '../check/index.js'
import { cachedLibtorch, codecAdvice, findLibtorch, packageRoot, packageVersion } from '../provision/index.js'
import { loadAddon } from './load.js'
import { locateAddon } from './locate.js'

/** Environment variables that change what is found or how it runs. */
const VARIABLES = [
  ...[
    'LIBTORCH',
    'TORCH_LEARNER_CACHE',
    'TORCH_LEARNER_PREBUILD',
    'TORCH_LEARNER_SYNC',
    'XDG_CACHE_HOME',
    'LD_LIBRARY_PATH',
    'LD_PRELOAD',
  ],
  ...['OMP_NUM_THREADS', 'OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'CUDA_VISIBLE_DEVICES'],
]

/**
 * What is installed where, in which version, and whether it works: the first thing to look at, and to send along, when
 * something doesn't. It finds fault and never throws.
 *
 * @returns a report of about twenty lines, one fact a line
 * @example console.log(await doctor())
 */
export async function doctor(): Promise<string> {
  const facts = [...machine(), ...variables(), ...addonAndLibtorch(), ...loading()]
  const width = Math.max(...facts.map(([name]) => name.length))
  return facts.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')
}

type Fact = [name: string, value: string]

function machine(): Fact[] {
  return [
    ['torch-learner', `${packageVersion()} in ${packageRoot()}`],
    ['node', `${process.version} ${process.platform}-${process.arch}, ${libc()}`],
    ['cpu', `${cpus()[0]?.model.trim() ?? 'unknown'}, ${availableParallelism()} for this process`],
    ['memory', `${(totalmem() / 2 ** 30).toFixed(1)} GiB`],
  ]
}

function libc(): string {
  const report: unknown = process.report.getReport()
  const header = report && typeof report === 'object' && 'header' in report ? report.header : undefined
  const isGlibc = header && typeof header === 'object' && 'glibcVersionRuntime' in header
  return isGlibc ? `glibc ${header.glibcVersionRuntime}` : 'no glibc'
}

function variables(): Fact[] {
  return VARIABLES.filter(name => process.env[name] !== undefined).map(name => [name, process.env[name] ?? ''])
}

function addonAndLibtorch(): Fact[] {
  let builtWith: string | null = null
  const addonFacts = attempt('addon', () => {
    const { addon, stamp } = locateAddon()
    builtWith = stamp.root
    return [['addon', `${addon}, built with libtorch ${stamp.libtorch}${stamp.cuda ? ' and CUDA' : ''}`]]
  })
  const { libtorch, steps } = findLibtorch({ builtWith })
  const where = libtorch ? `${libtorch.version} in ${libtorch.root}${libtorch.cuda ? ', with CUDA' : ''}` : 'not found'
  return [
    ...addonFacts,
    ...steps.map(({ step, reason }): Fact => [`looked at ${step}`, reason]),
    ['cache', cachedLibtorch()],
    ['libtorch', where],
  ]
}

function loading(): Fact[] {
  return attempt('loading', () => {
    const started = performance.now()
    const addon = loadAddon()
    const { torch, parallel, cpu } = addon.version()
    return [
      ['loading', `works, ${Math.round(performance.now() - started)} ms`],
      ['running', `libtorch ${torch}, ${cpu}`],
      ['threads', `${addon.getThreads()} (${/OpenMP .*/.exec(parallel)?.[0] ?? 'no OpenMP'})`],
      ['free memory', free(addon.freeMemory(''))],
      [
        'pictures',
        codecAdvice(addon.imageCodecs()) ?? `${addon.imageCodecs().join(', ')} natively, other formats by sharp`,
      ],
      ['cuda', addon.cudaAvailable() ? `${addon.cudaDeviceCount()} devices` : 'not available'],
    ]
  })
}

function free(bytes: number | undefined): string {
  return bytes === undefined ? 'unknown' : `${(bytes / 2 ** 30).toFixed(1)} GiB for this process`
}

/** A failure is a fact of its own. */
function attempt(name: string, look: () => Fact[]): Fact[] {
  try {
    return look()
  } catch (error) {
    if (error instanceof TorchLearnerError) return [[name, `fails: ${error.code}: ${error.message}`]]
    return [[name, `fails: ${messageOf(error)}`]]
  }
}
