import test from 'ava'
import { mark, noGrad, ones, optim, scope, synchronize, type Tensor, zeros } from 'torch-learner'
import { runProgram } from './helpers/child.js'
import { gate, turn } from './helpers/failures.js'

// Being told of a failure is a matter between a reader and what it reads: it must not let others use what is out of date.

const wide = ones([2, 3])
const failing = () => wide.mm(wide)
const spoil = (target: Tensor) => target.add_(ones([7]))
const shapes = { code: 'ERR_OP_FAILED', message: /mat1 and mat2/ } as const
const sizes = { code: 'ERR_OP_FAILED', message: /aten::add_/ } as const

test.serial('one cause, two targets: being told of the one says nothing of the other', async t => {
  const [a, b, c] = [zeros([2, 2]), zeros([2, 2]), zeros([2, 2])]
  const bad = failing()
  a.add_(bad)
  b.add_(bad)
  c.add_(b)
  await t.throwsAsync(a.data(), shapes)
  t.is(await a.sum().item(), 0)
  await t.throwsAsync(c.data(), shapes, 'depends on b')
  t.is(await b.sum().item(), 0, 'c has told of b, too')
  t.is(await c.sum().item(), 0)
  a.add_(bad)
  b.add_(bad)
  await t.throwsAsync(bad.data(), shapes)
  await t.throwsAsync(b.data(), shapes)
  await t.throwsAsync(a.data(), shapes)
})

test.serial('an in-place operator recorded after its cause was told', async t => {
  const bad = failing()
  await t.throwsAsync(bad.data(), shapes)
  const total = ones([2, 2])
  total.add_(bad)
  await t.throwsAsync(total.data(), shapes)
  t.is(await total.sum().item(), 4)
  const late = scope(
    () => {
      const acc = ones([2, 2])
      acc.add_(bad)
      return acc.data()
    },
    { name: 'late' },
  )
  await t.throwsAsync(late, shapes)
})

test.serial('two scopes, one cause: each is told', async t => {
  for (let i = 0; i < 50; i++) {
    const bad = failing()
    const request = (name: string) =>
      scope(
        async () => {
          const acc = ones([2, 2])
          acc.add_(bad)
          await turn()
          return await acc.data()
        },
        { name },
      )
    const ends = await Promise.allSettled([request('A'), request('B'), bad.data()])
    t.deepEqual(
      ends.map(end => end.status),
      ['rejected', 'rejected', 'rejected'],
    )
  }
})

test.serial('a result of two causes tells of both, but only whoever reads it', async t => {
  const [a, b] = [zeros([2]), zeros([2])]
  spoil(a)
  spoil(b)
  const both = a.add(b)
  await t.throwsAsync(a.data(), sizes)
  await t.throwsAsync(b.data(), sizes)
  await t.throwsAsync(both.data(), sizes)
  spoil(a)
  spoil(b)
  await t.throwsAsync(b.add(a).mul(2).add(a).data(), sizes)
  t.deepEqual([await a.sum().item(), await b.sum().item()], [0, 0])
})

test.serial('a result without a value that an in-place operator adds to depends on both', async t => {
  const b = zeros([2, 2])
  const [x, y] = [failing(), spoil(b)]
  await t.throwsAsync(x.add_(y).data(), shapes)
  t.is(await b.sum().item(), 0)
})

test.serial('reads that were recorded before the first of them had been told see it, too', async t => {
  const target = zeros([2])
  spoil(target)
  const ends = await Promise.allSettled([target.data(), target.sum().item(), target.data(), wide.sum().item()])
  t.deepEqual(
    ends.map(end => end.status),
    ['rejected', 'rejected', 'rejected', 'fulfilled'],
  )
  t.is(await target.sum().item(), 0)
})

test.serial('read by others first: whoever recorded it hears of it all the same', async t => {
  const shared = zeros([2])
  const { opened, open } = gate()
  const owner = scope(
    async () => {
      spoil(shared)
      await opened
      return await shared.data()
    },
    { name: 'owner' },
  )
  for (let i = 0; i < 3; i++) await t.throwsAsync(shared.data(), sizes, 'the program, as often as it reads')
  const stranger = scope(() => shared.sum().item(), { name: 'stranger' })
  await t.throwsAsync(stranger, sizes)
  open()
  await t.throwsAsync(owner, { ...sizes, message: /in owner$/ })
  t.is(await shared.sum().item(), 0, 'told to its own run, it is over')
  const marking = scope(
    async () => {
      spoil(shared)
      await turn()
      await t.throwsAsync(mark(), sizes)
      await t.notThrowsAsync(mark(), 'once')
      await t.throwsAsync(shared.data(), sizes, 'a mark says nothing of the target')
      return await shared.sum().item()
    },
    { name: 'marks' },
  )
  t.is(await marking, 0)
})

