// Loaders whose batches only have to be normalised do it when a batch is first used, and MixUp on its way.
import test, { type ExecutionContext } from 'ava'
import {
  BatchTransform,
  Callback,
  CancelBatch,
  CrossEntropyLossFlat,
  CutMix,
  DataLoader,
  type DataLoaderOptions,
  DataLoaders,
  ImageDataLoaders,
  IntToFloatTensor,
  imagenetStats,
  Learner,
  MixChoice,
  MixedPrecision,
  MixUp,
  manualSeed,
  mark,
  memoryStats,
  mixup,
  Normalize,
  nn,
  noGrad,
  randint,
  SGD,
  scope,
  type Tensor,
  TensorDataset,
  tensor,
} from 'torch-learner'
import { runProgram } from './helpers/child.js'
import { noneLeft } from './helpers/memory.js'
import { classFolders, temporaryFolder } from './helpers/pictures.js'

const normalise = () => [new IntToFloatTensor(), Normalize.fromStats(imagenetStats)]

manualSeed(3)
const pictures = randint(0, 256, [20, 3, 6, 6], { dtype: 'uint8' }).contiguous({ memoryFormat: 'channels_last' }).keep()
const classes = randint(0, 3, [20]).keep()
const set = new TensorDataset(pictures, classes)

const loader = (options: DataLoaderOptions = {}) => new DataLoader(set, { bs: 6, batchTfms: normalise(), ...options })

/** The steps one by one, as PyTorch would do them. */
function separate(x: Tensor): Tensor {
  return normalised(x.to({ dtype: 'float32' }).div(255))
}

function normalised(x: Tensor): Tensor {
  const [mean, std] = imagenetStats.map(values => tensor(Float32Array.from(values), { shape: [1, 3, 1, 1] }))
  return x.sub(mean).div(std)
}

async function same(t: ExecutionContext, actual: Tensor, expected: Tensor, label?: string): Promise<void> {
  t.deepEqual([actual.shape, actual.dtype], [expected.shape, expected.dtype], label)
  t.true(await actual.equal(expected), label)
}

const perm = Int32Array.of(5, 4, 3, 2, 1, 0)
const lam = Float32Array.of(0.1, 0.5, 0.9, 1, 0, 0.3)

test('batches are what the steps make of the bytes', async t => {
  let row = 0
  for await (const [x, y] of loader()) {
    const n = y.shape[0]
    await same(t, x, separate(pictures.slice(0, row, row + n)))
    row += n
  }
  t.is(row, 20)
  const dl = loader()
  const [x] = await dl.oneBatch()
  t.true(
    (await dl
      .decode([x])[0]
      .sub(pictures.slice(0, 0, 6).div(255))
      .abs()
      .max()
      .item()) < 1e-6,
  )
})

test('a batch that nobody has used is mixed on its way, and can be used all the same', async t => {
  const bytes = pictures.slice(0, 0, 6)
  const expected = mixup(separate(bytes), perm, lam)
  const [x] = await loader().oneBatch()
  t.regex(String(Reflect.get(x, Symbol.for('nodejs.util.inspect.custom')).call(x)), /pending/)
  await same(t, mixup(x, perm, lam), expected, 'fused')
  t.not(x.deferral, null, 'still not computed')
  await same(t, mixup(x, perm, lam), expected, 'again')
  await same(t, x, separate(bytes), 'used afterwards')
  t.is(x.deferral, null)
  await same(t, mixup(x, perm, lam), expected, 'of what is there')
  const [changed] = await loader().oneBatch()
  changed.zero_()
  t.is(await mixup(changed, perm, lam).abs().max().item(), 0, 'what was done to it counts')
})

test('a batch whose input is its target too', async t => {
  const load = () => () => {
    const x = pictures.slice(0, 0, 2).clone()
    return [x, x]
  }
  const [x, y] = await new DataLoader({ length: 2, writable: true, load }, { batchTfms: normalise() }).oneBatch()
  await same(t, y, pictures.slice(0, 0, 2))
  await same(t, x, separate(y))
})

