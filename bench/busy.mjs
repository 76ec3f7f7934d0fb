// A training step of ResNet-18 beside processes that keep cores busy, from Node and from Python in turns:
//   node bench/busy.mjs [--settings 64/64,32/8] [--dtypes fp32,bf16] [--neighbours 0,1,2,4] [--nice 0,10,19,-5]
//     [--steps 4] [--rounds 3] [--threads 2] [--no-python] [--no-sessions] [--verbose]
// Told are the median and the worst step, the CPU time of one, how often its threads slept and were preempted in it, and
// the quiet step times what a scheduler makes of it that shares all cores fairly. Each neighbour has a session of its own,
// as other programs do: Linux shares the cores among sessions first (autogroups; containers likewise).
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, getPriority, setPriority } from 'node:os'
import { parseArgs } from 'node:util'
import { setNumThreads } from 'torch-learner'
import { startReference } from './python.mjs'
import { timed, trainer } from './resnet.mjs'
import { median } from './table.mjs'

const { values: options } = parseArgs({
  allowNegative: true,
  options: {
    settings: { type: 'string', default: '64/64,32/8' },
    dtypes: { type: 'string', default: 'fp32,bf16' },
    neighbours: { type: 'string', default: '0,1,2,4' },
    nice: { type: 'string', default: '0,10,19' },
    steps: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    sessions: { type: 'boolean', default: true },
    verbose: { type: 'boolean', default: false },
    python: { type: 'boolean', default: true },
  },
})
const list = text => text.split(',')
const threads = Number(options.threads)
const steps = Number(options.steps)
const rounds = Number(options.rounds)
setNumThreads(threads)
const { reference, reason } = options.python
  ? await startReference(threads)
  : { reference: null, reason: 'not asked for' }

function read(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}

/** How often the threads of this process gave up their core by themselves, and how often it was taken from them. */
function switches() {
  const { user, system } = process.cpuUsage()
  const sum = { slept: 0, preempted: 0, cpu: (user + system) / 1e6 }
  for (const task of readdirSync('/proc/self/task')) {
    const status = readFileSync(`/proc/self/task/${task}/status`, 'utf8')
    sum.slept += Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)[1])
    sum.preempted += Number(/^nonvoluntary_ctxt_switches:\s*(\d+)/m.exec(status)[1])
  }
  return sum
}

/** The kernel's weight of a priority: each step is a quarter more than the next. */
const weight = nice => 1.25 ** -nice

/** What each of `sharers` gets of the cores, if no one gets more than it can use and the rest is shared by weight. */
function shares(cores, sharers) {
  const full = new Set()
  for (;;) {
    const open = sharers.filter(sharer => !full.has(sharer))
    const left = cores - [...full].reduce((sum, { wants }) => sum + wants, 0)
    const total = open.reduce((sum, sharer) => sum + sharer.weight, 0)
    const part = sharer => (left * sharer.weight) / total
    const sated = open.filter(sharer => part(sharer) >= sharer.wants)
    if (open.length === 0 || sated.length === 0)
      return sharers.map(sharer => (full.has(sharer) ? sharer.wants : part(sharer)))
    for (const sharer of sated) full.add(sharer)
  }
}

const groups = options.sessions && read('/proc/sys/kernel/sched_autogroup_enabled').trim() === '1'

/** How much longer work on all threads takes when the cores are shared fairly: among sessions, or else among threads. */
function fairShare(neighbours, nice) {
  const cores = cpus().length
  const ours = groups
    ? [{ wants: threads, weight: 1 }]
    : Array.from({ length: threads }, () => ({ wants: 1, weight: 1 }))
  const others = Array.from({ length: neighbours }, () => ({ wants: 1, weight: weight(nice) }))
  const got = shares(cores, [...ours, ...others]).slice(0, ours.length)
  return Math.min(threads, cores) / got.reduce((sum, part) => sum + part, 0)
}

/** Sessions are groups which Linux shares the cores among, each with a priority of its own: relative to this process's. */
function setGroupPriority(pid, nice) {
  const file = id => `/proc/${id}/autogroup`
  if (!existsSync(file(pid))) return
  const own = Number(/nice (-?\d+)/.exec(readFileSync(file('self'), 'utf8'))?.[1] ?? 0)
  writeFileSync(file(pid), String(Math.max(-20, Math.min(19, own + nice))))
}

// Ends with its parent, however that ends.
const SPINNING = 'const parent = process.ppid; while (process.ppid === parent) for (let i = 0; i < 1e7; i++);'

async function beside(count, nice, work) {
  const detached = options.sessions // with a group of its own in the scheduler, where it has such groups
  const spinning = ['-e', SPINNING]
  const children = Array.from({ length: count }, () => spawn(process.execPath, spinning, { stdio: 'ignore', detached }))
  try {
    for (const { pid } of children) {
      setPriority(pid, Math.max(-20, Math.min(19, getPriority() + nice)))
      if (detached) setGroupPriority(pid, nice)
    }
    if (count > 0) await new Promise(resolve => setTimeout(resolve, 300)) // until they spin
    return await work()
  } finally {
    for (const child of children) child.kill('SIGKILL')
  }
}

const ms = value => (value * 1000).toFixed(0)
const row = cells => console.log(`| ${cells.join(' | ')} |`)
const spread = values => `${ms(median(values))} / ${ms(Math.max(...values))}`

if (reference === null) console.log(`No Python side (${reason})`)
row([
  'step',
  'neighbours',
  'ours: median / worst ms',
  'slept',
  'preempted',
  'Python: median / worst ms',
  'quiet x fair',
])
row(Array(7).fill('---'))
for (const setting of list(options.settings)) {
  const [size, batch] = setting.split('/').map(Number)
  for (const dtype of list(options.dtypes)) {
    const step = trainer(size, batch, { bf16: dtype === 'bf16' })
    const ask = n => reference.ask(`${size} ${batch} ${n}${dtype === 'bf16' ? ' bf16' : ''}`)
    await timed(step, 2)
    if (reference !== null) await ask(2)
    const places = list(options.neighbours).flatMap(n =>
      n === '0' ? [{ count: 0, nice: 0 }] : list(options.nice).map(nice => ({ count: Number(n), nice: Number(nice) })),
    )
    const results = places.map(() => ({ ours: [], theirs: [], slept: 0, preempted: 0, cpu: 0 }))
    for (let round = 0; round < rounds; round++) {
      for (const [i, { count, nice }] of places.entries()) {
        await beside(count, nice, async () => {
          const result = results[i]
          const before = switches()
          result.ours.push(...(await timed(step, steps)))
          const after = switches()
          result.slept += after.slept - before.slept
          result.preempted += after.preempted - before.preempted
          result.cpu += after.cpu - before.cpu
          if (reference !== null) result.theirs.push(...(await ask(steps)))
          if (options.verbose) {
            const last = values => values.slice(-steps).map(ms).join(' ')
            console.error(
              `${setting} ${dtype}, ${count} at nice ${nice}: ${last(result.ours)}; Python ${last(result.theirs)}`,
            )
          }
        })
      }
    }
    const quiet = median(results[0].ours)
    for (const [i, { count, nice }] of places.entries()) {
      const { ours, theirs, slept, preempted, cpu } = results[i]
      row([
        `${setting} ${dtype}`,
        count === 0 ? 'none' : `${count} at nice ${nice}`,
        spread(ours),
        ms(cpu / ours.length),
        (slept / ours.length).toFixed(0),
        (preempted / ours.length).toFixed(0),
        theirs.length ? spread(theirs) : '-',
        ms(quiet * fairShare(count, nice)),
      ])
    }
  }
}
reference?.stop()
