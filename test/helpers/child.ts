import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'

/** What became of a program run in a process of its own. */
export interface Outcome {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
  /** from start to end */
  ms: number
}

const packageUrl = new URL('../../dist/index.js', import.meta.url).href

interface RunOptions {
  /** added to ours */
  env?: NodeJS.ProcessEnv
  /** killed after (default 60) */
  seconds?: number
  /** for Node itself, before the program */
  flags?: string[]
}

/** Node with `stdio: ['ignore', 'pipe', 'pipe']`. */
type Child = ChildProcessByStdio<null, Readable, Readable>

/** Waits for the end of a program, and kills it after so many seconds. */
export async function outcomeOf(child: Child, seconds: number): Promise<Outcome> {
  const started = performance.now()
  const timer = setTimeout(() => child.kill('SIGKILL'), seconds * 1000)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text
  })
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (exitCode, exitSignal) => resolve([exitCode, exitSignal]))
  })
  clearTimeout(timer)
  return { code, signal, stdout, stderr, ms: performance.now() - started }
}

/** Runs `node` with these arguments in the package's folder. */
export async function runNode(args: string[], options: RunOptions = {}): Promise<Outcome> {
  const child = spawn(process.execPath, args, {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: { ...process.env, NODE_OPTIONS: '', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return await outcomeOf(child, options.seconds ?? 60)
}

/** Runs `source` as an ES module in a fresh Node process, with `torch-learner` imported as `tl`. */
export async function runProgram(source: string, options: RunOptions = {}): Promise<Outcome> {
  const program = `import * as tl from ${JSON.stringify(packageUrl)}\n${source}`
  return await runNode([...(options.flags ?? []), '--input-type=module', '-e', program], options)
}
