import test from 'ava'
import {
  type ErrorOrigin,
  mark,
  ones,
  onUnreadError,
  ops,
  scope,
  synchronize,
  synchronizeSync,
  type Tensor,
  TorchLearnerError,
  zeros,
} from 'torch-learner'
import { runProgram } from './helpers/child.js'
import { shortly } from './helpers/failures.js'

// Whom the error of an operator is told, and whom not. One test after the other: they count what nobody has read.

const wide = ones([2, 3])
/** An operator that fails on the stream. */
const failing = () => wide.mm(wide)
const spoil = (target: Tensor) => target.add_(ones([7]))
const shapes = { code: 'ERR_OP_FAILED', message: /mat1 and mat2/ } as const
const sizes = { code: 'ERR_OP_FAILED', message: /aten::add_/ } as const

/** What is told to nobody else while `body` runs, and shortly after it. */
async function unreadDuring(body: () => unknown): Promise<{ error: TorchLearnerError; count: number }[]> {
  const unread: { error: TorchLearnerError; count: number }[] = []
  const stop = onUnreadError((error, count) => unread.push({ error, count }))
  try {
    await body()
    await synchronize()
    await shortly()
  } finally {
    stop()
  }
  return unread
}

test.serial('two requests at once: each hears of its own failure alone', async t => {
  for (let i = 0; i < 200; i++) {
    const owner = async () => {
      const target = zeros([2])
      spoil(target)
      await new Promise(resolve => setImmediate(resolve))
      return await target.data().catch(error => error.code)
    }
    const other = async () => {
      await null
      await mark()
      await synchronize()
      synchronizeSync()
      return await ones([3]).sum().item()
    }
    t.deepEqual(await Promise.all([owner(), other()]), ['ERR_OP_FAILED', 3])
  }
})

test.serial('a failed in-place operator poisons all that shares its memory', async t => {
  const names: Record<string, (base: Tensor) => [target: Tensor, reader: Tensor]> = {
    'the view of a target': base => [base, base.select(0, 0)],
    'the base of a view': base => [base.view([2, 2]), base],
    'another view': base => [base.view([2, 2]), base.narrow(0, 1, 2)],
    detached: base => [base.detach(), base],
  }
  for (const [name, split] of Object.entries(names)) {
    const base = zeros([4])
    const [target, reader] = split(base)
    spoil(target)
    if (target !== base) target.dispose()
    const later = base.clone()
    await t.throwsAsync(reader.data(), sizes, name)
    t.deepEqual(await reader.sum().item(), 0, `${name}: told once, and as it was before`)
    t.deepEqual(await base.toArray(), [0, 0, 0, 0], name)
    await t.throwsAsync(later.data(), sizes, `${name}: what was computed meanwhile`)
  }
})

test.serial('views that the collector has taken leave the memory poisoned', async t => {
  const base = zeros([4])
  scope(() => spoil(base.view([2, 2])))
  await t.throwsAsync(base.item(), sizes)
})

test.serial('one cause is told once, however many targets it has reached', async t => {
  const [a, b] = [zeros([2, 2]), zeros([2, 2])]
  const bad = failing()
  a.add_(bad)
  b.add_(bad)
  a.mul_(2)
  await t.notThrowsAsync(wide.data())
  await t.throwsAsync(a.add(b).data(), shapes)
  for (const x of [a, b]) {
    t.deepEqual(await x.toArray(), [
      [0, 0],
      [0, 0],
    ])
  }
  const [c, d] = [zeros([2]), zeros([2])]
  spoil(c)
  spoil(d)
  await t.notThrowsAsync(wide.sum().item(), 'something unrelated')
  await t.throwsAsync(c.add(d).data(), sizes, 'depends on both')
  t.deepEqual(
    [await c.toArray(), await d.toArray()],
    [
      [0, 0],
      [0, 0],
    ],
  )
  const [e, f] = [zeros([2]), zeros([2])]
  spoil(e)
  spoil(f)
  await t.throwsAsync(e.data(), sizes)
  await t.throwsAsync(f.data(), sizes, 'two causes: each is told')
})

test.serial('a backward that fails is told by its tensor, its leaves and their gradients', async t => {
  const leaf = ones([3], { requiresGrad: true })
  const fail = (): Tensor => {
    const y = leaf.mul(2)
    y.backward()
    return y
  }
  for (let i = 0; i < 20; i++) {
    await t.throwsAsync(fail().data(), { message: /scalar outputs/ })
    t.is(leaf.grad, null)
    fail()
    t.throws(() => leaf.grad, { message: /scalar outputs/ })
    fail()
    await t.throwsAsync(leaf.sum().item(), { message: /scalar outputs/ })
    fail()
    await t.notThrowsAsync(wide.data())
    await t.throwsAsync(leaf.data(), { message: /scalar outputs/ })
    t.is(await leaf.sum().item(), 3)
  }
})

