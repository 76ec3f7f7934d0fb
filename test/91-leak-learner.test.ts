// The Learner's loops, run again and again, however they end: neither handles nor memory grow.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { runProgram } from './helpers/child.js'

/** Bytes that memory may grow by in as many turns as a loop has: one batch left over at each would be more. */
const RSS_LIMIT = 8 * 2 ** 20

const setUp = (path: string) => `
  const { nn } = tl
  tl.manualSeed(1)
  tl.setNumThreads(1)
  // a batch takes 256 KB: one that is left over at each turn is seen in the end
  const set = new tl.TensorDataset(tl.randn([48, 4, 32, 32]), tl.randint(0, 3, [48]))
  const dls = new tl.DataLoaders(
    new tl.DataLoader(set, { bs: 16, shuffle: true, seed: 1 }), new tl.DataLoader(set, { bs: 16 }), { path: ${JSON.stringify(path)} })
  const make = () => {
    const model = new nn.Sequential(
      new nn.Conv2d(4, 4, 3, { stride: 4 }), new nn.BatchNorm2d(4), new nn.Flatten(), new nn.Dropout(0.1), new nn.Linear(256, 3))
    const learn = new tl.Learner(dls, model, {
      lossFunc: new tl.CrossEntropyLossFlat(), metrics: [tl.accuracy, new tl.F1Score({ average: 'macro' }), tl.RocAuc] })
    learn.removeCb([tl.ProgressCallback, tl.Recorder]).addCb(new tl.Recorder({ trainMetrics: true }))
    learn.logger = () => undefined
    return learn
  }
  const learn = make()
  const item = tl.randn([4, 32, 32])
  const free = (...tensors) => { for (const tensor of tensors) tensor?.dispose() }
  const at = (iter, act) => new tl.Callback({ afterPred: cb => { if (cb.learn.iter === iter) return act(cb.learn) } })
  const failing = async run => { try { await run() } catch (error) { if (!/on purpose|must match|size of tensor/.test(String(error))) throw error } }
  let other = make()
  async function measure(turn, turns) {
    const settle = async () => {
      await tl.mark()
      globalThis.gc()
      await new Promise(resolve => setTimeout(resolve, 20))
      globalThis.gc()
      tl.emptyCache()
      return { rss: process.memoryUsage().rss, heap: process.memoryUsage().heapUsed, tensors: tl.memoryStats().tensors }
    }
    for (let i = 0; i < turns / 2; i++) await turn(i)
    let before = await settle()
    for (let window = 1; ; window++) {
      for (let i = 0; i < turns; i++) await turn(i)
      const after = await settle()
      const grown = Object.fromEntries(Object.keys(after).map(key => [key, after[key] - before[key]]))
      // what leaks does so every time; allocators, which take more once in a while, don't
      if (grown.rss < ${RSS_LIMIT} || window === 3) return grown
      before = after
    }
  }`

const loops: Record<string, readonly [turns: number, body: string]> = {
  'fit, with MixUp': [60, `learn.fitOneCycle(1, { cbs: new tl.MixUp(0.4) })`],
  validate: [100, `learn.validate()`],
  getPreds: [
    80,
    `learn.getPreds({ withInput: true, withLoss: true, withDecoded: true })
      .then(({ preds, targs, losses, decoded, inputs }) => free(preds, targs, losses, decoded, inputs))`,
  ],
  predict: [
    200,
    `learn.predict(item, { withInput: true }).then(({ decoded, probs, input }) => free(decoded, probs, input))`,
  ],
  tta: [40, `learn.tta({ n: 2 }).then(({ preds, targs }) => free(preds, targs))`],
  lrFind: [40, `learn.lrFind({ numIt: 6 })`],
  'checkpoints, and going on from them': [
    40,
    `(async () => {
      const saving = () => [new tl.Checkpoint({ everyBatches: 1, resume: true }), new tl.ModelEMA()]
      await failing(() => learn.fit(1, { cbs: [...saving(), at(2, () => { throw new Error('on purpose') })] }))
      await learn.fit(1, { cbs: saving() })
    })()`,
  ],
  'averaged weights, and batch norms recomputed': [
    60,
    `learn.fit(1, { cbs: new tl.StochasticWeightAveraging({ start: 0, everyBatches: 1 }) })`,
  ],
  'an abort': [
    80,
    `(async () => {
      const stop = new AbortController()
      await failing(() => learn.fit(1, { signal: stop.signal, cbs: at(1, () => stop.abort(new Error('on purpose'))) }))
    })()`,
  ],
  'an error in a callback': [
    80,
    `failing(() => learn.fit(1, { cbs: at(1, () => { throw new Error('on purpose') }) }))`,
  ],
  'an error in an operator': [
    80,
    `failing(() => learn.fit(1, { cbs: at(1, learn => { learn.pred = learn.pred.add(tl.ones([7])) }) }))`,
  ],
  'Learners made and dropped': [30, `(async () => { other.opt?.dispose(); other = make(); await other.fit(1) })()`],
}

for (const [name, [turns, body]] of Object.entries(loops)) {
  test.serial(`${turns} times: ${name}`, async t => {
    const path = await mkdtemp(join(tmpdir(), 'torch-learner-leak-'))
    const program = `${setUp(path)}
      console.log(JSON.stringify(await measure(i => ${body}, ${turns})))`
    const flags = ['--expose-gc', '--max-semi-space-size=1']
    const { code, stdout, stderr } = await runProgram(program, { seconds: 200, flags })
    await rm(path, { recursive: true })
    t.is(code, 0, stderr)
    const { rss, heap, tensors } = JSON.parse(stdout)
    const mb = (bytes: number) => (bytes / 2 ** 20).toFixed(1)
    t.log(`RSS ${mb(rss)} MB, JavaScript ${mb(heap)} MB, ${tensors} handles`)
    // dropped Learners' parameters wait for the garbage collector
    t.true(tensors <= (name.startsWith('Learners') ? 60 : 0), `${tensors} handles more`)
    t.true(rss < RSS_LIMIT, `RSS grew by ${mb(rss)} MB`)
    t.true(heap < 2 ** 20, `JavaScript's heap grew by ${mb(heap)} MB`)
  })
}
