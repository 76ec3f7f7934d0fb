// Models with several outputs, from the loss to files of predictions; predictions of sets that don't fit in memory.
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import {
  AccumMetric,
  Callback,
  CrossEntropyLossFlat,
  DataLoader,
  DataLoaders,
  FetchPreds,
  Learner,
  loadSafetensors,
  MixedPrecision,
  MixUp,
  manualSeed,
  memoryStats,
  nn,
  type OutputsLearnerOptions,
  type OutputsLoss,
  Recorder,
  randint,
  randn,
  synchronize,
  type Tensor,
  TensorDataset,
  tensor,
} from 'torch-learner'
import { assertNumbers } from './helpers/golden.js'
import { tinyBatches, tinyLearner, tinyModel, weightsOf } from './helpers/learning.js'
import { noneLeft } from './helpers/memory.js'
import { temporaryFolder } from './helpers/pictures.js'

/** Scores of three classes, and a number. */
class TwoHeads extends nn.Module<[Tensor], Tensor[]> {
  body = new nn.Linear(4, 8)
  kind = new nn.Linear(8, 3)
  size = new nn.Linear(8, 1)
  forward(x: Tensor): Tensor[] {
    const inner = this.body(x).relu()
    return [this.kind(inner), this.size(inner)]
  }
}

const crossEntropy = new CrossEntropyLossFlat({ reduction: 'none' })

/** One value per sample unless it is told to reduce. */
const bothLosses = (): OutputsLoss => {
  const loss: OutputsLoss = ([kind, size], y, z) => {
    const each = crossEntropy(kind as Tensor, y as Tensor).add(
      (size as Tensor)
        .flatten()
        .sub(z as Tensor)
        .square(),
    )
    return loss.reduction === 'none' ? each : each.mean()
  }
  return Object.assign(loss, {
    reduction: 'mean' as const,
    activation: ([kind, size]: readonly Tensor[]) => [(kind as Tensor).softmax(-1), size as Tensor],
    decodes: ([kind, size]: readonly Tensor[]) => [(kind as Tensor).argmax(-1), (size as Tensor).round()],
  })
}

function twoHeads(options: Partial<OutputsLearnerOptions> = {}, rows = 16): { learn: Learner; model: TwoHeads } {
  manualSeed(1)
  const model = new TwoHeads()
  const set = new TensorDataset(randn([rows, 4]), randint(0, 3, [rows]), randn([rows]))
  const dls = new DataLoaders(new DataLoader(set, { bs: 4, shuffle: true }), new DataLoader(set, { bs: 6 }), {
    nInp: 1,
  })
  const learn = new Learner(dls, model, { lossFunc: bothLosses(), ...options })
  learn.logger = () => undefined
  learn.removeCb(learn.cbs.filter(cb => cb.name === 'progress'))
  return { learn, model }
}

const numbers = async (x: Tensor | undefined | null) => (x ? Array.from(await x.data(), Number) : [])

test.serial('a model of two outputs trains; loss and metrics get both, callbacks see both', async t => {
  const seen: number[] = []
  const look = new Callback({
    afterPred({ learn: { preds, pred, output } }) {
      seen.push(preds.length)
      t.true(Array.isArray(output) && pred === preds[0])
    },
  })
  const sizeError = ([, size]: readonly Tensor[], _: Tensor, z: Tensor) =>
    (size as Tensor).flatten().sub(z).abs().mean()
  const worst = new AccumMetric((preds: Tensor | readonly Tensor[], _, z) => {
    const [, size] = preds as readonly Tensor[]
    return (size as Tensor)
      .flatten()
      .sub(z as Tensor)
      .abs()
      .max()
  }, 'worst')
  const { learn, model } = twoHeads({ metrics: [sizeError, worst], cbs: look })
  const before = weightsOf(model.size)
  await learn.fit(3, { lr: 0.01 })
  t.deepEqual([...new Set(seen)], [2])
  t.notDeepEqual(weightsOf(model.size), before)
  const [, valid, error, most] = learn.recorder.values.at(-1) ?? []
  t.true(Number(valid) < Number(learn.recorder.values[0]?.[1]))
  const { otherPreds = [], otherTargs = [] } = await learn.getPreds()
  const gaps = otherPreds[0]
    ?.flatten()
    .sub(otherTargs[0] as Tensor)
    .abs() as Tensor
  assertNumbers(t, [Number(error), Number(most)], [await gaps.mean().item(), await gaps.max().item()], { rtol: 1e-5 })
  await learn.fitOneCycle(1, { cbs: new MixedPrecision() })
  t.true(Number.isFinite(learn.recorder.losses.at(-1)))
  t.true((await learn.summary()).includes('TwoHeads'))
})

test.serial('MixedPrecision widens every output', async t => {
  const seen: string[] = []
  const { learn } = twoHeads()
  const look = new Callback({ order: 20, afterPred: cb => void seen.push(...cb.learn.preds.map(pred => pred.dtype)) })
  await learn.fit(1, { cbs: [new MixedPrecision({ dtype: 'bfloat16' }), look] })
  t.deepEqual([...new Set(seen)], ['float32'])
})