test('other transforms, and subclasses that encode in another way, are called', async t => {
  class Darker extends Normalize {
    override encodes(x: Tensor): Tensor {
      return super.encodes(x).sub(1)
    }
  }
  class Twice extends BatchTransform {
    override readonly order = 50
    override encodes(x: Tensor): Tensor {
      return x.mul(2)
    }
  }
  const first = pictures.slice(0, 0, 6)
  const [mean, std] = imagenetStats
  const cases: [BatchTransform[], Tensor][] = [
    [[new IntToFloatTensor(), new Darker(mean, std)], separate(first).sub(1)],
    [[new IntToFloatTensor()], first.to({ dtype: 'float32' }).div(255)],
    [[new IntToFloatTensor(), new Twice()], first.to({ dtype: 'float32' }).div(255).mul(2)],
    [[...normalise(), new Normalize([1], [2])], separate(first).sub(1).div(2)],
    [[...normalise(), new IntToFloatTensor()], normalised(first.to({ dtype: 'float32' }).div(255).div(255))],
  ]
  for (const [batchTfms, expected] of cases) {
    const [x] = await loader({ batchTfms }).oneBatch()
    await same(t, x, expected, batchTfms.map(transform => transform.constructor.name).join())
  }
  const dl = loader({ batchTfms: [new IntToFloatTensor()] })
  dl.addBatchTfm(Normalize.fromStats(imagenetStats))
  t.deepEqual(dl.batchTfms.length, 2)
  await same(t, (await dl.oneBatch())[0], separate(first), 'added later')
})

test.serial('it belongs to the scope in which it was made, wherever it is first used', async t => {
  await mark()
  const before = memoryStats().tensors
  await scope(async () => {
    const [x] = await loader().oneBatch()
    const [unused, kept] = [(await loader().oneBatch())[0], (await loader().oneBatch())[0].keep()]
    const largest = await noGrad(() => scope(() => x.max().item()))
    t.is(await x.max().item(), largest, 'the inner scope did not free it')
    t.false(x.isDisposed || unused.isDisposed)
    unused.dispose()
    t.true(unused.isDisposed)
    t.throws(() => unused.shape, { code: 'ERR_DISPOSED' })
    kept.dispose()
  })
  await mark()
  noneLeft(t, before)
})

function learner(cbs: Callback[], options: { dl?: DataLoader; valid?: DataLoader } = {}): Learner {
  manualSeed(11)
  const model = new nn.Sequential(new nn.Conv2d(3, 4, 3), new nn.ReLU(), new nn.Flatten(), new nn.Linear(64, 3))
  const dls = new DataLoaders(options.dl ?? loader({ shuffle: true }), options.valid ?? loader())
  const learn = new Learner(dls, model, {
    lossFunc: new CrossEntropyLossFlat(),
    optFunc: (groups, { lr }) => new SGD(groups, { lr }),
    lr: 0.1,
    cbs,
  })
  learn.removeCb(learn.cbs.filter(cb => cb.name === 'progress'))
  learn.logger = () => undefined
  return learn
}

/** The losses of every step, and whether MixUp found the batches untouched. */
async function train(cbs: () => Callback[], dl?: () => DataLoader): Promise<{ losses: number[]; fused: boolean[] }> {
  manualSeed(5)
  const fused: boolean[] = []
  let batch: Tensor | undefined
  const watch = new Callback({
    order: -100,
    beforeBatch: cb => {
      batch = cb.learn.xb[0]
    },
    afterPred: cb => {
      if (cb.learn.training) fused.push(batch?.deferral !== null)
    },
  })
  const learn = learner([watch, ...cbs()], { dl: dl?.() })
  await learn.fit(3)
  return { losses: [...learn.recorder.losses, ...learn.recorder.values.flat()].map(Number), fused }
}

const reader = () =>
  new Callback({
    order: -50,
    beforeBatch: async cb => {
      await cb.learn.xb[0].mean().item()
    },
  })

class Plain extends Normalize {
  override encodes(x: Tensor): Tensor {
    return super.encodes(x)
  }
}
const unfused = () => loader({ shuffle: true, batchTfms: [new IntToFloatTensor(), new Plain(...imagenetStats)] })