test.serial('promises of results and lists tell of what they depend on', async t => {
  const target = zeros([2])
  spoil(target)
  t.true(await wide.equal(wide))
  await t.throwsAsync(target.equal(target), sizes)
  spoil(target)
  t.is(wide.unbind(0).length, 2)
  t.throws(() => target.unbind(0), sizes)
  spoil(target)
  t.throws(() => target.itemSync(), sizes)
  t.throws(() => failing().dataSync(), shapes)
})

test.serial('a named scope: its errors say so, and its marks hear of them', async t => {
  const origin: ErrorOrigin = { run: 'request 17' }
  const inScope = scope(
    async () => {
      spoil(zeros([2]))
      await mark()
    },
    { name: 'request 17' },
  )
  const error = await t.throwsAsync(inScope, { ...sizes, instanceOf: TorchLearnerError })
  t.deepEqual(error?.origin, origin)
  t.regex(error?.message ?? '', /\), in request 17$/)
  t.is(error?.operator, 'aten::add_.Tensor')
  t.throws(() => scope(() => 0, { nom: 'x' } as object), { code: 'ERR_INVALID_ARG', message: /received "nom"/ })
  t.throws(() => scope(() => 0, { name: '' }), { code: 'ERR_INVALID_ARG' })
})

test.serial('named scopes side by side hear nothing of each other', async t => {
  const request = async (i: number) => {
    const bad = i % 2 === 0
    await scope(
      async () => {
        for (let k = 0; k < 20; k++) {
          if (bad && k === 5) spoil(zeros([2]))
          await new Promise(resolve => setImmediate(resolve))
          await mark()
        }
      },
      { name: `request ${i}` },
    )
  }
  const results = await Promise.allSettled(Array.from({ length: 40 }, (_, i) => request(i)))
  for (const [i, result] of results.entries()) {
    if (i % 2 === 1) t.is(result.status, 'fulfilled')
    else t.like(result, { status: 'rejected', reason: { origin: { run: `request ${i}` } } })
  }
})

test.serial('what nobody can read any more is reported once, with what is known of it', async t => {
  const unread = await unreadDuring(() => {
    failing().dispose()
    scope(() => {
      failing()
      spoil(zeros([2]))
    })
    scope(() => void failing(), { name: 'request 3' })
  })
  // one that is found a moment later comes in a call of its own
  const seen: Record<string, number> = {}
  for (const { error, count } of unread) {
    const what = `${error.operator} in ${error.origin?.run ?? 'the program'}`
    seen[what] = (seen[what] ?? 0) + count
  }
  t.deepEqual(seen, {
    'aten::add_.Tensor in the program': 1,
    'aten::mm in the program': 2,
    'aten::mm in request 3': 1,
  })
  t.deepEqual(await unreadDuring(() => wide.data()), [], 'once')
})

test.serial('what was read, or can still be read, is not reported', async t => {
  const kept = zeros([2])
  const unread = await unreadDuring(async () => {
    await scope(async () => {
      const bad = failing()
      await t.throwsAsync(bad.add(1).data(), shapes)
      spoil(kept)
    })
    await t.throwsAsync(
      scope(
        async () => {
          failing()
          throw new Error('mine')
        },
        { name: 'fails itself' },
      ),
      { message: 'mine' },
    )
  })
  t.deepEqual(unread, [])
  await t.throwsAsync(kept.data(), sizes)
})

test.serial('a warning, and the number of those that were left out', async t => {
  const warnings: (Error & { code?: string; operator?: string })[] = []
  const listen = (warning: Error) => warnings.push(warning)
  process.on('warning', listen)
  const message = /nobody read its result.*: The size of tensor a \(2\).*aten::sub_/
  for (let i = 0; i < 2000; i++)
    zeros([2])
      .sub_(ones([5]))
      .dispose()
  await synchronize()
  await shortly()
  process.off('warning', listen)
  const ours = warnings.filter(warning => message.test(warning.message))
  t.is(ours.length, 1, warnings.map(String).join('\n'))
  t.like(ours[0], { name: 'TorchLearnerWarning', code: 'ERR_OP_FAILED', operator: 'aten::sub_.Tensor' })
})

test.serial('a handler that throws is the program’s own error; a removed one is told nothing', async t => {
  const { code, stderr, stdout } = await runProgram(`
    const stop = tl.onUnreadError(() => console.log('removed'))
    stop()
    tl.onUnreadError(error => { console.log(error.code, error.operator); throw new Error('of the handler') })
    process.on('uncaughtException', error => console.log('uncaught', error.message))
    tl.ones([2, 3]).mm(tl.ones([2, 3])).dispose()
    await tl.synchronize()`)
  t.is(code, 0, stderr)
  t.is(stdout, 'ERR_OP_FAILED aten::mm\nuncaught of the handler\n')
  t.throws(() => onUnreadError(3 as never), { code: 'ERR_INVALID_ARG' })
})

const bad = 'tl.ones([2, 3]).mm(tl.ones([2, 3]))'

