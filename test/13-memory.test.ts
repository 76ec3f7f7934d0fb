import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import {
  asTensor,
  memoryStats,
  noGrad,
  ones,
  operator,
  scope,
  scopeSize,
  synchronize,
  type Tensor,
  tensor,
  zeros,
} from 'torch-learner'
import { runProgram } from './helpers/child.js'

const disposed = { name: 'TorchLearnerError', code: 'ERR_DISPOSED', message: /already disposed/ }
const gc = async () => {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await sleep(5)
  }
  await synchronize()
}

test.serial('scope frees what it does not return', async t => {
  const kept: Tensor[] = []
  const result = scope(() => {
    const a = ones([2])
    const b = a.add(1)
    kept.push(a, b)
    t.is(scopeSize(), 2)
    return b.mul(2)
  })
  t.deepEqual(await result.toArray(), [4, 4])
  for (const x of kept) {
    t.true(x.isDisposed)
    t.throws(() => x.shape, disposed)
    t.throws(() => x.add(1), disposed)
    t.throws(() => ones([2]).add(x), disposed)
    await t.throwsAsync(x.data(), disposed)
    t.throws(() => x.keep(), disposed)
  }
  t.is(scopeSize(), 0)
})

test.serial('scope returns tensors alone, in arrays, in objects, in maps', t => {
  const make = () => ones([1])
  const [alone, [first, { inner }], map, other] = scope(() => {
    make()
    return [make(), [make(), { inner: make(), none: null, text: 'x' }], new Map([['k', make()]]), 3] as const
  })
  for (const x of [alone, first, inner, map.get('k')]) t.false(x?.isDisposed)
  t.is(other, 3)
  t.is(
    scope(() => 'text'),
    'text',
  )
  t.is(
    scope(() => undefined),
    undefined,
  )
})

test.serial('scopes nest: what an inner one returns belongs to the outer one', t => {
  let inner: Tensor | undefined
  const before = ones([1])
  const outer = scope(() => {
    inner = scope(() => ones([1]).add(before))
    t.false(inner.isDisposed)
    return inner.mul(2)
  })
  t.true(inner?.isDisposed)
  t.false(outer.isDisposed)
  t.false(before.isDisposed, 'made outside')
})

test.serial('a scope returning an argument of an outer scope leaves it there', t => {
  scope(() => {
    const x = ones([1])
    scope(() => x)
    t.false(x.isDisposed)
  })
})

test.serial('async scope', async t => {
  let temporary: Tensor | undefined
  const result = await scope(async () => {
    temporary = ones([3])
    await sleep(1)
    const sum = temporary.sum()
    await sum.data()
    return { sum, list: [ones([1])] }
  })
  t.true(temporary?.isDisposed)
  t.is(await result.sum.item(), 3)
  t.false(result.list[0].isDisposed)
})

test.serial('scopes free on throw and on rejection', async t => {
  let x: Tensor | undefined
  t.throws(
    () =>
      scope(() => {
        x = ones([1])
        throw new Error('sync')
      }),
    { message: 'sync' },
  )
  t.true(x?.isDisposed)
  await t.throwsAsync(
    scope(async () => {
      x = ones([1])
      await sleep(1)
      throw new Error('async')
    }),
    { message: 'async' },
  )
  t.true(x?.isDisposed)
})

test.serial('two async scopes interleaved keep their tensors apart', async t => {
  const mine: Tensor[] = []
  const yours: Tensor[] = []
  const slow = scope(async () => {
    for (let i = 0; i < 5; i++) {
      mine.push(ones([1]))
      await sleep(4)
    }
    t.true(yours.every(x => x.isDisposed))
    return mine.map(x => x.isDisposed)
  })
  const fast = scope(async () => {
    for (let i = 0; i < 5; i++) {
      yours.push(ones([1]))
      await sleep(1)
    }
  })
  await fast
  t.deepEqual(await slow, [false, false, false, false, false])
  t.true(mine.every(x => x.isDisposed))
})

test.serial('code that outlives its scope makes tensors in the one around it', async t => {
  let late: Promise<Tensor> | undefined
  await scope(async () => {
    const outer = await scope(async () => {
      late = sleep(5).then(() => ones([1]))
      return ones([1])
    })
    t.false((await late)?.isDisposed)
    t.false(outer.isDisposed)
  })
  t.true((await late)?.isDisposed)
})

test.serial('keep() escapes every scope', async t => {
  const x = scope(() =>
    scope(() => {
      const made = ones([2]).keep()
      made.add(1)
      return [made][0].shape.length > 0 ? { hidden: () => made } : null
    }),
  )
  const made = x?.hidden()
  t.false(made?.isDisposed)
  t.deepEqual(await made?.toArray(), [1, 1])
  made?.dispose()
})