test.serial('MixUp mixes the loss of all outputs', async t => {
  const half = {
    beta: (_: number, n: number) => new Float32Array(n).fill(0.75),
    permutation: (n: number) => Int32Array.from({ length: n }, (_, i) => n - 1 - i),
    integer: () => 0,
  }
  const seen: [number, number][] = []
  const { learn } = twoHeads({ metrics: ([kind]: readonly Tensor[]) => (kind as Tensor).sum() })
  learn.removeCb(Recorder)
  learn.addCb(new Recorder({ trainMetrics: true }))
  const look = new Callback({
    order: 60,
    async afterLoss({ learn: it }) {
      if (!it.training) return
      const [y, z] = it.yb as [Tensor, Tensor]
      const flip = (x: Tensor) => x.flip([0])
      const own = bothLosses()(it.preds, y, z)
      const partners = bothLosses()(it.preds, flip(y), flip(z))
      seen.push([Number(await it.loss?.item()), (await own.item()) * 0.75 + (await partners.item()) * 0.25])
    },
  })
  await learn.fit(1, { cbs: [new MixUp({ random: half }), look] })
  t.is(seen.length, 4)
  for (const [found, expected] of seen) assertNumbers(t, [found], [expected], { rtol: 1e-5 })
})

test.serial('getPreds, predict and tta of several outputs', async t => {
  const { learn, model } = twoHeads()
  const found = await learn.getPreds({ withDecoded: true, withLoss: true, withInput: true })
  const { preds, otherPreds, decoded, otherDecoded, targs, otherTargs, inputs, losses } = found
  t.deepEqual([preds.shape, otherPreds?.[0]?.shape, otherPreds?.length], [[16, 3], [16, 1], 1])
  t.deepEqual([decoded?.shape, otherDecoded?.[0]?.shape, losses?.shape], [[16], [16, 1], [16]])
  const [kind, size] = model.eval()(inputs as Tensor) as [Tensor, Tensor]
  assertNumbers(t, await numbers(preds), await numbers(kind.softmax(-1)))
  assertNumbers(t, await numbers(otherPreds?.[0]), await numbers(size))
  const each = crossEntropy(kind, targs as Tensor).add(
    size
      .flatten()
      .sub(otherTargs?.[0] as Tensor)
      .square(),
  )
  assertNumbers(t, await numbers(losses), await numbers(each), { rtol: 1e-5 })
  const raw = await learn.getPreds({ act: pred => pred.mul(2) })
  assertNumbers(t, await numbers(raw.otherPreds?.[0]), await numbers(size.mul(2)))

  const one = await learn.predict((inputs as Tensor).select(0, 3))
  assertNumbers(t, await numbers(one.probs), await numbers(preds.select(0, 3)))
  assertNumbers(t, await numbers(one.otherProbs?.[0]), await numbers(otherPreds?.[0]?.select(0, 3)))
  assertNumbers(t, await numbers(one.otherDecoded?.[0]), await numbers(otherDecoded?.[0]?.select(0, 3)))
  t.is(one.label, await one.decoded.item())

  const tta = await learn.tta({ n: 2 })
  assertNumbers(t, await numbers(tta.preds), await numbers(preds), { rtol: 1e-5 })
  assertNumbers(t, await numbers(tta.otherPreds?.[0]), await numbers(size), { rtol: 1e-5 })
  t.deepEqual(tta.otherTargs?.[0]?.shape, [16])
  t.is((await learn.tta({ n: 1, useMax: true })).otherPreds?.length, 1)
})

test.serial('outputs can be replaced one by one or together', async t => {
  const { learn } = twoHeads()
  const [a, b, c] = [tensor([1]), tensor([2]), tensor([3])]
  const set = (values: Partial<Pick<Learner, 'output' | 'pred' | 'preds'>>) => {
    Object.assign(learn, values)
    return { output: learn.output, pred: learn.pred, preds: learn.preds }
  }
  t.deepEqual(set({ output: [a, b] }), { output: [a, b], pred: a, preds: [a, b] })
  t.deepEqual(set({ pred: c }), { output: [c, b], pred: c, preds: [c, b] })
  t.deepEqual(set({ preds: [b] }), { output: [b], pred: b, preds: [b] })
  t.deepEqual(set({ pred: null }), { output: null, pred: null, preds: [] })
  t.deepEqual(set({ preds: [a] }), { output: a, pred: a, preds: [a] })
  t.deepEqual(set({ pred: b }), { output: b, pred: b, preds: [b] })
  t.deepEqual(set({ preds: [] }), { output: null, pred: null, preds: [] })
})