test.serial('a program never ends with success and silence', async t => {
  const ends: Record<string, [source: string, code: number, stderr: RegExp]> = {
    unread: [bad, 1, /TorchLearnerError: mat1 and mat2/],
    'in place': ['const x = tl.zeros([2]); x.add_(tl.zeros([3]))', 1, /TorchLearnerError: The size of tensor a/],
    'two of them': [`${bad}; tl.zeros([2]).add_(tl.zeros([3]))`, 1, /TorchLearnerError: mat1 and mat2/],
    'dropped before the end': [
      `${bad}.dispose(); setTimeout(() => {}, 100)`,
      1,
      /TorchLearnerWarning: .*mat1 and mat2/,
    ],
    'a backward': ['tl.ones([3], { requiresGrad: true }).mul(2).backward()', 1, /scalar outputs/],
    'process.exit': [`${bad}; process.exit(0)`, 0, /(TorchLearnerWarning|never awaited): .*mat1 and mat2/],
    'taken over': [
      `tl.onUnreadError(error => console.error('mine:', error.message)); ${bad}`,
      0,
      /^mine: mat1[^\n]*\n$/,
    ],
    'read elsewhere': [`${bad}; await tl.ones([2]).data()`, 1, /TorchLearnerError: mat1 and mat2/],
    caught: [`await ${bad}.data().catch(() => {})`, 0, /^$/],
  }
  for (const [name, [source, code, stderr]] of Object.entries(ends)) {
    const outcome = await runProgram(source)
    t.is(outcome.code, code, `${name}: ${outcome.stderr}`)
    t.regex(outcome.stderr, stderr, name)
  }
})

test.serial('TORCH_LEARNER_SYNC=1 throws at the operator, and poisons nothing', async t => {
  const { stdout } = await runProgram(
    `const x = tl.zeros([2])
    try { x.add_(tl.zeros([3])) } catch (error) { console.log(error.code, error.operator) }
    console.log(await x.toArray())
    try { tl.scope(() => ${bad}, { name: 'here' }) } catch (error) { console.log(error.origin.run) }
    const w = tl.ones([3], { requiresGrad: true })
    try { w.mul(2).backward() } catch (error) { console.log(error.operator) }
    console.log(w.grad, await tl.ones([2]).sum().item())`,
    { env: { TORCH_LEARNER_SYNC: '1' } },
  )
  t.is(stdout, 'ERR_OP_FAILED aten::add_.Tensor\n[ 0, 0 ]\nhere\naten::_backward\nnull 2\n')
})

// in scopes: what is left to the collector goes when it likes
const millions = {
  caught: `await tl.scope(() => ${bad}.data().catch(() => {}))`,
  'read on the spot': `tl.scope(() => { try { ${bad}.shape } catch {} })`,
  unread: `tl.scope(() => { ${bad} })`,
  'in place, unread': 'tl.scope(() => { tl.zeros([2]).add_(tl.zeros([3])) })',
  'in place, one target': 'x.add_(wrong); if (i % 100 === 0) await x.data().catch(() => {})',
  'in place, kept targets': 'kept[i % 500]?.dispose(); kept[i % 500] = tl.zeros([2]).add_(wrong)',
  backward: 'tl.scope(() => w.mul(2).backward()); if (i % 100 === 0) await w.data().catch(() => {})',
  'in a named scope': `tl.scope(() => { ${bad} }, { name: 'request ' + i % 1000 })`,
}

test.serial('operators that fail leave no memory behind, read or not', async t => {
  for (const [name, loop] of Object.entries(millions)) {
    const { code, stdout, stderr } = await runProgram(
      `tl.setNumThreads(1)
      const x = tl.zeros([2]), wrong = tl.zeros([3]), kept = []
      const w = tl.ones([3], { requiresGrad: true })
      let told = 0
      tl.onUnreadError((error, count) => { told += count })
      const rounds = async n => {
        for (let i = 0; i < n; i++) {
          ${loop}
          if (i % 2000 === 0) { await tl.mark(); await new Promise(resolve => setImmediate(resolve)) }
        }
        globalThis.gc()
      }
      await rounds(20000)
      const before = process.memoryUsage.rss()
      await rounds(40000)
      console.log((process.memoryUsage.rss() - before) / 2 ** 20, told)
      for (const one of kept) one.dispose()
      await x.data().catch(() => {})
      await w.data().catch(() => {})`,
      { flags: ['--expose-gc', '--max-semi-space-size=1'], seconds: 300 },
    )
    t.is(code, 0, stderr)
    const [grown, told] = stdout.split(' ').map(Number)
    t.log(`${name}: ${grown.toFixed(1)} MB, ${told} unread`)
    // 40,000 errors with their messages would be 20 MB and more
    t.true(grown < 16, `${name}: ${grown} MB`)
    if (name === 'unread') t.true(told > 55_000, `${told}`)
  }
})

test.serial('operators without results and targets belong to what they are called on', async t => {
  const x = zeros([2])
  ops.unsafe.aten._assert_async(x.sum())
  await t.notThrowsAsync(wide.data())
  const flag = zeros([])
  ops.unsafe.aten._assert_async(flag)
  await t.throwsAsync(flag.item(), { code: 'ERR_OP_FAILED' })
})
