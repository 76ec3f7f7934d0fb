// MixUp and friends: a walk through training on mixed pictures, from one loss to a trained network.
//
//   npx tsx examples/mixup-and-friends.ts                  handwritten digits
//   npx tsx examples/mixup-and-friends.ts <folder>         your own pictures: a subfolder for each class, either directly
//                                                          in <folder> or in <folder>/train and <folder>/valid (or test)
//   npx tsx examples/mixup-and-friends.ts --pets           37 breeds of cats and dogs, as on fastai's page (811 MB, fetched
//                                                          once); --size 224 --pretrained --epochs 1 come closest to it
//
// Options: --size <pixels> (default 32), --epochs <number> (default 1), --pretrained (start from ImageNet weights, which
// are fetched once). Pictures of the mixing go to the folder mixup-and-friends.
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import {
  accuracy,
  augTransforms,
  CrossEntropyLossFlat,
  CutMix,
  cat,
  errorRate,
  getImageFiles,
  hostRandom,
  ImageDataLoaders,
  imagenetStats,
  Learner,
  MixHandler,
  MixUp,
  manualSeed,
  Normalize,
  nn,
  Resize,
  reduceLoss,
  resnet18,
  tensor,
  URLs,
  untarData,
  visionLearner,
} from 'torch-learner'
import { writeDigits } from './mnist.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: 'string', default: '32' },
    epochs: { type: 'string', default: '1' },
    pretrained: { type: 'boolean', default: false },
    pets: { type: 'boolean', default: false },
  },
})
const [size, epochs] = [Number(values.size), Number(values.epochs)]
const out = resolve('mixup-and-friends')

function heading(text: string): void {
  console.log(`\n${text}\n${'-'.repeat(text.length)}`)
}

/** Cats and dogs, labelled by their file names: `Birman_12.jpg`, `pug_3.jpg`. */
async function openPets(): Promise<ImageDataLoaders> {
  const path = await untarData(URLs.PETS)
  return ImageDataLoaders.fromNameRe(path, await getImageFiles(join(path, 'images')), /([^/]+)_\d+.*$/, {
    bs: 64,
    seed: 42,
    itemTfms: new Resize(Math.round(size * 1.15), { method: 'crop' }),
    batchTfms: [...augTransforms({ size }), Normalize.fromStats(imagenetStats)],
  })
}

/** The pictures to train on: a folder's, or the digits. */
async function openData(folder = positionals[0]): Promise<ImageDataLoaders> {
  const data = folder ?? join(out, 'digits')
  if (folder === undefined && !existsSync(data)) await writeDigits(data)
  const valid = ['valid', 'val', 'test'].find(name => existsSync(join(data, name)))
  const parts = valid !== undefined && existsSync(join(data, 'train')) ? { valid } : { validPct: 0.2, seed: 42 }
  return ImageDataLoaders.fromFolder(data, {
    ...parts,
    bs: 64,
    itemTfms: new Resize(size, { method: 'crop' }),
    batchTfms: [Normalize.fromStats(imagenetStats)],
  })
}

manualSeed(42)
const dls = values.pets ? await openPets() : await openData()
const lossFunc = new CrossEntropyLossFlat()

heading('1. Losses, one by one')
// Mixing needs the loss of each sample by itself, because each is weighted by itself. A loss with reduction "none"
// gives those; reduceLoss then does what the loss would have done: 'mean', 'sum', or nothing at all.
const losses = tensor([0.5, 1, 3])
for (const reduction of ['mean', 'sum', 'none']) {
  console.log(reduction.padEnd(4), await reduceLoss(losses, reduction).toArray())
}

