import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import test from 'ava'
import { ones } from 'torch-learner'
import { runProgram } from './helpers/child.js'

const packageUrl = new URL('../dist/index.js', import.meta.url).href

function worker(body: string): Worker {
  const source = `import { parentPort } from 'node:worker_threads'
    import * as tl from ${JSON.stringify(packageUrl)}
    ${body}`
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { execArgv: [] })
}

const products = (count: number) => `const big = tl.randn([1500, 1500])
  let x = big
  for (let i = 0; i < ${count}; i++) x = x.mm(big).tanh()`
const busy = products(40)
/** A queue of minutes on a machine of a few cores: whoever waits for it is found out by {@link SOON}. */
const long = products(1500)
/** Milliseconds within which Node starts and ends, even with other programs at work beside it. */
const SOON = 30_000

test.serial('several workers and the main thread compute side by side', async t => {
  const workers = [1, 2, 3].map(k =>
    worker(`let x = tl.zeros([50, 50])
      for (let i = 0; i < 300; i++) x = tl.scope(() => x.add(${k}))
      const w = tl.ones([3], { requiresGrad: true })
      w.mul(${k}).sum().backward()
      parentPort.postMessage([await x.max().item(), await w.grad.toArray()])`),
  )
  let mine = ones([50, 50])
  for (let i = 0; i < 300; i++) mine = mine.add(1)
  const exits = Promise.all(workers.map(async one => (await once(one, 'exit'))[0]))
  const answers = await Promise.all(workers.map(async one => (await once(one, 'message'))[0]))
  t.deepEqual(
    answers,
    [1, 2, 3].map(k => [300 * k, [k, k, k]]),
  )
  t.is(await mine.max().item(), 301)
  t.deepEqual(await exits, [0, 0, 0])
})

test.serial('errors, grad mode and handles of one environment are not those of another', async t => {
  const one = worker(`const told = await tl.ones([2, 3]).add_(tl.ones([7])).data().catch(error => error.code)
    parentPort.postMessage([told, tl.memoryStats().tensors < 50])`)
  const [message] = await once(one, 'message')
  t.deepEqual(message, ['ERR_OP_FAILED', true])
  t.is(await ones([2]).sum().item(), 2)
})

test.serial('a failure nobody awaited is the error of its worker', async t => {
  const one = worker('tl.ones([2, 3]).mm(tl.ones([2, 3]))')
  const [error] = await once(one, 'error')
  t.regex(error.message, /mat1 and mat2/)
})

test.serial('workers are terminated in the middle of their work', async t => {
  for (let i = 0; i < 4; i++) {
    const one = worker(`${long}
      parentPort.postMessage('busy')
      await x.data()`)
    await once(one, 'message')
    await sleep(20 * i)
    const started = performance.now()
    await one.terminate()
    t.true(performance.now() - started < SOON)
  }
  t.is(await ones([2]).sum().item(), 2, 'the main thread goes on')
})

const ending = `${busy}; console.log('busy');`
const crash = /segfault|abort|terminate|core dumped|FATAL|Assertion|exception/i

test.serial('process.exit in the middle of a computation', async t => {
  for (const program of [
    `${long}; setTimeout(() => process.exit(0), 50)`,
    `${long}; process.exit(0)`,
    `const huge = tl.randn([4000, 4000]); huge.mm(huge).mm(huge); setTimeout(() => process.exit(0), 200)`,
    `process.on('exit', () => { tl.ones([3]).add(1).dataSync() }); ${ending} process.exit(0)`,
    `${ending} x.data().then(() => {}); await tl.mark(); process.exit(0)`,
  ]) {
    const { code, signal, stderr, ms } = await runProgram(program, { seconds: 120 })
    t.is(signal, null, program)
    t.is(code, 0, program)
    t.notRegex(stderr, crash)
    if (!program.includes('mark') && !program.includes('Sync')) t.true(ms < SOON, `${ms} ms: ${program}`)
  }
})

test.serial('the exit code is the one asked for', async t => {
  t.is((await runProgram(`${ending} process.exit(7)`)).code, 7)
  t.is((await runProgram(`${ending} throw new Error('mine')`)).code, 1)
  t.is((await runProgram(`${ending} process.exitCode = 3; setTimeout(() => process.exit(), 50)`)).code, 3)
})

test.serial('process.exit while workers compute', async t => {
  const { code, signal, stderr } = await runProgram(`
    import { Worker } from 'node:worker_threads'
    const source = ${JSON.stringify(`import * as tl from ${JSON.stringify(packageUrl)}\n${busy}\nawait x.data()`)}
    const url = new URL('data:text/javascript,' + encodeURIComponent(source))
    for (let i = 0; i < 2; i++) new Worker(url)
    ${busy}
    setTimeout(() => process.exit(0), 1500)`)
  t.is(signal, null)
  t.is(code, 0)
  t.notRegex(stderr, crash)
})

test.serial('a pending promise keeps the process alive, an idle addon does not', async t => {
  const pending = await runProgram(`${busy}; x.data().then(data => console.log(data.length))`)
  t.is(pending.stdout, '2250000\n')
  t.is(pending.code, 0)
  const idle = await runProgram(`const x = tl.ones([3]); await x.data(); await tl.mark()`)
  t.is(idle.code, 0)
  t.true(idle.ms < SOON)
})

test.serial('an idle stream sleeps', async t => {
  const { stdout } = await runProgram(`await tl.ones([3]).data()
    await new Promise(resolve => setTimeout(resolve, 100))
    const before = process.cpuUsage()
    await new Promise(resolve => setTimeout(resolve, 500))
    const { user, system } = process.cpuUsage(before)
    console.log((user + system) / 1000)`)
  t.true(Number(stdout) < 100, `${stdout} ms of CPU in 500 ms of idling`)
})