test.serial('the program’s own failure, told to a scope that rejects with it, is over', async t => {
  const shared = zeros([2])
  spoil(shared)
  await t.throwsAsync(
    scope(() => shared.data(), { name: 'request' }),
    sizes,
  )
  t.is(await shared.sum().item(), 0)
  const nested = scope(
    async () => {
      spoil(shared)
      const inner = scope(() => shared.data(), { name: 'inner' }) // a place of the same run
      await t.throwsAsync(inner, sizes)
      return await shared.sum().item()
    },
    { name: 'outer' },
  )
  t.is(await nested, 0)
})

test.serial('a scope that ends with a failure which only others were told of', async t => {
  const shared = zeros([2])
  await scope(
    async () => {
      spoil(shared)
      await turn()
    },
    { name: 'over' },
  )
  await t.throwsAsync(shared.data(), sizes)
  t.is(await shared.sum().item(), 0)
})

test.serial('what an operator on spoiled memory of another run leaves out is told to both', async t => {
  const shared = zeros([2])
  const { opened, open } = gate()
  const first = scope(
    async () => {
      spoil(shared)
      await opened
      await mark()
    },
    { name: 'first' },
  )
  const second = scope(
    async () => {
      for (let i = 0; i < 10; i++) shared.add_(1)
      await turn()
      await mark()
    },
    { name: 'second' },
  )
  await t.throwsAsync(second, sizes)
  open()
  await t.throwsAsync(first, sizes)
  t.is(await shared.sum().item(), 0)
  await synchronize()
})

test.serial('a scope that resolves has told nobody, whoever read meanwhile', async t => {
  const shared = zeros([2])
  const { opened, open } = gate()
  const owner = scope(
    async () => {
      spoil(shared)
      await opened
    },
    { name: 'owner' },
  )
  await t.throwsAsync(shared.data(), sizes, 'a monitor')
  open()
  await owner
  await t.throwsAsync(shared.data(), sizes)
  t.is(await shared.sum().item(), 0)
})

test.serial('two runs fail on one tensor: each is told, in whatever order', async t => {
  const shared = zeros([2])
  const { opened, open } = gate()
  const first = scope(
    async () => {
      spoil(shared)
      await opened
      await t.throwsAsync(shared.data(), sizes, 'first')
      return await shared.sum().item()
    },
    { name: 'first' },
  )
  const second = scope(
    async () => {
      shared.add_(1)
      await t.throwsAsync(shared.data(), sizes, 'second')
    },
    { name: 'second' },
  )
  await second
  open()
  t.is(await first, 0)
})

test.serial('reading something else never hears of it, nor is it told thereby', async t => {
  const [target, healthy] = [zeros([2]), ones([2])]
  await scope(
    async () => {
      spoil(target)
      t.is(await healthy.sum().item(), 2)
      t.deepEqual([...healthy.dataSync()], [1, 1])
      t.is(healthy.grad, null)
      await t.throwsAsync(target.data(), sizes)
    },
    { name: 'request' },
  )
})

test.serial('a gradient that could not be changed, and one that could not be added to', async t => {
  const weight = ones([2], { requiresGrad: true })
  const opt = new optim.SGD([weight], { lr: 1 })
  weight.mul(2).sum().backward()
  const gradient = weight.grad as Tensor
  spoil(gradient)
  opt.step()
  await t.throwsAsync(weight.data(), sizes, 'no step with the unchanged gradient')
  t.deepEqual([...(await weight.data())], [1, 1])
  t.deepEqual([...(await gradient.data())], [2, 2])

  weight.mul(failing().sum()).sum().backward()
  t.throws(() => weight.grad, shapes, 'the backward of a loss without a value')
  weight.mul(failing().sum()).sum().backward()
  await t.throwsAsync(gradient.data(), shapes, 'a handle of the gradient, from before')
  weight.mul(failing().sum()).sum().backward()
  opt.step()
  await t.throwsAsync(weight.data(), shapes)
  opt.step()
  t.deepEqual([...(await weight.data())], [-1, -1])
})

