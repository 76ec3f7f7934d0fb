import test from 'ava'
import { getNumThreads, setNumThreads } from 'torch-learner'
import { runProgram } from './helpers/child.js'

// the threads of a process, counted after a parallel operator has run
const count = `import { readdirSync } from 'node:fs'
  const threads = () => readdirSync('/proc/self/task').length
  const work = async () => await tl.randn([600, 600]).mm(tl.randn([600, 600])).add(1).sum().item()`

test.serial('setNumThreads applies where operators run', async t => {
  const { stdout, code, stderr } = await runProgram(`${count}
    tl.setNumThreads(1)
    await work()
    const one = threads()
    tl.setNumThreads(5)
    await work()
    console.log(threads() - one, tl.getNumThreads())
    let x = tl.ones([1000, 1000], { requiresGrad: true })
    x.mul(2).exp().sum().backward()
    await x.grad.data()
    console.log(threads() - one)`)
  t.is(code, 0, stderr)
  t.is(stdout, '4 5\n4\n')
})

test.serial('one thread computes on one core', async t => {
  const { stdout } = await runProgram(`tl.setNumThreads(1)
    const a = tl.randn([800, 800])
    await a.mm(a).data()
    const [before, started] = [process.cpuUsage(), performance.now()]
    let x = a
    for (let i = 0; i < 20; i++) x = x.mm(a).tanh()
    await x.data()
    const { user, system } = process.cpuUsage(before)
    console.log((user + system) / 1000 / (performance.now() - started))`)
  t.true(Number(stdout) < 1.3, `${stdout} cores busy`)
})

test.serial('the results do not depend on the number of threads', async t => {
  const { stdout } = await runProgram(`tl.manualSeed(1)
    const a = tl.randn([300, 300])
    const results = []
    for (const threads of [1, 2, 3]) {
      tl.setNumThreads(threads)
      results.push(await a.mul(2).exp().add(a).relu().max().item())
    }
    console.log(new Set(results).size)`)
  t.is(stdout, '1\n')
})

test.serial('workers have their own number of threads', async t => {
  const { stdout, stderr } = await runProgram(`import { Worker } from 'node:worker_threads'
    tl.setNumThreads(1)
    const source = 'import * as tl from ' + JSON.stringify(import.meta.resolve('torch-learner')) +
      '; tl.setNumThreads(3); await tl.ones([2]).data(); console.log(tl.getNumThreads())'
    const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(source)))
    worker.on('exit', () => console.log(tl.getNumThreads()))`)
  t.is(stdout, '3\n1\n', stderr)
})

test.serial('bad arguments', t => {
  const before = getNumThreads()
  t.true(before >= 1)
  for (const bad of [0, -1, 1.5, Number.NaN, 1e9, '2', undefined]) {
    t.throws(() => setNumThreads(bad as never), { code: 'ERR_INVALID_ARG', message: /threads/ })
  }
  t.is(getNumThreads(), before)
})