test.serial('what a model may not return', async t => {
  const outputs: unknown[] = [7, [], [tensor([1]), 2], { kind: tensor([1]) }, null]
  for (const wrong of outputs) {
    class Odd extends nn.Module {
      weight = new nn.Parameter(tensor([1]))
      forward(): Tensor {
        return wrong as Tensor
      }
    }
    const learn = new Learner({ train: tinyBatches(1) }, new Odd(), { lossFunc: pred => pred.sum() })
    const message = /^Expected a Tensor or an array of Tensors for what the model returns/
    await t.throwsAsync(learn.fit(1), { code: 'ERR_INVALID_ARG', message })
  }
})

async function savedRows(t: ExecutionContext<unknown>, folder: string, name: string, part = name): Promise<number[]> {
  const files = (await readdir(folder)).filter(file => file.startsWith(`${name}-`)).sort()
  t.regex(files[0] ?? '', /^\w+-000000\.safetensors$/)
  const rows: number[] = []
  for (const file of files) rows.push(...(await numbers((await loadSafetensors(join(folder, file))).get(part))))
  return rows
}

test.serial('predictions and targets to files, instead of memory or beside it', async t => {
  const folder = await temporaryFolder(t)
  const { learn } = twoHeads()
  const [savePreds, saveTargs] = [join(folder, 'deep', 'p'), join(folder, 't')]
  const without = await learn.getPreds({ withPreds: false, withTargs: false, savePreds, saveTargs })
  t.deepEqual(without, { preds: null, targs: null })
  const { preds, otherPreds, targs, otherTargs } = await learn.getPreds({ act: pred => pred })
  t.is((await readdir(savePreds)).length, 3)
  t.deepEqual(await savedRows(t, savePreds, 'preds'), await numbers(preds))
  t.deepEqual(await savedRows(t, savePreds, 'preds', 'preds.1'), await numbers(otherPreds?.[0]))
  t.deepEqual(await savedRows(t, saveTargs, 'targs'), await numbers(targs))
  t.deepEqual(await savedRows(t, saveTargs, 'targs', 'targs.1'), await numbers(otherTargs?.[0]))
  // one folder for both, with everything else
  const both = await learn.getPreds({ savePreds: folder, saveTargs: folder, withLoss: true, dsIdx: 0 })
  t.deepEqual([both.preds.shape, both.losses?.shape], [[16, 3], [16]])
  t.deepEqual(await savedRows(t, folder, 'targs'), await numbers(both.targs))
  const only = await learn.getPreds({ withPreds: false, withLoss: true })
  t.deepEqual([only.preds, only.targs?.shape, only.losses?.shape], [null, [16], [16]])
  t.deepEqual(
    (await readdir(folder)).filter(name => name.includes('tmp')),
    [],
  )
})

test.serial('a folder that can’t be written to fails the call, and nothing else', async t => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'file'), '')
  const learn = tinyLearner({ batches: [1, 6] })
  const seen: number[] = []
  const count = new Callback({ afterBatch: cb => void seen.push(cb.learn.iter ?? 0) })
  await t.throwsAsync(learn.getPreds({ savePreds: join(folder, 'file', 'x'), cbs: count }), {
    message: /ENOTDIR|EEXIST/,
  })
  t.true(seen.length < 6)
  t.deepEqual((await learn.getPreds()).preds.shape, [24, 3])
  await learn.fit(1)
  await rm(join(folder, 'file'))
})

test.serial('FetchPreds keeps all parts, and leaks none', async t => {
  const { learn } = twoHeads()
  const fetch = new FetchPreds({ withInput: true, withDecoded: true })
  await learn.fit(1, { cbs: fetch })
  t.deepEqual((await numbers(fetch.preds?.otherPreds?.[0])).length, 16)
  t.deepEqual((await numbers(fetch.preds?.otherTargs?.[0])).length, 16)
  await synchronize()
  const before = memoryStats().tensors
  await learn.fit(2, { cbs: fetch })
  await synchronize()
  noneLeft(t, before)
  t.throws(() => new FetchPreds({ withPreds: false } as object), { code: 'ERR_INVALID_ARG' })
})

test.serial('options of getPreds that don’t go together', async t => {
  const learn = tinyLearner()
  const code = 'ERR_INVALID_ARG'
  await t.throwsAsync(learn.getPreds({ withPreds: false, withDecoded: true }), { code, message: /withDecoded/ })
  await t.throwsAsync(learn.getPreds({ savePreds: '' }), { code, message: /a folder for getPreds's savePreds/ })
  await t.throwsAsync(learn.getPreds({ saveTargs: 3 } as object), { code, message: /saveTargs/ })
  await t.throwsAsync(learn.getPreds({ concatDim: 2, withTargs: false }), { code, message: /concatDim.*received 2/ })
  await t.throwsAsync(learn.getPreds({ concatDim: 1 }), { code, message: /-1 to 0/ })
  const scalars = new Learner({ train: [], valid: tinyBatches(2) }, tinyModel(), { lossFunc: pred => pred.sum() })
  t.deepEqual((await scalars.getPreds({ concatDim: -1, withTargs: false })).preds.shape, [4, 6])
})
