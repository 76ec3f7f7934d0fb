import test from 'ava'
import { mark, noGrad, ones, ops, randn, synchronize, synchronizeSync, type Tensor, tensor, zeros } from 'torch-learner'
import { runProgram } from './helpers/child.js'

// Whom an error is told, and whom not: 18-error-owner.test.ts.

const matrix = ones([2, 3])

test.serial('JavaScript does not wait for arithmetic', async t => {
  const a = randn([700, 700]).div(30)
  await a.data()
  const shares: number[] = []
  for (let attempt = 0; attempt < 5; attempt++) {
    const started = performance.now()
    let x = a
    for (let i = 0; i < 60; i++) x = x.mm(a)
    const queued = performance.now() - started
    await x.data()
    shares.push(queued / (performance.now() - started))
  }
  // had it waited, it would be 1 each time; a neighbour may hold up this thread now and then
  t.true(Math.min(...shares) < 0.5, `queuing took these shares of the time: ${shares.join(', ')}`)
})

test.serial('the event loop ticks while the stream computes', async t => {
  let x = randn([600, 600])
  for (let i = 0; i < 60; i++) x = x.mm(x).tanh()
  let ticks = 0
  const timer = setInterval(() => ticks++, 1)
  await x.data()
  clearInterval(timer)
  t.true(ticks > 5, `${ticks} ticks`)
})

test.serial('program order: in-place operators and views', async t => {
  const x = zeros([3])
  const before = x.clone()
  const view = x.select(0, 1)
  x.add_(1)
  const middle = x.clone()
  view.fill_(7)
  const after = x.mul(2)
  x.zero_()
  t.deepEqual(await before.toArray(), [0, 0, 0])
  t.deepEqual(await middle.toArray(), [1, 1, 1])
  t.deepEqual(await after.toArray(), [2, 14, 2])
  t.is(await view.item(), 0)
})

test.serial('a tensor may be disposed as soon as its last use is queued', async t => {
  const x = ones([100, 100])
  const y = x.mm(x)
  x.dispose()
  t.is(await y.sum().item(), 1e6)
})

test.serial('more operators than the queue holds', async t => {
  const x = zeros([1])
  for (let i = 0; i < 20_000; i++) x.add_(1)
  t.is(await x.item(), 20_000)
})

const shapesDiffer = {
  name: 'TorchLearnerError',
  code: 'ERR_OP_FAILED',
  message:
    /mat1 and mat2.*\(aten::mm\(Tensor self, Tensor mat2\) -> Tensor called with self: Float\[2, 3\], mat2: Float\[2, 3\]\)$/s,
}

test.serial('an operator that fails poisons what comes from it, with the first error', async t => {
  const bad = matrix.mm(matrix)
  const worse = bad.add(1).mm(tensor([1]))
  await t.throwsAsync(worse.data(), shapesDiffer)
  await t.throwsAsync(bad.item(), shapesDiffer)
  t.throws(() => bad.shape, shapesDiffer)
  t.throws(() => bad.dataSync(), shapesDiffer)
  await t.notThrowsAsync(matrix.data(), 'the arguments are unharmed')
  await t.notThrowsAsync(mark(), 'somebody was told')
})

test.serial('dtypes and lists in the message', async t => {
  const message = /tensors\[0\]: Float\[2, 3\], tensors\[1\]: Long\[1\]/
  await t.throwsAsync(ops.aten.cat([matrix, tensor([1], { dtype: 'int64' })]).data(), { message })
})

test.serial('several results are all poisoned', async t => {
  const [values, indices] = matrix.max(5)
  await t.throwsAsync(values.data(), { code: 'ERR_OP_FAILED', message: /out of range/ })
  await t.throwsAsync(indices.data(), { code: 'ERR_OP_FAILED', message: /out of range/ })
})

test.serial(
  'a failed in-place operator is told once, to who reads its target, and the target is usable then',
  async t => {
    const x = zeros([2])
    x.add_(ones([3]))
    await t.throwsAsync(x.data(), { code: 'ERR_OP_FAILED', message: /aten::add_/ })
    t.deepEqual(await x.toArray(), [0, 0])

    x.add_(ones([3]))
    await t.notThrowsAsync(matrix.data(), 'reading anything else')
    await t.notThrowsAsync(mark())
    await t.throwsAsync(x.mul(2).data(), { message: /aten::add_/ }, 'what is computed from it')
    t.deepEqual(await x.toArray(), [0, 0])

    x.add_(ones([3]))
    t.notThrows(() => synchronizeSync())
    t.throws(() => x.dataSync(), { message: /aten::add_/ })
    t.deepEqual(x.toArraySync(), [0, 0])
  },
)

