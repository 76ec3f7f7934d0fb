// Single items, augmentation at test time, pictures of results.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import {
  accuracy,
  BatchTransform,
  BCEWithLogitsLossFlat,
  CrossEntropyLossFlat,
  DataLoader,
  DataLoaders,
  ImageDataLoaders,
  IntToFloatTensor,
  imagenetStats,
  Learner,
  MixUp,
  MSELossFlat,
  Normalize,
  nn,
  RandomResizedCrop,
  Resize,
  randn,
  scopeSize,
  type Tensor,
  TensorDataset,
  tensor,
} from 'torch-learner'
import { assertNumbers } from './helpers/golden.js'
import { tinyBatches, tinyLearner } from './helpers/learning.js'
import { classFolders, coded, temporaryFolder } from './helpers/pictures.js'

async function pictureLearner(t: ExecutionContext<unknown>): Promise<{ learn: Learner; folder: string }> {
  const folder = await temporaryFolder(t)
  await classFolders(folder, { 'train/cat': 4, 'train/dog': 4, 'valid/cat': 3, 'valid/dog': 2 }, 12)
  const dls = await ImageDataLoaders.fromFolder(folder, {
    bs: 2,
    itemTfms: new Resize(8),
    batchTfms: [Normalize.fromStats(imagenetStats)],
  })
  const model = new nn.Sequential(new nn.Flatten(), new nn.Linear(192, 2))
  return { learn: new Learner(dls, model, { metrics: accuracy }), folder }
}

const numbers = async (x: Tensor) => Array.from(await x.data(), Number)

test.serial('predict a picture: as its row of the validation set', async t => {
  const { learn, folder } = await pictureLearner(t)
  const all = await learn.getPreds({ withDecoded: true, withInput: true })
  const { label, decoded, probs, input } = await learn.predict(join(folder, 'valid/cat/002.png'), { withInput: true })
  assertNumbers(t, await numbers(probs), await numbers(all.preds.select(0, 2)))
  t.is(await decoded.item(), (await all.decoded?.select(0, 2).item()) ?? -1)
  t.is(label, ['cat', 'dog'][await decoded.item()])
  t.deepEqual([probs.shape, decoded.shape, input?.shape], [[2], [], [3, 8, 8]])
  t.true((await input?.min().item()) !== undefined && Number(await input?.min().item()) >= 0)
  const row = all.inputs?.select(0, 2)
  if (!row) return t.fail('no inputs')
  const direct = await learn.predict(row)
  assertNumbers(t, await numbers(direct.probs), await numbers(probs))
  t.is(direct.label, label)
  t.is(scopeSize(), 0)
})

