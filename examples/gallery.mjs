// Makes the pictures of docs/gallery, from real runs: node examples/gallery.mjs [folder]
//
// - mixing-light.png, mixing-dark.png: what three callbacks make of the same drawings
// - lr-find.svg: the learning rate finder's curve for a ResNet-18 on handwritten digits
// - top-losses-light.png, top-losses-dark.png: what the network got most wrong after an epoch with MixUp
// - confusion.svg: the same run in numbers
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import {
  ClassificationInterpretation,
  CrossEntropyLossFlat,
  CutMix,
  errorRate,
  FMix,
  ImageDataLoaders,
  Learner,
  MixUp,
  manualSeed,
  mnistStats,
  Normalize,
  Resize,
  resnet18,
  showMixed,
} from 'torch-learner'
import { writeDrawings } from './drawings.mjs'
import { writeDigits } from './mnist.mjs'

const out = resolve(process.argv[2] ?? join(import.meta.dirname, '..', 'docs', 'gallery'))
const home = resolve(import.meta.dirname, '..', 'quickstart')
const THEMES = /** @type {const} */ (['light', 'dark'])

/** The same batch, mixed in three ways. */
async function mixing() {
  const folder = join(home, 'drawings')
  if (!existsSync(folder)) await writeDrawings(folder, 40)
  const dls = await ImageDataLoaders.fromFolder(folder, { validPct: 0.2, seed: SEED, bs: 8, itemTfms: new Resize(128) })
  manualSeed(SEED)
  const b = await dls.oneBatch()
  const callbacks = [new MixUp(4), new CutMix(4), new FMix(4)]
  for (const theme of THEMES) {
    manualSeed(SEED)
    console.log(await showMixed(dls, callbacks, { b, cols: 3, theme, file: join(out, `mixing-${theme}.png`) }))
  }
}

/** Of the random numbers' seeds one that draws eight pictures of many kinds. */
const SEED = 115

/** A ResNet-18 that learns handwritten digits. */
async function digits() {
  const folder = join(home, 'data')
  await writeDigits(folder)
  manualSeed(42)
  const dls = await ImageDataLoaders.fromFolder(folder, {
    bs: 128,
    valBs: 256,
    itemTfms: new Resize(32),
    batchTfms: [Normalize.fromStats(mnistStats)],
  })
  const model = resnet18({ numClasses: dls.vocab?.length })
  const learn = new Learner(dls, model, { lossFunc: new CrossEntropyLossFlat(), metrics: errorRate })
  // one-cycle only touches its highest rate: the boldest of the four suggestions serves
  const { minimum } = await learn.lrFind({ file: join(out, 'lr-find.svg') })
  await learn.fitOneCycle(1, { lrMax: minimum, cbs: new MixUp(0.4) })
  const interp = await ClassificationInterpretation.fromLearner(learn)
  for (const theme of THEMES) {
    console.log(await interp.plotTopLosses(9, { theme, file: join(out, `top-losses-${theme}.png`) }))
  }
  console.log(await interp.plotConfusionMatrix({ file: join(out, 'confusion.svg') }))
  interp.printClassificationReport()
}

await mixing()
await digits()
