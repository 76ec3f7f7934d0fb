// Every option and every kind of input with every way of mixing. What is told in docs/mixing.md, method by method.
import test from 'ava'
import {
  Callback,
  CrossEntropyLossFlat,
  CutMix,
  type DType,
  drawCutmix,
  EVENTS,
  FMix,
  hostRandom,
  Learner,
  type Loss,
  type MixHandler,
  type MixOptions,
  MixUp,
  MSELossFlat,
  manualSeed,
  nn,
  noneReduce,
  ResizeMix,
  rand,
  randint,
  randn,
  type Tensor,
  tensor,
} from 'torch-learner'
import { assertNumbers } from './helpers/golden.js'
import { tinyLearner } from './helpers/learning.js'

type Options = Omit<MixOptions, 'alpha'> & { masks?: boolean }

const methods: Record<string, (options?: Options) => MixHandler> = {
  MixUp: options => new MixUp({ alpha: 1, lambdaFold: false, ...options }),
  CutMix: options => new CutMix({ alpha: 1, minmax: [0.3, 0.8], ...options }),
  ResizeMix: options => new ResizeMix({ scale: [0.3, 0.8], ...options }),
  FMix: options => new FMix({ alpha: 5, ...options }),
}
const regions = ['CutMix', 'ResizeMix', 'FMix']

interface Mixed {
  xb: Tensor[]
  yb: Tensor[]
  lam: number[]
  partners: number[]
  loss: Tensor
}

/** One training batch through a callback; the last column of the targets tells who was whose partner. */
async function mix(
  callback: MixHandler,
  batch: Tensor[],
  lossFunc: Loss = new MSELossFlat(),
  pred?: Tensor,
): Promise<Mixed> {
  const learn = new Learner({ train: [], nInp: 1 }, new nn.Flatten(), { lossFunc, defaultCbs: false, cbs: callback })
  return learn.session(async () => {
    learn.training = true
    learn.epoch = 0
    learn.split(batch)
    await learn.emit(['beforeTrain', 'beforeBatch'])
    const lam = callback.lam ? Array.from(await callback.lam.data(), Number) : []
    const last = callback.yb1.at(-1)
    const partners = last && last.ndim === 1 ? Array.from(await last.data(), Number) : []
    const loss = pred ? learn.lossFunc(pred, ...learn.yb) : tensor(0)
    return { xb: learn.xb.map(x => x.keep()), yb: learn.yb.map(y => y.keep()), lam, partners, loss: loss.keep() }
  })
}

const numbers = async (x: Tensor) => Array.from(await x.to({ dtype: 'float64' }).flatten().data(), Number)
const ids = (n: number) => tensor(Float64Array.from({ length: n }, (_, i) => i))

