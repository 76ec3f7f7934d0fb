// Trains a ResNet-18 with MixUp, on handwritten digits or on your own pictures:
//
//   npm run quickstart
//   npm run quickstart -- --data <folder>
import { existsSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import {
  ClassificationInterpretation,
  CrossEntropyLossFlat,
  errorRate,
  getImageFiles,
  getNumThreads,
  ImageDataLoaders,
  imagenetStats,
  Learner,
  lineChart,
  MixUp,
  manualSeed,
  mnistStats,
  Normalize,
  Resize,
  resnet18,
  saveFigure,
  showMixed,
  TorchLearnerError,
} from 'torch-learner'
import { writeDigits } from './mnist.mjs'

const USAGE = `npm run quickstart -- [options]

  --data <folder>   your own pictures, a subfolder for each class; either directly in <folder> (a fifth of them is then
                    used for validation) or in <folder>/train and <folder>/valid (or val, or test). Default: handwritten digits
  --size <pixels>   pictures are brought to this width and height. Default: 32 for the digits, 64 for your own
  --bs <number>     pictures in a batch. Default: 128 for the digits, 64 for your own (fewer if there are few)
  --epochs <number> how often every picture is seen. Default: 1 for the digits, 5 for your own
  --lr <number>     the highest learning rate. Default: 0.003
  --out <folder>    where the three drawings go. Default: quickstart
  --help            this text`

const home = resolve(import.meta.dirname, '..', 'quickstart')

/** A path as a person would type it. @param {string} path */
const shown = path => relative(process.cwd(), path) || '.'

/** A number given on the command line. @param {string} name @param {string | undefined} text @param {number} fallback */
function number(name, text, fallback, whole = true) {
  if (text === undefined) return fallback
  const value = Number(text)
  if (text.trim() !== '' && value > 0 && (!whole || Number.isInteger(value))) return value
  const wanted = whole ? 'a whole number above 0' : 'a number above 0'
  throw new TorchLearnerError('ERR_INVALID_ARG', `Expected ${wanted} for --${name} but received "${text}"`)
}

function readArguments() {
  const text = /** @type {const} */ ({ type: 'string' })
  const options = {
    data: text,
    out: text,
    size: text,
    bs: text,
    epochs: text,
    lr: text,
    help: /** @type {const} */ ({ type: 'boolean' }),
  }
  const { values } = parseArgs({ options })
  const own = values.data !== undefined
  return {
    folder: values.data,
    out: values.out === undefined ? home : resolve(values.out),
    help: values.help === true,
    size: number('size', values.size, own ? 64 : 32),
    bs: number('bs', values.bs, own ? 64 : 128),
    bsGiven: values.bs !== undefined,
    epochs: number('epochs', values.epochs, own ? 5 : 1),
    lr: number('lr', values.lr, 3e-3, false),
  }
}

/** @param {ReturnType<typeof readArguments>} args */
async function openDigits({ size, bs }) {
  const folder = join(home, 'data')
  if (!existsSync(folder)) {
    const start = performance.now()
    console.log(`Writing 14,000 handwritten digits (MNIST) to ${shown(folder)} ...`)
    await writeDigits(folder)
    console.log(`  done in ${((performance.now() - start) / 1000).toFixed(1)} s; the next run finds them there`)
  }
  return await ImageDataLoaders.fromFolder(folder, {
    bs,
    valBs: 2 * bs,
    itemTfms: new Resize(size),
    batchTfms: [Normalize.fromStats(mnistStats)],
  })
}

/** @param {string} folder @param {ReturnType<typeof readArguments>} args */
async function openOwn(folder, { size, bs, bsGiven }) {
  const valid = ['valid', 'val', 'test'].find(name => existsSync(join(folder, name)))
  const inParts = valid !== undefined && existsSync(join(folder, 'train'))
  const files = await getImageFiles(inParts ? join(folder, 'train') : folder)
  const training = inParts ? files.length : Math.ceil(0.8 * files.length)
  return await ImageDataLoaders.fromFolder(folder, {
    ...(inParts ? { valid } : { validPct: 0.2, seed: 42 }),
    // with few pictures smaller batches, so that an epoch has at least four steps
    bs: bsGiven ? bs : Math.max(2, Math.min(bs, Math.floor(training / 4))),
    itemTfms: new Resize(size),
    batchTfms: [Normalize.fromStats(imagenetStats)],
  })
}

/** @param {Learner} learn @param {string} title @param {string} file */
async function drawLoss({ recorder: { losses, lrs } }, title, file) {
  const series = [
    { name: 'training loss, smoothed', y: losses },
    { name: 'learning rate', y: lrs, axis: /** @type {const} */ ('right'), dashed: true },
  ]
  const svg = lineChart({ title, series, xLabel: 'iteration', yLabel: 'loss', rightLabel: 'learning rate' })
  return await saveFigure(file, svg)
}

async function main() {
  const args = readArguments()
  if (args.help) return console.log(USAGE)
  const { size, epochs, lr } = args
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION })

  manualSeed(42)
  const dls = args.folder === undefined ? await openDigits(args) : await openOwn(resolve(args.folder), args)
  const [train, valid] = dls.loaders.map(loader => loader.n ?? 0)
  const classes = dls.vocab ?? []
  console.log(
    `${train} pictures for training and ${valid} for validation, of ${classes.length} classes: ${some(classes)}`,
  )

  const model = resnet18({ numClasses: classes.length })
  const mixed = await showMixed(dls, new MixUp(0.4), { file: join(args.out, 'mixup.png'), rows: 3, cols: 3 })
  console.log(`What MixUp makes of them: ${shown(mixed)}`)
  console.log(`Training a ResNet-18 with MixUp(0.4) at ${size} x ${size} pixels on ${getNumThreads()} threads\n`)

  const learn = new Learner(dls, model, { lossFunc: new CrossEntropyLossFlat(), metrics: errorRate })
  const start = performance.now()
  delay.enable()
  await learn.fitOneCycle(epochs, { lrMax: lr, cbs: new MixUp(0.4) })
  delay.disable()
  const seconds = (performance.now() - start) / 1000

  const title = `ResNet-18 with MixUp(0.4), ${epochs === 1 ? 'one epoch' : `${epochs} epochs`} of one-cycle`
  const chart = await drawLoss(learn, title, join(args.out, 'loss.svg'))
  const error = learn.recorder.values.at(-1)?.at(-1) ?? Number.NaN
  const rate = (epochs * (dls.train.length * (dls.train.bs ?? 0) + valid)) / seconds
  const blocked = [delay.percentile(99), delay.max].map(value => Math.max(0, value / 1e6 - RESOLUTION).toFixed(1))
  console.log(
    `\nThe model errs on ${(100 * error).toFixed(2)} % of the validation pictures, after ${seconds.toFixed(1)} s (${Math.round(rate)} images/s, validation included)`,
  )
  console.log(
    `Node's event loop meanwhile: held up ${blocked[0]} ms at most in 99 % of all checks, ${blocked[1]} ms at worst`,
  )
  console.log(`Loss and learning rate over time: ${shown(chart)}`)
  const interp = await ClassificationInterpretation.fromLearner(learn)
  const worst = await interp.plotTopLosses(9, { file: join(args.out, 'top-losses.png') })
  console.log(`What it got most wrong: ${shown(worst)}`)
}

/** How often the event loop is looked at, ms. */
const RESOLUTION = 5

/** The first names of a list. @param {readonly string[]} names */
function some(names) {
  return names.slice(0, 10).join(', ') + (names.length > 10 ? ', ...' : '')
}

try {
  await main()
} catch (error) {
  const ours = error instanceof TorchLearnerError
  const usage = error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
  if (!ours && !usage) throw error
  console.error(`\n${error.message}${usage ? `\n\n${USAGE}` : ''}`)
  process.exitCode = 1
}
