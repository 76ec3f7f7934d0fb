// Several copies of the package in one process: one addon for those of the same bytes, an error for others, never the end of the
// process.
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import test from 'ava'
import { installedCopy, libtorch } from './helpers/binaries.js'
import { type Outcome, runNode } from './helpers/child.js'

const env = { LIBTORCH: libtorch.root, TORCH_LEARNER_TRIAL: '0' }

const HELPERS = `
import { Worker } from 'node:worker_threads'
import { readFileSync } from 'node:fs'
const outcome = async (load) => {
  try { const tl = await load(); return await tl.tensor([1, 2]).add(1).sum().item() } catch (error) { return error.code + ': ' + error.message }
}
const inWorker = path => new Promise((resolve, reject) => new Worker(
  'const outcome = ' + outcome + '; outcome(() => import(' + JSON.stringify(path) + ')).then(async r => (await import("node:worker_threads")).parentPort.postMessage(r))',
  { eval: true }).once('message', resolve).once('error', reject))
const addons = () => new Set(readFileSync('/proc/self/maps', 'utf8').match(/\\/.*torch_learner\\.node$/gm)).size
const print = value => console.log(JSON.stringify(value))
`

async function run(source: string, ...copies: { index: string }[]): Promise<Outcome> {
  const paths = copies
    .map(({ index }, i) => `const ${'ab'[i]} = ${JSON.stringify(pathToFileURL(index).href)}\n`)
    .join('')
  return await runNode(['--input-type=module', '-e', HELPERS + paths + source], { env })
}

const REFUSED =
  /^ERR_TWO_COPIES: This process has already loaded \S+torch_learner\.node, the addon of another copy of torch-learner, and can't load \S+torch_learner\.node, .*`npm dedupe`/

test.serial('copies of the same bytes share one addon', async t => {
  const [a, b] = [installedCopy(t), installedCopy(t)]
  const { stdout, stderr, code } = await run(
    'print([await outcome(() => import(a)), await outcome(() => import(b)), await outcome(() => import(a)), addons()])',
    a,
    b,
  )
  t.is(code, 0, stderr)
  t.deepEqual(JSON.parse(stdout), [5, 5, 5, 1])
})

test.serial('copies of the same bytes share one addon in worker threads too', async t => {
  const [a, b] = [installedCopy(t), installedCopy(t)]
  const { stdout, stderr, code } = await run(
    'print([await outcome(() => import(a)), ...(await Promise.all([a, b, b].map(inWorker))), await outcome(() => import(b)), addons()])',
    a,
    b,
  )
  t.is(code, 0, stderr)
  t.deepEqual(JSON.parse(stdout), [5, 5, 5, 5, 5, 1])
})

test.serial('a copy of other bytes is refused by a coded error that names both', async t => {
  const [a, b] = [installedCopy(t), installedCopy(t)]
  appendFileSync(b.addon, 'x')
  b.restamp()
  const { stdout, stderr, code } = await run(
    'print([await outcome(() => import(a)), await outcome(() => import(b)), await inWorker(b), await inWorker(a), await outcome(() => import(a))])',
    a,
    b,
  )
  t.is(code, 0, stderr)
  const [first, second, worker, other, again] = JSON.parse(stdout)
  t.deepEqual([first, other, again], [5, 5, 5])
  for (const refused of [second, worker]) {
    t.regex(refused, REFUSED)
    t.true(refused.includes(a.addon) && refused.includes(b.addon))
  }
})

test.serial('a stamp without hashes vouches for nothing: refused', async t => {
  const [a, b] = [installedCopy(t), installedCopy(t)]
  const { files, ...stamp } = JSON.parse(readFileSync(b.stamp, 'utf8'))
  t.truthy(files)
  writeFileSync(b.stamp, JSON.stringify(stamp))
  const { stdout } = await run('print([await outcome(() => import(a)), await outcome(() => import(b))])', a, b)
  const [first, second] = JSON.parse(stdout)
  t.is(first, 5)
  t.regex(second, REFUSED)
})

test.serial('threads that load different copies at the same moment: one copy wins, the process lives', async t => {
  const [a, b] = [installedCopy(t), installedCopy(t)]
  appendFileSync(b.addon, 'x')
  b.restamp()
  for (let round = 0; round < 3; round++) {
    const { stdout, stderr, code } = await run('print(await Promise.all([a, b, a, b].map(inWorker)))', a, b)
    t.is(code, 0, stderr)
    const outcomes: (number | string)[] = JSON.parse(stdout)
    for (const i of [0, 1]) t.is(outcomes[i] === 5, outcomes[i + 2] === 5, stdout)
    t.is(outcomes.filter(outcome => outcome === 5).length, 2, stdout)
    for (const refused of outcomes.filter(outcome => outcome !== 5)) t.regex(String(refused), REFUSED)
  }
})

test.serial('an addon that was rebuilt since the process loaded it is refused in its next thread', async t => {
  const a = installedCopy(t)
  const program = `
    import { rmSync, writeFileSync } from 'node:fs'
    const first = await outcome(() => import(a))
    const bytes = readFileSync(${JSON.stringify(a.addon)})
    rmSync(${JSON.stringify(a.addon)})
    writeFileSync(${JSON.stringify(a.addon)}, bytes)
    print([first, await inWorker(a), await outcome(() => import(a))])`
  const { stdout, stderr, code } = await run(program, a)
  t.is(code, 0, stderr)
  const [first, worker, again] = JSON.parse(stdout)
  t.deepEqual([first, again], [5, 5])
  t.regex(
    worker,
    /^ERR_ADDON_LOAD: \S+torch_learner\.node has been replaced while this process had it loaded.*Restart the process$/,
  )
})

test.serial('a copy whose own libtorch is gone still shares the addon that is loaded', async t => {
  const [a, b] = [installedCopy(t), installedCopy(t)]
  const program = `
    const first = await outcome(() => import(a))
    process.env.LIBTORCH = '/nowhere'
    print([first, await outcome(() => import(b))])`
  const { stdout } = await run(program, a, b)
  t.deepEqual(JSON.parse(stdout), [5, 5])
})