for (const [name, make] of Object.entries(methods)) {
  const isRegion = regions.includes(name)

  test.serial(`${name}: floating inputs keep their dtype, and mix to the same picture`, async t => {
    const x = rand([4, 3, 8, 8]).mul(200)
    const run = async (dtype: DType) => {
      manualSeed(31)
      const input = x.to({ dtype })
      const before = await numbers(input)
      const { xb } = await mix(make({ mode: 'elem' }), [input, ids(4)])
      t.deepEqual(await numbers(input), before, 'the input is untouched')
      t.is(xb[0]?.dtype, dtype)
      return numbers(xb[0] as Tensor)
    }
    const exact = await run('float64')
    for (const [dtype, atol] of [
      ['float32', 1e-3],
      ['float16', 0.4],
      ['bfloat16', 3],
    ] as const) {
      assertNumbers(t, await run(dtype), exact, { atol, rtol: 0 }, dtype)
    }
    if (!isRegion) {
      const refused = mix(make(), [x.to({ dtype: 'uint8' }), ids(4)]).then(({ xb }) => xb[0]?.data())
      await t.throwsAsync(refused, { message: /uint8|Byte|integer/ })
      return
    }
    const bytes = await run('uint8')
    assertNumbers(t, bytes, exact, { atol: 2, rtol: 0 }, 'uint8')
  })

  test.serial(`${name}: a batch of one`, async t => {
    manualSeed(33)
    for (const mode of ['elem', 'pair', 'batch'] as const) {
      const x = randn([1, 3, 8, 8])
      const y = tensor([2], { dtype: 'int64' })
      const pred = randn([1, 3])
      const lossFunc = new CrossEntropyLossFlat()
      const { xb, loss } = await mix(make({ mode }), [x, y], lossFunc, pred)
      t.deepEqual(xb[0]?.shape, [1, 3, 8, 8])
      if (name !== 'ResizeMix') assertNumbers(t, await numbers(xb[0] as Tensor), await numbers(x))
      assertNumbers(t, [await loss.item()], [await lossFunc(pred, y).item()], { rtol: 1e-5 })
    }
  })

  test.serial(`${name}: shapes of inputs`, async t => {
    const shapes = [[4], [4, 5], [4, 2, 6], [4, 2, 6, 6], [4, 2, 3, 6, 6]]
    for (const shape of shapes) {
      const run = mix(make(), [randn(shape), ids(4)])
      if (!isRegion || shape.length >= 4) t.deepEqual((await run).xb[0]?.shape, shape)
      else await t.throwsAsync(run, { code: 'ERR_CALLBACK', message: /pictures of shape/ })
    }
  })

  test.serial(`${name}: who shares weight and region, by mode`, async t => {
    manualSeed(35)
    for (const mode of ['elem', 'pair', 'batch'] as const) {
      const n = 6
      const x = ids(n).view([n, 1, 1, 1]).expand([n, 1, 8, 8]).contiguous()
      const { xb, lam, partners } = await mix(make({ mode }), [x, ids(n)], classLoss)
      t.is(lam.length, mode === 'batch' ? 1 : n)
      t.deepEqual(
        partners.toSorted((a, b) => a - b),
        [0, 1, 2, 3, 4, 5],
      )
      const pictures = (await xb[0]?.toArray()) as number[][][][]
      for (const [i, partner] of partners.entries()) {
        const kept = Number(lam[lam.length > 1 ? i : 0])
        t.true(kept > 0 && kept <= 1)
        const pixels = (pictures[i] as number[][][]).flat(2)
        // whatever the method: the mean lies between the two by lambda, and no pixel outside
        const mean = pixels.reduce((sum, value) => sum + value, 0) / pixels.length
        assertNumbers(t, [mean], [kept * i + (1 - kept) * partner], { atol: 1e-4 })
        t.true(Math.min(...pixels) >= Math.min(i, partner) - 1e-5 && Math.max(...pixels) <= Math.max(i, partner) + 1e-5)
        if (mode !== 'pair') continue
        t.is(partners[partner], i)
        t.is(lam[partner], lam[i])
      }
      if (mode === 'elem') t.true(new Set(lam).size > 1)
    }
  })

  test.serial(`${name}: prob leaves samples, pairs or batches as they are`, async t => {
    manualSeed(37)
    let [left, all] = [0, 0]
    for (let i = 0; i < 60; i++) {
      const { lam, xb, loss } = await mix(make({ mode: 'elem', prob: 0.25 }), [randn([8, 1, 8, 8]), ids(8)], classLoss)
      t.is(loss.ndim, 0)
      t.is(xb.length, 1)
      left += lam.length === 0 ? 8 : lam.filter(value => value === 1).length
      all += 8
    }
    t.true(Math.abs(left / all - 0.75) < 0.09, `${left} of ${all}`)
    const x = randn([4, 1, 8, 8])
    for (const mode of ['elem', 'pair', 'batch'] as const) {
      const never = await mix(make({ mode, prob: 0 }), [x, ids(4)])
      t.is(never.xb[0], x)
      t.deepEqual(never.lam, [])
    }
  })

  test.serial(`${name}: class weights and ignored classes, as documented: a plain mean over the samples`, async t => {
    manualSeed(39)
    const y = tensor([0, 1, 2, 1, 0, 2], { dtype: 'int64' })
    const pred = randn([6, 3])
    for (const options of [{ weight: [0.2, 1, 3] }, { ignoreIndex: 1 }, { weight: [0.2, 1, 3], ignoreIndex: 2 }]) {
      for (const lossFunc of [new CrossEntropyLossFlat(options), new nn.CrossEntropyLoss(options)]) {
        const callback = make({ mode: 'elem' })
        const { lam, partners, loss } = await mix(callback, [randn([6, 1, 8, 8]), y], lossFunc, pred)
        const each = noneReduce(lossFunc, unreduced => unreduced(pred, y))
        const others = noneReduce(lossFunc, unreduced => unreduced(pred, tensor(partners, { dtype: 'int64' })))
        const weights = tensor(lam)
        const expected = await each
          .mul(weights)
          .add(others.mul(weights.neg().add(1)))
          .mean()
          .item()
        assertNumbers(t, [await loss.item()], [expected], { rtol: 1e-5, atol: 1e-6 })
      }
    }
  })

  test.serial(`${name}: offEpoch, and smoothed labels, mixed or not`, async t => {
    manualSeed(41)
    const seen: boolean[] = []
    const off = make({ offEpoch: 1 })
    const look = new Callback({ order: 1, runValid: false, beforeBatch: () => void seen.push(off.lam !== null) })
    await tinyLearner({ batches: [2, 1], cbs: [off, look] }).fit(2)
    t.deepEqual(seen, [true, true, false, false])

    const shares = tensor([0, 2, 1, 1], { dtype: 'int64' }).oneHot(3).to({ dtype: 'float32' })
    for (const prob of [0, 1]) {
      const { yb } = await mix(make({ labelSmoothing: 0.3, prob }), [randn([4, 1, 8, 8]), shares])
      assertNumbers(t, await numbers((yb[0] as Tensor).sum(1)), [1, 1, 1, 1], { atol: 1e-6 })
      t.true((await (yb[0] as Tensor).min().item()) >= 0.1 - 1e-6)
    }
    const y = tensor([0, 2, 1, 1], { dtype: 'int64' })
    const pred = randn([4, 3])
    const lossFunc = new CrossEntropyLossFlat()
    const { lam, partners, loss } = await mix(make({ labelSmoothing: 0.3 }), [randn([4, 1, 8, 8]), y], lossFunc, pred)
    const smooth = new nn.CrossEntropyLoss({ reduction: 'none', labelSmoothing: 0.3 })
    const own = smooth(pred, y)
    const others = smooth(pred, tensor(partners, { dtype: 'int64' }))
    const weights = tensor(lam)
    const expected = own
      .mul(weights)
      .add(others.mul(weights.neg().add(1)))
      .mean()
    assertNumbers(t, [await loss.item()], [await expected.item()], { rtol: 1e-5 })
  })

  test.serial(`${name}: the loss is right after an abort at any event`, async t => {
    const learn = tinyLearner({ batches: [2, 1] })
    const { lossFunc } = learn
    for (const event of EVENTS.filter(one => one !== 'afterCreate')) {
      const aborting = new AbortController()
      const abort = new Callback({ [event]: () => aborting.abort(new Error('enough')) })
      await learn.fit(1, { cbs: [make(), abort], signal: aborting.signal }).catch((error: Error) => {
        t.is(error.message, 'enough', event)
      })
      t.is(learn.lossFunc, lossFunc, event)
      t.is(lossFunc.reduction, 'mean')
      t.deepEqual([learn.mixed, learn.softTargets], [null, false])
    }
    await learn.fit(1)
  })

  if (!isRegion) continue

  test.serial(`${name}: segmentation masks, weighed by default, cut along when asked for`, async t => {
    manualSeed(43)
    const x = ids(4).view([4, 1, 1, 1]).expand([4, 1, 8, 8]).contiguous()
    const y = randint(0, 3, [4, 8, 8])
    const pred = randn([4, 3, 8, 8])
    const lossFunc = new CrossEntropyLossFlat({ axis: 1 })
    const plain = await mix(make({ mode: 'elem' }), [x, y], lossFunc, pred)
    t.is(plain.yb[0], y)
    t.true(Number.isFinite(await plain.loss.item()))
    manualSeed(44)
    const cut = await mix(make({ mode: 'elem', masks: true, random: derangement }), [x, y], lossFunc, pred)
    assertNumbers(t, [await cut.loss.item()], [await lossFunc(pred, cut.yb[0] as Tensor).item()], { rtol: 1e-6 })
    const classes = new Set(await numbers(cut.yb[0] as Tensor))
    t.true([...classes].every(value => [0, 1, 2].includes(value)))
    // outside of the region mask and picture are the sample's own
    const stays = (cut.xb[0] as Tensor).eq(x).squeeze(1)
    const same = (cut.yb[0] as Tensor).eq(y).logicalOr(stays.logicalNot())
    t.is(await same.all().to({ dtype: 'int64' }).item(), 1)
  })
}