test.serial('many new pictures', async t => {
  const { learn, folder } = await pictureLearner(t)
  const files = ['valid/dog/001.png', 'valid/cat/000.png', 'train/cat/001.png'].map(name => join(folder, name))
  const { preds, targs } = await learn.getPreds({ dl: (learn.dls as DataLoaders).testDl(files) })
  t.deepEqual(preds.shape, [3, 2])
  t.is(targs, null)
  const all = await learn.getPreds()
  assertNumbers(t, await numbers(preds.select(0, 0)), await numbers(all.preds.select(0, 4)))
  await coded(t, () => learn.predict(7), 'ERR_INVALID_ARG', /a picture's path/)
  await coded(t, () => learn.predict('x.png', { all: true } as object), 'ERR_INVALID_ARG', /predict's options/)
  await t.throwsAsync(learn.predict(join(folder, 'none.png')))
})

test.serial('predict numbers, several labels, values', async t => {
  const set = new TensorDataset(randn([6, 3]), tensor([0, 1, 0, 1, 0, 1], { dtype: 'int64' }))
  const dls = new DataLoaders(new DataLoader(set, { bs: 2 }), undefined, { vocab: ['a', 'b'] })
  const model = new nn.Sequential(new nn.Linear(3, 2, { bias: false }))
  model.loadStateDict({ '0.weight': tensor([[1, 0, 0], [0, 1, 0]]) }) // biome-ignore format: a matrix
  const classes = new Learner(dls, model, { lossFunc: new CrossEntropyLossFlat() })
  t.is((await classes.predict([0, 2, 1])).label, 'b')
  t.is((await classes.predict(Float32Array.of(3, 2, 1))).label, 'a')
  const labels = new Learner(dls, model, { lossFunc: new BCEWithLogitsLossFlat() })
  t.deepEqual((await labels.predict([4, -4, 0])).label, ['a'])
  t.deepEqual((await labels.predict([4, 4, 0])).label, ['a', 'b'])
  const values = new Learner(dls, model, { lossFunc: new MSELossFlat() })
  t.deepEqual((await values.predict([4, -4, 0])).label, [4, -4])
  await coded(t, () => classes.predict('text'), 'ERR_INVALID_ARG', /an array of numbers/)
  await coded(t, () => tinyLearner().predict([1]), 'ERR_STATE', /pass a tensor/)
  t.is((await tinyLearner({ cbs: new MixUp() }).predict(randn([2, 3, 3]))).probs.numel, 3)
})

/** Adds 1 in the first training pass, 2 in the second... */
class Shift extends BatchTransform {
  override readonly splitIdx = 0
  passes = 0
  encodes(x: Tensor): Tensor {
    this.passes += 1
    return x.add(this.passes)
  }
}

test.serial('augmentation at test time', async t => {
  const shift = new Shift()
  const set = new TensorDataset(tensor([[1], [2]]), tensor([[0], [0]]))
  const options = { bs: 2, batchTfms: [shift] }
  const dls = new DataLoaders(new DataLoader(set, { ...options, shuffle: true }), new DataLoader(set, options))
  const model = new nn.Sequential(new nn.Identity())
  const learn = new Learner(dls, model, { lossFunc: new MSELossFlat() })
  const { preds, targs } = await learn.tta()
  assertNumbers(t, await numbers(preds), [1 + 2.5 * 0.75, 2 + 2.5 * 0.75])
  t.deepEqual(targs?.shape, [2, 1])
  shift.passes = 0
  assertNumbers(t, await numbers((await learn.tta({ n: 2, useMax: true })).preds), [3, 4])
  shift.passes = 0
  assertNumbers(t, await numbers((await learn.tta({ n: 1, beta: 0.5, dsIdx: 0 })).preds), [1.5, 2.5])
  await coded(t, () => tinyLearner().tta(), 'ERR_INVALID_ARG', /transforms of training/)
  shift.passes = 0
  const apart = await learn.tta({ n: 2, beta: null })
  assertNumbers(t, await numbers(apart.preds), [1, 2])
  assertNumbers(t, await numbers(apart.augmented as Tensor), [2.5, 3.5])
  const other = new Shift()
  assertNumbers(t, await numbers((await learn.tta({ n: 1, beta: 0, batchTfms: [other] })).preds), [2, 3])
  t.is(other.passes, 1)
  await coded(t, () => learn.tta({ batchTfms: [3] } as object), 'ERR_INVALID_ARG', /tta's batchTfms/)
  await coded(t, () => learn.tta({ itemTfms: new Resize(4) }), 'ERR_INVALID_ARG', /no transforms of single items/)
  await coded(t, () => tinyLearner().tta({ itemTfms: [] }), 'ERR_INVALID_ARG', /no transforms of single items/)
  await coded(t, () => learn.tta({ n: 0 }), 'ERR_INVALID_ARG', /tta's n/)
  await coded(t, () => learn.tta({ beta: 2 }), 'ERR_INVALID_ARG', /tta's beta/)
})

test.serial('augmentation at test time with other transforms of pictures', async t => {
  const { learn } = await pictureLearner(t)
  const normalize = Normalize.fromStats(imagenetStats)
  const plain = await learn.getPreds()
  const same = await learn.tta({ n: 1, itemTfms: new Resize(8), batchTfms: [new IntToFloatTensor(), normalize] })
  assertNumbers(t, await numbers(same.preds), await numbers(plain.preds), { rtol: 1e-5 })
  const other = await learn.tta({ n: 1, beta: 1, itemTfms: [new RandomResizedCrop(8)] })
  t.notDeepEqual(await numbers(other.preds), await numbers(plain.preds))
  await coded(t, () => learn.tta({ itemTfms: 'Resize' }), 'ERR_INVALID_ARG', /such as Resize for itemTfms/)
})

test.serial('pictures with what they are and what they are taken for', async t => {
  const { learn, folder } = await pictureLearner(t)
  const { decoded } = await learn.getPreds({ withDecoded: true })
  const guesses = await numbers((decoded ?? tensor([0])).narrow(0, 0, 2))
  const file = join(folder, 'out', 'results.svg')
  t.is(await learn.showResults({ file, shuffle: false, rows: 1 }), file)
  const svg = await readFile(file, 'utf8')
  const titles = [...svg.matchAll(/class="(good|bad)"[^>]*>(.*?)<\/text>/g)].map(([, tone, spans]) => [
    tone,
    ...[...spans.matchAll(/<tspan[^>]*>(\w+)/g)].map(([, text]) => text),
  ])
  const expected = guesses.map(guess => [guess === 0 ? 'good' : 'bad', 'cat', guess === 0 ? 'cat' : 'dog'])
  t.deepEqual(titles, expected)
  t.is((await readFile(await learn.showResults({ file: join(folder, 'r.png'), maxN: 1, dsIdx: 0 }))).length > 100, true)
  await coded(t, () => learn.showResults({ file: 'x.gif' }), 'ERR_INVALID_ARG', /png or .svg/)
  await coded(t, () => learn.showResults({ dl: [] }), 'ERR_NO_DATA', /no batches/)
  const plain = new Learner({ train: tinyBatches(1) }, new nn.Sequential(new nn.Flatten(), new nn.Linear(18, 3)), {
    lossFunc: new CrossEntropyLossFlat(),
  })
  await coded(t, () => plain.showResults({ dsIdx: 0, file: join(folder, 'a.png') }), 'ERR_INVALID_ARG', /pictures/)
  await coded(t, () => plain.showResults(), 'ERR_INVALID_ARG', /no validation set/)
})
