import test from 'ava'
import { mark, ones, scope, synchronize, type Tensor, zeros } from 'torch-learner'
import { runProgram } from './helpers/child.js'

// Being told of a failure is a matter between a reader and what it reads: it must not let others use what is out of date.

const wide = ones([2, 3])
const failing = () => wide.mm(wide)
const spoil = (target: Tensor) => target.add_(ones([7]))
const shapes = { code: 'ERR_OP_FAILED', message: /mat1 and mat2/ } as const
const sizes = { code: 'ERR_OP_FAILED', message: /aten::add_/ } as const
const turn = () => new Promise(resolve => setImmediate(resolve))

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
  let go = (): void => undefined
  const owner = scope(
    async () => {
      spoil(shared)
      await new Promise<void>(resolve => {
        go = resolve
      })
      return await shared.data()
    },
    { name: 'owner' },
  )
  for (let i = 0; i < 3; i++) await t.throwsAsync(shared.data(), sizes, 'the program, as often as it reads')
  const stranger = scope(() => shared.sum().item(), { name: 'stranger' })
  await t.throwsAsync(stranger, sizes)
  go()
  await t.throwsAsync(owner, { ...sizes, message: /in owner$/ })
  t.is(await shared.sum().item(), 0, 'told to its own run, it is over')
  const marking = scope(
    async () => {
      spoil(shared)
      await turn()
      await mark().catch(() => undefined)
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
  let go = (): void => undefined
  const first = scope(
    async () => {
      spoil(shared)
      await new Promise<void>(resolve => {
        go = resolve
      })
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
  go()
  await t.throwsAsync(first, sizes)
  t.is(await shared.sum().item(), 0)
  await synchronize()
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