/** Nobody is their own partner. */
const derangement = {
  ...hostRandom,
  permutation: (n: number) => Int32Array.from({ length: n }, (_, i) => n - 1 - i),
}

/** For class numbers given as numbers: its losses are mixed, so that partners can be read off. */
const classLoss: Loss = Object.assign((pred: Tensor) => pred.sum(), { yInt: true })

test('correctLam: false weighs by the share that was drawn, as timm can', async t => {
  const random = {
    beta: (_: number, n: number) => new Float32Array(n).fill(0.51),
    permutation: (n: number) => Int32Array.from({ length: n }, (_, i) => n - 1 - i),
    integer: () => 0,
  }
  const [drawn, measured] = [false, true].map(correctLam => drawCutmix(4, 10, 10, 1, { random, correctLam }))
  t.deepEqual(drawn?.boxes, measured?.boxes)
  assertNumbers(t, [...(drawn?.lam ?? [])], [0.51], { atol: 1e-7 })
  t.true(Number(measured?.lam[0]) > 0.8, 'three quarters of the box stick out')
  const { lam } = await mix(new CutMix({ random, correctLam: false }), [randn([4, 1, 10, 10]), ids(4)])
  assertNumbers(t, lam, [0.51], { atol: 1e-7 })
  const some = drawCutmix(4, 10, 10, 1, {
    random: { ...random, beta: (_, n) => Float32Array.from({ length: n }, (_, i) => i / n) },
    correctLam: false,
    mode: 'elem',
    prob: 0.6,
  })
  t.is(some?.lam.filter(value => value === 1).length, 1)
  const code = 'ERR_INVALID_ARG'
  t.throws(() => drawCutmix(4, 10, 10, 1, { correctLam: 1 } as object), { code })
  t.throws(() => drawCutmix(4, 10, 10, 1, { correctLam: false, minmax: [0.1, 0.2] }), { code, message: /minmax/ })
  t.throws(() => new CutMix({ correctLam: false, minmax: [0.1, 0.2] }), { code, message: /minmax/ })
  t.throws(() => new CutMix({ correctLam: 'no' } as object), { code, message: /correctLam/ })
})

test.serial('alpha as a schedule of progress, for each that has one', async t => {
  for (const make of [
    (alpha: (pct: number) => number) => new MixUp({ alpha }),
    (alpha: (pct: number) => number) => new CutMix({ alpha }),
    (alpha: (pct: number) => number) => new FMix({ alpha }),
  ]) {
    const asked: number[] = []
    const seen: boolean[] = []
    const callback = make(pct => {
      asked.push(Math.round(pct * 4))
      return pct < 0.5 ? 0 : 2
    })
    const look = new Callback({ order: 1, runValid: false, beforeBatch: () => void seen.push(callback.lam !== null) })
    await tinyLearner({ batches: [2, 0], cbs: [callback, look] }).fit(2)
    t.deepEqual(
      [asked, seen],
      [
        [0, 1, 2, 3],
        [false, false, true, true],
      ],
    )
  }
})
