// The public surface as a program tests it that uses Jest: nothing here is special but the realm.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { types } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import sharp from 'sharp'
import * as tl from 'torch-learner'

const { nn, optim, tensor } = tl
let folder

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'torch-learner-jest-'))
})

afterAll(() => rm(folder, { recursive: true }))

function samples(n) {
  return Array.from({ length: n }, (_, i) => [Float32Array.from({ length: 4 }, (_, k) => Math.sin(i + k)), i % 2])
}

async function makeLearner(options = {}) {
  tl.manualSeed(3)
  const dls = await tl.DataLoaders.from(samples(16), samples(8), { bs: 4 })
  const learn = new tl.Learner(dls, new nn.Linear(4, 2), {
    lossFunc: new tl.CrossEntropyLossFlat(),
    metrics: tl.accuracy,
    path: folder,
    ...options,
  })
  learn.logger = () => undefined
  return learn.removeCb(tl.ProgressCallback)
}

const caught = promise =>
  promise.then(
    () => undefined,
    error => error,
  )

test('this is another realm', async () => {
  const missing = await caught(readFile(join(folder, 'missing')))
  expect(types.isNativeError(missing)).toBe(true)
  expect(missing instanceof Error).toBe(false)
})

describe('tensors', () => {
  test.each([
    ['float32', Float32Array],
    ['float64', Float64Array],
    ['int32', Int32Array],
    ['int16', Int16Array],
    ['int8', Int8Array],
    ['uint8', Uint8Array],
    ['uint8', Uint8ClampedArray],
  ])('%s from %p and back', async (dtype, type) => {
    const x = tensor(type.of(1, 2))
    expect(x.dtype).toBe(dtype)
    expect(await x.toArray()).toEqual([1, 2])
    expect(await tl.asTensor(type.of(3, 4)).toArray()).toEqual([3, 4])
    expect(Array.from(await x.data())).toEqual([1, 2])
  })

  test('int64, bool, nested arrays, bits of halves', async () => {
    expect(tensor(BigInt64Array.of(1n)).dtype).toBe('int64')
    expect(await tensor([[true], [false]]).toArray()).toEqual([[true], [false]])
    expect(await tensor(Uint16Array.of(0x3c00), { dtype: 'float16' }).item()).toBe(1)
  })

  test('operators with options, several results, optional tensors, and scopes', async () => {
    const x = tensor([
      [1, 2],
      [3, 4],
    ])
    expect(await x.sum({ dim: [1], keepdim: true }).toArray()).toEqual([[3], [7]])
    const [values] = x.max(1)
    expect(await values.toArray()).toEqual([2, 4])
    const kept = tl.scope(() => ({ a: x.mul(2), b: new Map([['c', x.add(1)]]) }))
    expect(await kept.a.toArray()).toEqual([
      [2, 4],
      [6, 8],
    ])
    expect(await kept.b.get('c').toArray()).toEqual([
      [2, 3],
      [4, 5],
    ])
    const later = await tl.scope(async () => x.mul(await x.sum().item()))
    expect(await later.toArray()).toEqual([
      [10, 20],
      [30, 40],
    ])
  })

  test('errors have codes, thrown and rejected', async () => {
    expect(() => tensor('x')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG' }))
    expect(() => tensor([1]).add('x')).toThrow(tl.TorchLearnerError)
    const failed = await caught(
      tl
        .randn([2, 3])
        .mm(tl.randn([2, 3]))
        .data(),
    )
    expect(failed).toBeInstanceOf(tl.TorchLearnerError)
    expect(failed.code).toBe('ERR_OP_FAILED')
  })

  test('gradients', async () => {
    const x = tensor([3], { requiresGrad: true })
    x.mul(x).backward()
    expect(await x.grad.item()).toBe(6)
  })
})

describe('training', () => {
  test('fit, validate, predict', async () => {
    const learn = await makeLearner()
    await learn.fit(2, { lr: 0.05 })
    const [loss] = await learn.validate()
    expect(Number.isFinite(loss)).toBe(true)
    const { preds } = await learn.getPreds()
    expect(preds.shape).toEqual([8, 2])
  })

  test.each([tl.MixUp, tl.CutMix, tl.FMix, tl.ResizeMix])('%p', async Mix => {
    tl.manualSeed(1)
    const batch = () => [tl.randn([4, 3, 8, 8]), tl.randint(0, 2, [4])]
    const model = new nn.Sequential(new nn.Flatten(), new nn.Linear(192, 2))
    const learn = new tl.Learner({ train: [batch(), batch()], valid: [batch()] }, model, {
      lossFunc: new tl.CrossEntropyLossFlat(),
      cbs: new Mix(),
    })
    learn.logger = () => undefined
    await learn.removeCb(tl.ProgressCallback).fit(1, { lr: 0.01 })
    expect(learn.recorder.losses).toHaveLength(2)
  })

  test("a generator's numbers of one's own", async () => {
    const random = {
      beta: (_, n) => new Float32Array(n).fill(0.25),
      permutation: n => Int32Array.from({ length: n }, (_, i) => n - 1 - i),
      integer: () => 0,
    }
    const { lam, perm } = tl.drawMixup(3, 0.4, random)
    expect(await tl.mixup(tensor([1, 2, 3]), perm, lam).toArray()).toEqual([1.5, 2, 2.5])
  })

  test('an error in an async callback names it; a loss that is async restores its reduction', async () => {
    const failing = new tl.Callback({
      name: 'failing',
      afterPred: async () => {
        throw new TypeError('no')
      },
    })
    const error = await caught((await makeLearner({ cbs: failing })).fit(1, { lr: 0.1 }))
    expect(error).toMatchObject({ code: 'ERR_CALLBACK', message: 'Error in failing at afterPred: no' })
    const loss = new tl.CrossEntropyLossFlat()
    await tl.noneReduce(loss, async () => expect(loss.reduction).toBe('none'))
    expect(loss.reduction).toBe('mean')
  })

  test('a signal ends a fit', async () => {
    const controller = new AbortController()
    const learn = await makeLearner({ cbs: new tl.Callback({ afterBatch: () => controller.abort() }) })
    const error = await caught(learn.fit(1, { lr: 0.1, signal: controller.signal }))
    expect(error?.name).toBe('AbortError')
    await learn.fit(1, { lr: 0.1 })
  })

  test('lrFind and several learning rates', async () => {
    const { valley } = await (await makeLearner()).lrFind({ numIt: 20 })
    expect(valley).toBeGreaterThan(0)
    const learn = await makeLearner({ splitter: model => [[model.weight], [model.bias]] })
    await learn.fit(1, { lr: Float64Array.of(0.01, 0.1) })
    await learn.fitOneCycle(1, { lrMax: tl.slice(1e-3, 1e-2) })
  })
})

describe('files', () => {
  test('save and load; SaveModel, Checkpoint and CSVLogger write their first files', async () => {
    const cbs = [new tl.SaveModel({ fname: 'best' }), new tl.Checkpoint({ fname: 'run' }), new tl.CSVLogger()]
    const learn = await makeLearner({ cbs })
    await learn.fit(1, { lr: 0.05 })
    await learn.save('mine')
    const before = await learn.model.weight.toArray()
    await learn.fit(1, { lr: 0.05 })
    await learn.load('mine')
    expect(await learn.model.weight.toArray()).toEqual(before)
  })

  test('safetensors and state dicts as Map and as object', async () => {
    const file = join(folder, 'x.safetensors')
    await tl.saveSafetensors(
      file,
      new Map([
        ['weight', tensor([[1, 2]])],
        ['bias', tensor([0])],
      ]),
    )
    const state = await tl.loadSafetensors(file)
    const model = new nn.Linear(2, 1)
    model.loadStateDict(state)
    expect(await model.weight.toArray()).toEqual([[1, 2]])
    expect(() => model.loadStateDict(new Map())).toThrow(expect.objectContaining({ code: 'ERR_STATE_DICT' }))
    model.loadStateDict({ weight: tensor([[3, 4]]), bias: tensor([1]) })
    expect(await model.weight.toArray()).toEqual([[3, 4]])
    await expect(tl.loadSafetensors(join(folder, 'none'))).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  })

  test('what is damaged or not there is a coded error', async () => {
    const file = join(folder, 'bad.pth')
    await writeFile(file, 'not a checkpoint')
    await expect(tl.loadPth(file)).rejects.toMatchObject({ code: 'ERR_FILE_FORMAT' })
    await expect(tl.loadPth(join(folder, 'none.pth'))).rejects.toBeInstanceOf(tl.TorchLearnerError)
  })
})

describe('data', () => {
  test('samples of typed arrays, generators, streams and tensors', async () => {
    const streams = {
      generator: function* () {
        yield* samples(4)
      },
      async: async function* () {
        yield* samples(4)
      },
      stream: () => ReadableStream.from(samples(4)),
    }
    for (const make of Object.values(streams)) {
      const loader = new tl.DataLoader(new tl.IterableDataset(make, { n: 4 }), { bs: 2 })
      for await (const [x, y] of loader) {
        expect([x.dtype, y.dtype]).toEqual(['float32', 'int64'])
      }
    }
    const bytes = new tl.DataLoader(
      [
        [Uint8Array.of(1, 2), 0],
        [Uint8Array.of(3, 4), 1],
      ],
      { bs: 2 },
    )
    for await (const [x] of bytes) expect(x.dtype).toBe('uint8')
  })

  test('pictures: loaders from folders, transforms, a ResNet, predictions', async () => {
    const path = join(folder, 'pictures')
    for (const label of ['a', 'b']) {
      await mkdir(join(path, label), { recursive: true })
      for (let i = 0; i < 4; i++) {
        const picture = sharp({
          create: { width: 12, height: 10, channels: 3, background: { r: i * 60, g: 9, b: 99 } },
        })
        for (const type of ['png', 'webp']) await picture.toFile(join(path, label, `${i}.${type}`))
      }
    }
    expect(tl.RegexLabeller(/([ab])\/\d/)('x/a/1')).toBe('a')
    const dls = await tl.ImageDataLoaders.fromFolder(path, { validPct: 0.5, itemTfms: new tl.Resize(16), bs: 4 })
    const learn = tl.visionLearner(dls, tl.resnet18, { pretrained: false, metrics: tl.accuracy, path: folder })
    learn.logger = () => undefined
    await learn.removeCb(tl.ProgressCallback).fit(1, { lr: 1e-3 })
    const { label } = await learn.predict(join(path, 'a', '0.png'))
    expect(['a', 'b']).toContain(label)
    await expect(
      tl.verifyImages([join(path, 'a', '0.png')], { signal: new AbortController().signal }),
    ).resolves.toBeDefined()
  })

  test('charts and grids', async () => {
    const learn = await makeLearner()
    await learn.fit(1, { lr: 0.1 })
    const chart = await learn.recorder.plotLoss({ file: join(folder, 'loss.png'), skipStart: 0 })
    expect(chart).toBeDefined()
    const tile = { data: new Uint8Array(12), width: 2, height: 2, channels: 3 }
    expect(tl.imageGrid([tile])).toBeDefined()
  })
})

test('optimizers', async () => {
  const w = tensor([1], { requiresGrad: true })
  const opt = new optim.SGD([[w]], { lr: [0.5] })
  w.mul(2).backward()
  opt.step()
  expect(await w.item()).toBe(0)
})
