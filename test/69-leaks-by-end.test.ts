// Nothing is left in native memory, however a tensor, an operator or a fit ends.
import test from 'ava'
import { runProgram } from './helpers/child.js'

const setUp = `
  import { readFileSync } from 'node:fs'
  const { native } = await import(${JSON.stringify(new URL('../dist/native/index.js', import.meta.url).href)})
  tl.setNumThreads(1)
  tl.manualSeed(1)
  const one = tl.ones([1])
  const [matrix, source] = [tl.ones([2, 3]), new Float32Array(4)]
  const shared = new Float32Array(new SharedArrayBuffer(16))
  const samples = Array.from({ length: 64 }, (_, i) => [new Float32Array(12).fill(i), i % 3])
  const loader = new tl.DataLoader(samples, { bs: 8 })
  const batch = () => [tl.randn([4, 3]), tl.randint(0, 3, [4])]
  function learner(...cbs) {
    const data = { train: [batch(), batch(), batch()], valid: [batch()] }
    const learn = new tl.Learner(data, new tl.nn.Linear(3, 3), { lossFunc: new tl.CrossEntropyLossFlat(), cbs })
    learn.logger = () => undefined
    return learn.removeCb(tl.ProgressCallback)
  }
  const [plain, mixed] = [learner(), learner(new tl.MixUp())]
  async function endsWith(learn, act) {
    const controller = new AbortController()
    const stop = new tl.Callback({ afterBatch: ({ learn }) => void (learn.iter === 1 && act(controller)) })
    await learn.fit(1, { cbs: stop, signal: controller.signal }).then(
      () => { throw new Error('it went on') },
      () => undefined)
  }
  const status = () => 1024 * Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1])
  async function settle() {
    await tl.synchronize()
    for (let i = 0; i < 3; i++) {
      globalThis.gc()
      await new Promise(resolve => setTimeout(resolve, 5))
    }
    await tl.synchronize()
  }`

interface End {
  /** What is done again and again. */
  act: string
  /** How often in a round. */
  times: number
  /** So many bytes may RSS grow by for each; undefined where a round is too short to tell. */
  bytes?: number
}

const ends: Record<string, End> = {
  'made of a number and disposed': { act: 'tl.tensor(1).dispose()', times: 50_000, bytes: 30 },
  'made by an operator and disposed': { act: 'tl.ones([1]).dispose()', times: 50_000, bytes: 30 },
  'made of an array and disposed': { act: 'tl.asTensor(source).dispose()', times: 50_000, bytes: 30 },
  'made on shared memory and disposed': { act: 'tl.asTensor(shared).dispose()', times: 30_000, bytes: 40 },
  'a list of results': {
    act: 'for (const x of tl.ops.unsafe.aten._foreach_add([one], 1)) x.dispose()',
    times: 10_000,
    bytes: 100,
  },
  'the state of the generator': { act: 'tl.rng.getState().dispose()', times: 2000, bytes: 500 },
  'left to a scope': { act: 'tl.scope(() => { one.add(1).mul(2) })', times: 20_000, bytes: 60 },
  'a scope that throws': { act: 'try { tl.scope(() => { one.add(1); throw 1 }) } catch {}', times: 20_000, bytes: 60 },
  'an operator that fails, and is read': {
    act: 'await tl.scope(() => matrix.mm(matrix).data()).catch(() => 0)',
    times: 3000,
    bytes: 400,
  },
  'a call that is refused': { act: 'try { one.add("x") } catch {}', times: 3000, bytes: 400 },
  'read as a copy, and shared': { act: 'await one.data(); await one.data({ copy: false })', times: 2000, bytes: 500 },
  gradients: {
    act: `tl.scope(() => {
      const w = tl.ones([3], { requiresGrad: true })
      tl.grad(w.mul(2).sum(), [w])
      w.mul(3).sum().backward()
      w.grad.add(1)
    })`,
    times: 2000,
    bytes: 500,
  },
  'batches of a loader': {
    act: 'for await (const parts of loader) for (const x of parts) x.dispose()',
    times: 600, // RSS moves by a megabyte or two by itself
    bytes: 8 * 300,
  },
  'a pass that is left early': {
    act: 'for await (const parts of loader) { for (const x of parts) x.dispose(); break }',
    times: 150,
  },
  'a fit': { act: 'await plain.fit(1)', times: 15 },
  'a fit with MixUp': { act: 'await mixed.fit(1)', times: 15 },
  'a fit that is aborted': { act: 'await endsWith(plain, controller => controller.abort())', times: 15 },
  'a fit that throws': { act: "await endsWith(mixed, () => { throw new Error('mine') })", times: 15 },
}

for (const [name, { act, times, bytes }] of Object.entries(ends)) {
  test.serial(`nothing is left: ${name}`, async t => {
    const { code, stdout, stderr } = await runProgram(
      `${setUp}
      const rounds = []
      for (let round = 0; round < 7; round++) {
        for (let i = 0; i < ${times}; i++) {
          ${act}
          if (i % ${Math.ceil(times / 400)} === 0) await tl.mark()
        }
        await settle()
        rounds.push({ ...native.stats(), rss: status() })
      }
      console.log(JSON.stringify(rounds))`,
      { seconds: 180, flags: ['--expose-gc', '--max-semi-space-size=1'] },
    )
    t.is(code, 0, stderr)
    const rounds: { tensors: number; bytes: number; slots: number; rss: number }[] = JSON.parse(stdout)
    const late = rounds.slice(2)
    const seen = JSON.stringify(rounds.map(({ tensors, slots, rss }) => [tensors, slots, Math.round(rss / 1024)]))
    const [before, after] = [late[0], late[late.length - 1]]
    t.true(after.tensors <= before.tensors, `tensors: ${seen}`)
    t.true(after.bytes <= before.bytes, `bytes: ${seen}`)
    // a late thread may need a few more at once (few, since marks wait for it), but not one for each
    t.true(after.slots - before.slots < Math.max(64, times / 10), `slots: ${seen}`)
    const least =
      Math.min(...late.slice(-2).map(({ rss }) => rss)) - Math.min(...late.slice(0, 2).map(({ rss }) => rss))
    if (bytes !== undefined) t.true(least / (3 * times) < bytes, `${least / (3 * times)} bytes for each: ${seen}`)
  })
}