heading('2. What MixUp does to a batch')
// A callback acts at events of the training loop. Nothing stops us from sending these events ourselves: `session` brings
// a Learner into the state that it has in a fit, `split` makes a batch the current one, `emit` calls the callbacks.
// The model plays no part here, so any will do.
const mixup = new MixUp(1)
await new Learner(dls, new nn.Linear(3, 4), { lossFunc, cbs: mixup }).session(async learn => {
  learn.epoch = 0
  learn.training = true
  learn.dl = dls.train
  learn.split(await dls.oneBatch())
  await learn.emit('beforeTrain') // swaps the loss for one that knows both targets
  await learn.emit('beforeBatch') // mixes the pictures
  // Each sample has a weight of its own, and always outweighs its partner: 0.5 to 1.
  const weights = Array.from((await mixup.lam?.data()) ?? [], Number)
  console.log(
    'weights of the first five:',
    weights
      .slice(0, 5)
      .map(weight => weight.toFixed(2))
      .join(' '),
  )
  console.log('drawn:', await dls.showBatch({ b: [mixup.x, mixup.y], rows: 3, cols: 3, file: join(out, 'mixup.png') }))
})
// When the session is over the Learner is as it was, the loss too.

heading('3. A mixing of your own')
// What mixing has in common - the partners' targets, the loss against both, putting the loss back however training
// ends - is MixHandler's. A subclass says how pictures are put together, and how much of its own each one kept.

/** The left part of each picture, beside the right part of its partner. */
class Curtain extends MixHandler {
  override beforeBatch(): void {
    const { learn } = this
    const [share = 1] = this.random.beta(this.alphaNow(), 1)
    const kept = Math.round(size * share)
    const perm = tensor(this.random.permutation(learn.bs)).to({ dtype: 'int64' })
    learn.xb = learn.xb.map(x => {
      const partner = x.indexSelect(0, perm)
      return cat([x.narrow(3, 0, kept), partner.narrow(3, kept, size - kept)], 3)
    })
    this.mixTargets(perm, tensor([kept / size])) // by what was kept, not by what was drawn
  }
}

/** Draws what a callback makes of the first training batch. */
async function drawMixed(handler: MixHandler, file: string): Promise<void> {
  await new Learner(dls, new nn.Linear(3, 4), { lossFunc, cbs: handler }).session(async learn => {
    learn.training = true
    learn.split(await dls.oneBatch())
    await learn.emit(['beforeTrain', 'beforeBatch'])
    console.log('drawn:', await dls.showBatch({ b: [handler.x, handler.y], rows: 3, cols: 3, file: join(out, file) }))
  })
}
await drawMixed(new Curtain({ alpha: 1 }), 'curtain.png')

heading('4. Training with MixUp')
// For a whole fit the callback is all it takes. The training loss is that of mixed pictures, so it stays higher than
// usual; validation sees the pictures as they are, and the plain loss.
const withMixup = visionLearner(dls, resnet18, { lossFunc, metrics: [errorRate], pretrained: values.pretrained })
await withMixup.fitOneCycle(epochs, { cbs: mixup })

heading('5. CutMix')
// CutMix pastes a box of the partner instead of blending, one box for the whole batch. The weight of the own target is
// the share of the picture that is left. Watch `lam`: it counts what the border cut off the box.
const cutmix = new CutMix(1)
await drawMixed(cutmix, 'cutmix.png')
const withCutmix = visionLearner(dls, resnet18, {
  lossFunc,
  metrics: [accuracy, errorRate],
  pretrained: values.pretrained,
})
await withCutmix.fitOneCycle(epochs, { cbs: cutmix })
console.log('drawn:', await withCutmix.showResults({ file: join(out, 'results.png') }))

heading('6. The same numbers again')
// Weights, partners and boxes are drawn from libtorch's CPU generator in a fixed order: a seed decides them all, and
// gives those that it gives in Python.
for (const _ of [1, 2]) {
  manualSeed(7)
  console.log(
    Array.from(hostRandom.beta(0.4, 3), b => b.toFixed(6)).join(' '),
    '|',
    hostRandom.permutation(5).join(' '),
  )
}