test.serial('a backward that fails where another run has failed is told, too', async t => {
  const weight = ones([2], { requiresGrad: true })
  const request = scope(() => noGrad(() => spoil(weight)).data(), { name: 'request' })
  const loss = weight.mul(2) // of what is out of date: the program hears of that, too
  loss.backward()
  await t.throwsAsync(request, sizes)
  t.throws(() => weight.grad, sizes)
})

test.serial('more failures than a run holds on to, and workers that end with some', async t => {
  const many = await runProgram(
    `const x = tl.ones([2, 3]), y = tl.zeros([2])
    let told = 0
    tl.onUnreadError((error, count) => { told += count })
    await tl.scope(async () => { for (let i = 0; i < 3000; i++) x.mm(x).dispose() }, { name: 'request' })
    const failed = await tl.scope(async () => {
      for (let i = 0; i < 3000; i++) tl.zeros([2]).add_(tl.zeros([3])).dispose()
      await tl.mark()
    }, { name: 'marks' }).catch(error => error.operator)
    await tl.synchronize()
    for (let i = 0; i < 200 && told < 3000; i++) await new Promise(resolve => setTimeout(resolve, 50))
    console.log(failed, told >= 3000)`,
  )
  t.is(many.code, 0, many.stderr)
  t.is(many.stdout, 'aten::add_.Tensor true\n')
  const workers = await runProgram(
    `import { Worker } from 'node:worker_threads'
    const source = \`Promise.all([import('torch-learner'), import('node:worker_threads')]).then(([tl, { parentPort }]) => {
      const x = tl.ones([2, 3])
      const go = () => { for (let i = 0; i < 20; i++) x.mm(x).dispose(); setImmediate(go) }
      go()
      parentPort.postMessage('at work')
    })\`
    for (let i = 0; i < 4; i++) {
      const worker = new Worker(source, { eval: true, stderr: true })
      await new Promise((resolve, reject) => { worker.once('message', resolve); worker.once('error', reject) })
      await new Promise(resolve => setTimeout(resolve, 20))
      await worker.terminate()
    }
    console.log('ended')`,
    { seconds: 120 },
  )
  t.is(workers.code, 0, workers.stderr)
  t.is(workers.stdout, 'ended\n')
})

test.serial('with TORCH_LEARNER_SYNC=1 nobody hears of what another was told', async t => {
  const { stdout, stderr } = await runProgram(
    `const fails = fn => { try { fn(); return 'fine' } catch (error) { return error.code } }
    console.log(fails(() => tl.zeros([2]).split(-1)), fails(() => tl.ones([2]).add(1)))`,
    { env: { TORCH_LEARNER_SYNC: '1' } },
  )
  t.is(stdout, 'ERR_OP_FAILED fine\n', stderr)
})

test.serial('long chains of failures, and failures without end', async t => {
  const { code, stdout, stderr } = await runProgram(
    `const wrong = tl.zeros([3]), shared = tl.zeros([2])
    let last = tl.zeros([2]).add_(wrong)
    for (let i = 0; i < 50000; i++) {
      const next = tl.zeros([2])
      next.add_(last)
      last.dispose()
      last = next
      if (i % 2000 === 0) await tl.mark()
    }
    console.log(await last.data().catch(error => error.operator))
    shared.add_(wrong)
    for (let i = 0; i < 20000; i++) {
      tl.scope(() => { shared.add_(1) }, { name: 'request ' + i })
      if (i % 1000 === 0) await tl.mark()
    }
    console.log(await shared.data().catch(error => error.operator), await shared.sum().item())
    let sum = tl.zeros([2])
    for (let i = 0; i < 200; i++) sum = tl.scope(() => sum.add(tl.zeros([2]).add_(wrong)))
    console.log(await sum.data().catch(error => error.operator))`,
    { seconds: 300 },
  )
  t.is(code, 0, stderr)
  t.is(stdout, 'aten::add_.Tensor\naten::add_.Tensor 0\naten::add_.Tensor\n')
})