test.serial('dispose twice, using, and tensors of tensors', async t => {
  const x = ones([2])
  const y = x.add(1)
  x.dispose()
  x.dispose()
  t.true(x.isDisposed)
  t.deepEqual(await y.toArray(), [2, 2])
  let inside: Tensor
  {
    using z = ones([2])
    inside = z
    t.false(z.isDisposed)
  }
  t.true(inside.isDisposed)
})

test.serial('a view keeps the memory of what it views', async t => {
  const view = scope(() => ones([4]).mul(3).select(0, 2))
  t.is(await view.item(), 3)
})

test.serial('handles are counted, and stale ones are told apart from new ones', async t => {
  await gc()
  const before = memoryStats().tensors
  const x = ones([1])
  t.is(memoryStats().tensors, before + 1)
  x.dispose()
  const y = ones([1])
  t.throws(() => x.data === undefined || x.shape, disposed)
  t.deepEqual(y.shape, [1])
  y.dispose()
  t.is(memoryStats().tensors, before)
})

test.serial('a handle counts the same however often its tensor is written in place', async t => {
  await gc()
  const before = memoryStats().tensors
  scope(() => {
    const [out, index] = [zeros([0]), zeros([0], { dtype: 'int64' })]
    const max = operator('aten::max')
    for (let i = 0; i < 10; i++) max(ones([2, 2]), 1, false, { max: out, max_values: index })
    noGrad(() => out.add_(1))
    t.is(memoryStats().tensors, before + 12)
  })
  t.is(memoryStats().tensors, before)
})

test.serial('the collector frees what was forgotten', async t => {
  await gc()
  const before = memoryStats().tensors
  for (let i = 0; i < 5000; i++) ones([1]).add(1)
  await gc()
  t.true(memoryStats().tensors - before < 100, `${memoryStats().tensors - before} left`)
})

test.serial('memory lent by asTensor is given back', async t => {
  const collected: string[] = []
  const registry = new FinalizationRegistry<string>(name => collected.push(name))
  const lend = (name: string) => {
    const memory = new Float32Array(new SharedArrayBuffer(4_000_000))
    registry.register(memory.buffer, name)
    return asTensor(memory)
  }
  const held = lend('held')
  scope(() => lend('scope').add(1))
  lend('disposed').dispose()
  await held.data()
  for (let i = 0; i < 20 && collected.length < 2; i++) await gc()
  t.deepEqual(collected.sort(), ['disposed', 'scope'])
  t.is(await held.sum().item(), 0)
  held.dispose()
  for (let i = 0; i < 20 && collected.length < 3; i++) await gc()
  t.is(collected.length, 3)
})

const megabytes = `const rss = () => process.memoryUsage().rss / 2 ** 20
  const big = tl.ones([1024, 1024])
  await big.data()
  const start = rss()`

const loops: Record<string, string> = {
  'scope, without ever waiting':
    'for (let i = 0; i < 3000; i++) tl.scope(() => { big.add(1).mul(2) }); await tl.synchronize()',
  'dispose, without ever waiting': 'for (let i = 0; i < 3000; i++) big.add(1).dispose(); await tl.synchronize()',
  'async scope': 'for (let i = 0; i < 1000; i++) await tl.scope(async () => { await big.add(1).sum().item() })',
  'the collector alone': 'for (let i = 0; i < 3000; i++) { big.add(1); if (i % 8 === 0) await tl.mark() }',
}
for (const [name, loop] of Object.entries(loops)) {
  test.serial(`4 MB tensors in a loop: ${name}`, async t => {
    const { code, stdout, stderr } = await runProgram(`${megabytes}
      let peak = 0
      const timer = setInterval(() => { peak = Math.max(peak, rss()) }, 5)
      ${loop}
      clearInterval(timer)
      console.log(Math.max(peak, rss()) - start)`)
    t.is(code, 0, stderr)
    // of 12 GB; the collector waits for some garbage to be worth it
    t.true(Number(stdout) < (name.includes('collector') ? 1500 : 120), `${name}: ${stdout} MB more`)
  })
}

test.serial('the allocator keeps freed blocks up to its limit', async t => {
  const { code, stdout } = await runProgram(
    `for (let k = 0; k < 3; k++) tl.scope(() => { for (let i = 0; i < 40; i++) tl.ones([2 ** 18 * (i + 1)]) })
    await tl.synchronize()
    const held = tl.memoryStats().cachedBytes
    tl.emptyCache()
    console.log(held > 0 && held <= 64 * 2 ** 20, tl.memoryStats().cachedBytes)`,
    { env: { TORCH_LEARNER_CACHE_MB: '64' } },
  )
  t.is(code, 0)
  t.is(stdout, 'true 0\n')
})

test.serial('a typed array read from a tensor outlives it', async t => {
  const data = await scope(
    async () =>
      await tensor(Float32Array.from({ length: 10_000 }, (_, i) => i))
        .add(0)
        .data(),
  )
  await gc()
  t.is(data[9999], 9999)
})
