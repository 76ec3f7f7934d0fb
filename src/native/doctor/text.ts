import type { Problem } from '../../check/index.js'
import type { DoctorReport } from '../doctor.js'
import type { Cpu } from '../machine.js'
import type { TrialResult } from '../trial.js'
import { megabytes } from './cache.js'

type Fact = readonly [name: string, value: string]

/** The verdict, what is wrong and what to do, then one fact a line. */
export function reportText(report: DoctorReport): string {
  const facts = factsOf(report)
  const width = Math.max(...facts.map(([name]) => name.length))
  return [
    verdict(report),
    ...report.problems.flatMap(problem => lines('problem', problem)),
    ...report.warnings.flatMap(warning => lines('warning', warning)),
    '',
    ...facts.map(([name, value]) => `${name.padEnd(width)}  ${value}`),
  ].join('\n')
}

function verdict({ ready, problems, warnings }: DoctorReport): string {
  if (!ready) return `not ready: ${count(problems.length, 'problem')}`
  return warnings.length === 0 ? 'ready' : `ready, with ${count(warnings.length, 'warning')}`
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`

const lines = (kind: string, { code, message, remedy }: Problem): string[] => [
  `  ${kind} ${code}: ${message}.`,
  `    ${remedy}.`,
]

function factsOf(report: DoctorReport): Fact[] {
  const { package: own, node, cpu, memory, environment, addon, libtorch, cache, gpu, trial } = report
  const codecs = trial?.outcome === 'works' ? trial.facts.codecs : addon?.codecs
  return [
    ['torch-learner', `${own.version} in ${own.root} (${own.layout})`],
    ...(own.copies.length > 1 ? own.copies.map((copy, i): Fact => [`copy ${i + 1}`, copy]) : []),
    [
      'node',
      `${node.version} ${node.platform}, ${node.libcVersion === null ? (node.libc ?? 'no glibc') : `glibc ${node.libcVersion}`}`,
    ],
    ['cpu', `${cpu.model}, ${cpu.processors} for this process`],
    ['cpu level', levelOf(cpu, cpu.capability)],
    [
      'memory',
      `${gibibytes(memory.total)}${memory.free === null ? '' : `, ${gibibytes(memory.free)} free for this process`}`,
    ],
    ...Object.entries(environment),
    [
      'addon',
      addon
        ? `${addon.path}, built with libtorch ${addon.libtorch}${addon.cuda ? ' and CUDA' : ''}${checked(addon)}`
        : 'not found',
    ],
    ...report.lookedAt.map(({ step, reason }): Fact => [`looked at ${step}`, reason]),
    [
      'libtorch',
      libtorch
        ? `${libtorch.version} in ${libtorch.root}${libtorch.cuda ? ', with CUDA' : ''}${checked(libtorch)}`
        : 'not found',
    ],
    ['cache', cacheText(cache)],
    ['loading', loadingText(trial)],
    ['threads', report.threads === null ? 'unknown' : `${report.threads} of libtorch`],
    ['pictures', codecs ? `${codecs.join(', ')} natively, other formats by sharp` : 'unknown'],
    ['cuda', cudaText(gpu)],
  ]
}

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`

const checked = ({ verified }: { verified: 'hash' | 'size' | 'none' }): string =>
  ({ hash: ', hashes compared', size: ', sizes compared', none: ', nothing recorded to compare with' })[verified]

function levelOf({ features }: Cpu, capability: string | null): string {
  const { avx2, avx512, bf16, amx } = features
  const marks = Object.entries({ AVX2: avx2, AVX512: avx512, BF16: bf16, AMX: amx }).map(
    ([name, has]) => `${name} ${has === null ? 'unknown' : has ? 'yes' : 'no'}`,
  )
  return `${marks.join(', ')}${capability === null ? '' : `; libtorch uses ${capability}`}`
}

function cacheText({ folder, reading, writing, bytes, freeBytes }: DoctorReport['cache']): string {
  const state = [reading, writing].filter(why => why !== null)
  const free = freeBytes === null ? '' : `, ${megabytes(freeBytes)} free on its disk`
  return `${folder}${state.map(why => ` ${why},`).join('')} ${megabytes(bytes)}${free}`
}

function loadingText(trial: TrialResult | null): string {
  if (trial === null) return 'not tried'
  switch (trial.outcome) {
    case 'works':
      return `works, with libtorch ${trial.facts.torch}, ${trial.ms} ms in a process of its own`
    case 'died':
      return `died of ${trial.signal}, ${trial.during}`
    case 'failed':
      return `fails, ${trial.during}: ${trial.message}`
    case 'unknown':
      return trial.message
  }
}

function cudaText({ driver, built, available, devices }: DoctorReport['gpu']): string {
  if (available) return `${devices} devices, driver ${driver ?? 'unknown'}`
  return `not available (${driver === null ? 'no driver' : `driver ${driver}`}, the addon ${built ? 'has' : 'has no'} CUDA)`
}
