import { spawn, spawnSync } from 'node:child_process'
import { messageOf } from '../check/index.js'

/** What is opened, in this order. */
export interface TrialPlan {
  readonly preload: string
  readonly libraries: readonly string[]
  readonly addon: string
  /** For the environment while libraries are opened. */
  readonly defaults: readonly (readonly [name: string, value: string])[]
}

/** What an addon that works says of itself. */
export interface TrialFacts {
  /** The libtorch that the addon was compiled with. */
  readonly torch: string
  readonly parallel: string
  /** What libtorch chooses its kernels by: `CPU capability usage: AVX2`. */
  readonly cpu: string
  readonly threads: number
  readonly codecs: readonly string[]
  readonly cudaAvailable: boolean
  readonly cudaDevices: number
  /** Bytes; null where that isn't known. */
  readonly freeMemory: number | null
}

/**
 * How it ended. `died`: by a signal that faults of the binary, of libtorch or of the machine give; `failed`: ld.so or the addon
 * says what is wrong; `unknown`: the trial itself could not be made, which says nothing of the binary.
 */
export type TrialResult =
  | { readonly outcome: 'works'; readonly facts: TrialFacts; readonly ms: number }
  | { readonly outcome: 'died'; readonly signal: string; readonly during: string; readonly stderr: string }
  | { readonly outcome: 'failed'; readonly during: string; readonly message: string }
  | { readonly outcome: 'unknown'; readonly message: string }

/** A process ends itself by these; by others, such as SIGKILL, somebody else ended it. */
const FAULTS: readonly string[] = ['SIGILL', 'SIGBUS', 'SIGSEGV', 'SIGABRT', 'SIGFPE', 'SIGTRAP', 'SIGSYS']

/** Of ms. It takes a second; a cold disk and a busy machine make minutes of that. */
const LIMIT = 120_000

const MARK = '@torch-learner '

/**
 * All of the child's program: CommonJS without a file or an import of its own, so that it runs bundled and under Yarn's PnP
 * too. It names each step beforehand, so that a death has a place, and computes with libtorch's kernels and with ours.
 */
const PROGRAM = String.raw`
const { writeSync } = require('node:fs')
const say = value => writeSync(1, '\n${MARK}' + JSON.stringify(value) + '\n')
const plan = JSON.parse(process.argv[1])
let during = ''
const step = (name, run) => { during = name; say({ during }); return run() }
const open = path => { const module = { exports: {} }; process.dlopen(module, path); return module.exports }
const main = async () => {
  const preload = step('opening ' + plan.preload, () => open(plan.preload))
  for (const [name, value] of plan.defaults) preload.setDefaultEnv(name, value)
  for (const path of plan.libraries) step('opening ' + path, () => preload.preload(path))
  const addon = step('opening ' + plan.addon, () => open(plan.addon))
  addon.onError((code, message) => new Error(message))
  return await step('computing', async () => {
    const tensor = (data, shape, dtype) => addon.fromBuffer(new Uint8Array(data.buffer), shape, dtype, true)
    const call = (name, ...args) => addon.call(addon.op(name), 0, 0, args.reduce((hints, _, i) => hints | (1 << (2 * i)), 0), 0, ...args)
    const ones = tensor(new Float32Array(4096).fill(1), [64, 64], 'float32')
    const perm = tensor(BigInt64Array.from({ length: 64 }, (_, i) => BigInt(63 - i)), [64], 'int64')
    const lam = tensor(new Float32Array(64).fill(0.5), [64], 'float32')
    const sum = call('aten::sum', call('torch_learner::mixup', call('aten::mm', ones, ones), perm, lam))
    const { buffer } = await addon.read(sum, true, 0)
    const [value] = new Float32Array(buffer)
    if (value !== 262144) throw new Error('computes ' + value + ' instead of 262144')
    const { torch, parallel, cpu } = addon.version()
    return {
      torch, parallel, cpu, threads: addon.getThreads(), codecs: addon.imageCodecs(), cudaAvailable: addon.cudaAvailable(),
      cudaDevices: addon.cudaDeviceCount(), freeMemory: addon.freeMemory('') ?? null,
    }
  })
}
main().then(facts => say({ facts }), error => say({ failed: String(error && error.message) })).finally(() => process.exit(0))
`

interface Ended {
  readonly status: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
  readonly error?: Error | undefined
}

/** Opens and computes in a child process, so that what kills a process kills that one. */
export async function runTrial(plan: TrialPlan): Promise<TrialResult> {
  const started = performance.now()
  const child = spawn(process.execPath, argumentsFor(plan), {
    env: childEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text
  })
  const ended = await new Promise<Ended>(resolve => {
    child.once('error', error => resolve({ status: null, signal: null, stdout, stderr, error }))
    child.once('close', (status, signal) => resolve({ status, signal, stdout, stderr }))
  })
  clearTimeout(timer)
  return resultOf(ended, performance.now() - started)
}

/** {@link runTrial}, with this thread waiting. */
export function runTrialSync(plan: TrialPlan): TrialResult {
  const started = performance.now()
  const ended = spawnSync(process.execPath, argumentsFor(plan), {
    env: childEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    timeout: LIMIT,
    killSignal: 'SIGKILL',
    windowsHide: true,
  })
  return resultOf(ended, performance.now() - started)
}

const argumentsFor = (plan: TrialPlan): string[] => ['-e', PROGRAM, JSON.stringify(plan)]

/** Without loaders and debuggers of ours, and as Node where this is Electron. */
function childEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, NODE_OPTIONS: '', NODE_V8_COVERAGE: '', ELECTRON_RUN_AS_NODE: '1' }
}

function resultOf({ status, signal, stdout, stderr, error }: Ended, ms: number): TrialResult {
  let during = 'starting'
  for (const line of stdout.split('\n').filter(text => text.startsWith(MARK))) {
    const said: { during?: string; failed?: string; facts?: TrialFacts } = JSON.parse(line.slice(MARK.length))
    if (said.facts) return { outcome: 'works', facts: said.facts, ms: Math.round(ms) }
    if (said.failed !== undefined) return { outcome: 'failed', during, message: said.failed }
    during = said.during ?? during
  }
  if (error) return { outcome: 'unknown', message: `no child process could be run: ${messageOf(error)}` }
  if (signal !== null && FAULTS.includes(signal)) return { outcome: 'died', signal, during, stderr: lastLine(stderr) }
  if (signal === 'SIGKILL' && ms >= LIMIT)
    return { outcome: 'unknown', message: `${during} took more than ${LIMIT / 1000} s` }
  return {
    outcome: 'unknown',
    message: `the child process ended with ${signal ?? `code ${status}`}, ${during}: ${lastLine(stderr)}`,
  }
}

const lastLine = (text: string): string => text.trim().split('\n').at(-1)?.trim() ?? ''