test.serial('the same losses, bit for bit, whether MixUp normalises or not', async t => {
  for (const [name, cbs] of Object.entries({
    MixUp: () => [new MixUp(0.4)],
    'MixUp by pairs': () => [new MixUp({ alpha: 0.4, mode: 'pair', prob: 0.5 })],
    MixedPrecision: () => [new MixUp(0.4), new MixedPrecision()],
    CutMix: () => [new CutMix(1)],
    MixChoice: () => [new MixChoice([new MixUp(0.4), new CutMix(1)])],
    'nothing mixed': () => [],
  })) {
    const fast = await train(cbs)
    const slow = await train(cbs, unfused)
    const read = await train(() => [reader(), ...cbs()])
    t.true(fast.losses.length > 9 && fast.losses.every(Number.isFinite), name)
    t.deepEqual(slow.losses, fast.losses, name)
    t.deepEqual(read.losses, fast.losses, `${name}, read before`)
    t.false(slow.fused.some(Boolean) || read.fused.some(Boolean), name)
    if (name === 'MixUp') t.true(fast.fused.every(Boolean), 'normalised by MixUp')
    if (name === 'CutMix') t.false(fast.fused.some(Boolean), 'CutMix needs the pictures themselves')
  }
})

test.serial(
  'what callbacks see: the plain batch before MixUp and the mixed one after; the batch is theirs',
  async t => {
    let plain: Tensor | undefined
    let owned = false
    const seen: boolean[] = []
    const before = new Callback({
      order: -50,
      beforeBatch: cb => {
        plain = cb.learn.xb[0]
        owned = cb.learn.owns(plain)
      },
    })
    const random = { beta: () => lam, permutation: () => perm, integer: () => 0 }
    const after = new Callback({
      order: 50,
      beforeBatch: async cb => {
        const expected = separate(pictures.slice(0, 0, 6))
        const folded = lam.map(value => Math.max(value, 1 - value))
        seen.push(await cb.learn.xb[0].equal(mixup(expected, perm, folded)), (await plain?.equal(expected)) ?? false)
        throw new CancelBatch()
      },
    })
    const learn = learner([before, new MixUp({ alpha: 1, random }), after], {
      dl: loader({ dropLast: true, shuffle: false, training: true }),
    })
    await learn.fit(1)
    t.deepEqual(seen.slice(0, 2), [true, true])
    t.true(owned)
  },
)

test('pictures from files: channels_last', async t => {
  const folder = await temporaryFolder(t)
  await classFolders(folder, { 'train/cat': 5, 'train/dog': 6, 'valid/cat': 2, 'valid/dog': 3 })
  const options = { bs: 4, shuffle: false, seed: 1 }
  const plain = await ImageDataLoaders.fromFolder(folder, options)
  const dls = await ImageDataLoaders.fromFolder(folder, {
    ...options,
    batchTfms: [Normalize.fromStats(imagenetStats)],
  })
  const [[floats], [x]] = [await plain.oneBatch(), await dls.oneBatch()]
  const expected = normalised(floats)
  const mixed = mixup(x, [3, 2, 1, 0], [0.2, 0.4, 0.6, 0.8])
  t.is(mixed.memoryFormat, 'channels_last')
  await same(t, mixed, mixup(expected, [3, 2, 1, 0], [0.2, 0.4, 0.6, 0.8]), 'mixed')
  t.is(x.memoryFormat, 'channels_last')
  await same(t, x, expected)
})

test.serial('a thousand batches, mixed or not, used or not, leave the memory as it was', async t => {
  const { stdout, stderr, code } = await runProgram(`
    const pictures = tl.randint(0, 256, [64, 3, 64, 64], { dtype: 'uint8' })
    const set = new tl.TensorDataset(pictures, tl.randint(0, 3, [64]))
    const batchTfms = [new tl.IntToFloatTensor(), tl.Normalize.fromStats(tl.imagenetStats)]
    const dl = new tl.DataLoader(set, { bs: 16, shuffle: true, batchTfms })
    const perm = Int32Array.from({ length: 16 }, (_, i) => 15 - i)
    const pass = async () => {
      for await (const [x, y] of dl) {
        await tl.scope(async () => {
          if (Math.random() < 0.5) tl.mixup(x, perm, 0.7)
          if (Math.random() < 0.5) await x.mean().item()
        })
        x.dispose()
        y.dispose()
      }
      for await (const [x] of dl) break // left to the collector
      await tl.mark()
    }
    for (let i = 0; i < 50; i++) await pass()
    const before = process.memoryUsage().rss
    for (let i = 0; i < 200; i++) await pass()
    console.log((process.memoryUsage().rss - before) / 2 ** 20)`)
  t.is(code, 0, stderr)
  t.true(Number(stdout) < 90, `grown by ${stdout} MB`) // of 196 MB of bytes, 786 MB of floats
})
