// npm run check:fuzz [-- --calls 200 --seed 1 --only '^aten::conv' --never]: calls each public operator with random arguments in child
// processes, and lists the calls that ended the process, hung, or threw an error without a code. Not part of the tests: it takes
// ten minutes.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const { values: options } = parseArgs({
  options: {
    calls: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    never: { type: 'boolean', default: false },
    memory: { type: 'string', default: '10' }, // GiB of addresses: what needs more fails at once, instead of taking long
  },
})
const HANG_SECONDS = 60
const child = fileURLToPath(new URL('../test/helpers/fuzz-operators.mjs', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'torch-learner-fuzz-'))
const log = join(folder, 'call')

/** The call that was being made, and its number. */
function current() {
  try {
    const text = readFileSync(log, 'utf8').split('\n')[0]
    return { number: Number.parseInt(text, 10), text: text.replace(/^\d+ /, '') }
  } catch {
    return { number: -1, text: '' } // not started yet
  }
}

/** Runs the calls from number `first` on. @returns why the process ended, its last call and what it printed */
function run(first) {
  const limit = Number(options.memory) * 2 ** 20
  const args = [child, options.seed, options.calls, log, String(first), options.only]
  const script = `ulimit -v ${limit}; ulimit -c 0; exec "$0" "$@"`
  const started = spawn('sh', ['-c', script, process.execPath, ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
    cwd: folder,
    env: { ...process.env, OMP_NUM_THREADS: '1' },
  })
  let printed = ''
  let hung = false
  let last = { number: -2, text: '' }
  started.stdout.on('data', data => {
    printed += data
  })
  const watch = setInterval(() => {
    const now = current()
    if (now.number === last.number) {
      hung = true
      started.kill('SIGKILL')
    }
    last = now
  }, HANG_SECONDS * 1000)
  return new Promise(resolve => {
    started.once('exit', (code, signal) => {
      clearInterval(watch)
      resolve({ why: hung ? 'hangs' : (signal ?? (code === 0 ? null : `exit ${code}`)), call: current(), printed })
    })
  })
}

const faults = []
let [first, retries] = [0, 0]
for (;;) {
  const { why, call, printed } = await run(first)
  if (why === null) {
    const { returned, refused, operators, never, uncoded } = JSON.parse(printed.trim().split('\n').at(-1)) // libraries write there too
    faults.push(...uncoded.map(([name, message]) => `uncoded error: ${name}: ${message}`))
    const share = ((100 * returned) / Math.max(1, returned + refused)).toFixed(0)
    console.log(
      `from call ${first} on: ${returned} calls returned (${share} %), ${refused} were refused with a coded error`,
    )
    console.log(`${operators - never.length} of ${operators} operators returned at least once`)
    if (options.never) for (const [name, message] of never) console.log(`never: ${name}: ${message}`)
    break
  }
  if (call.number < first) {
    if (++retries > 3) throw new Error(`the child process doesn't start: ${why}`)
    continue
  }
  faults.push(`${why}: ${call.text.trim()}`)
  console.log(faults.at(-1))
  first = call.number + 1
}
rmSync(folder, { recursive: true })
console.log(faults.length === 0 ? 'no call ended the process' : `${faults.length} faults:\n${faults.join('\n')}`)
process.exitCode = faults.length === 0 ? 0 : 1