test.serial('an in-place operator with a poisoned argument leaves its target as it was', async t => {
  const x = zeros([2, 2])
  const bad = matrix.mm(matrix)
  x.add_(bad)
  await t.throwsAsync(bad.data(), shapesDiffer)
  await t.throwsAsync(x.data(), shapesDiffer, 'what bad has told says nothing of x')
  t.deepEqual(await x.toArray(), [
    [0, 0],
    [0, 0],
  ])
})

test.serial('what was computed from a target before its failure was told stays poisoned', async t => {
  const x = zeros([2])
  x.add_(ones([3]))
  const y = x.mul(2)
  await t.throwsAsync(y.data(), { message: /aten::add_/ })
  await t.throwsAsync(y.data(), { message: /aten::add_/ })
  t.deepEqual(await x.toArray(), [0, 0])
})

test.serial('each of many failures is told where it is read', async t => {
  const failures: Tensor[] = []
  for (let i = 0; i < 200; i++) failures.push(matrix.mm(matrix))
  for (const bad of failures) await t.throwsAsync(bad.data())
  await t.notThrowsAsync(mark())
  await t.notThrowsAsync(synchronize())
})

test.serial('promised results reject, too', async t => {
  await t.throwsAsync(matrix.mm(matrix).equal(matrix), shapesDiffer)
  await t.throwsAsync(matrix.isNonzero(), { code: 'ERR_OP_FAILED' })
  t.throws(() => matrix.mm(matrix).unbind(), shapesDiffer)
})

test.serial('grad mode is that of the moment of queuing', async t => {
  const x = ones([1000, 1000], { requiresGrad: true })
  const busy = noGrad(() => x.mm(x).mm(x))
  const recorded = x.mul(2)
  const unrecorded = noGrad(() => x.mul(2))
  t.false(busy.requiresGrad)
  t.true(recorded.requiresGrad)
  t.false(unrecorded.requiresGrad)
})

const failing = 'const m = tl.ones([2, 3]);'

test.serial('a failure nobody awaited ends the program as an unhandled rejection', async t => {
  const { code, stderr } = await runProgram(`${failing} m.mm(m)`)
  t.is(code, 1)
  t.regex(stderr, /mat1 and mat2.*aten::mm/s)
  t.is(stderr.match(/mat1 and mat2/g)?.length, 1)
})

test.serial('a failure nobody awaited is printed when the program calls process.exit', async t => {
  const { code, stderr } = await runProgram(`${failing} m.mm(m); setTimeout(() => process.exit(0), 300)`)
  t.is(code, 0)
  t.regex(stderr, /nobody read its result: mat1 and mat2/)
})

test.serial('a failure that was awaited is not printed', async t => {
  const { code, stderr } = await runProgram(
    `${failing} await m.mm(m).add(1).data().catch(() => {}); await tl.synchronize()`,
  )
  t.is(code, 0)
  t.is(stderr, '')
})

test.serial('what is queued at the end of the program still runs', async t => {
  const { code, stdout } = await runProgram(
    `const shared = new Float32Array(new SharedArrayBuffer(400_000))
    process.on('exit', () => console.log(shared[0]))
    let x = tl.asTensor(shared)
    for (let i = 0; i < 500; i++) x.add_(1)`,
  )
  t.is(code, 0)
  t.is(stdout, '500\n')
})

test.serial('TORCH_LEARNER_SYNC=1 throws at the call', async t => {
  const { code, stdout, stderr } = await runProgram(
    `const matrix = tl.ones([2, 3])
    function culprit() { return matrix.mm(matrix) }
    try { culprit() } catch (error) { console.log(error.code, error.stack.includes('culprit')) }
    const x = tl.zeros([2])
    try { x.add_(tl.ones([3])) } catch (error) { console.log(error.code) }
    console.log(await x.toArray())
    try { tl.zeros([2]).backward() } catch (error) { console.log(error.code) }
    console.log(await tl.ones([2]).sum().item(), await tl.ones([1]).equal(tl.ones([1])))
    console.log(await matrix.isNonzero().catch(error => error.code))
    await tl.synchronize()`,
    { env: { TORCH_LEARNER_SYNC: '1' } },
  )
  t.is(stderr, '')
  t.is(code, 0)
  t.is(stdout, 'ERR_OP_FAILED true\nERR_OP_FAILED\n[ 0, 0 ]\nERR_OP_FAILED\n2 true\nERR_OP_FAILED\n')
})
