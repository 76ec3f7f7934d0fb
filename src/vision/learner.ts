import { z } from 'zod'
import { checkOptions, DataLoader } from '../data/index.js'
import { Learner, type LearnerData, type LearnerOptions } from '../learner/index.js'
import { invalidArgument, TorchLearnerError } from '../native/index.js'
import { Sequential } from '../nn/index.js'
import { createBody, createHead, type HeadOptions, resnetSplit } from './head.js'
import { imagenetStats, Normalize } from './normalize.js'
import { type Arch, ResNet } from './resnet.js'

/** Options of {@link visionLearner}: its own, those of {@link Learner} and those of {@link createHead}. */
export interface VisionLearnerOptions extends LearnerOptions, HeadOptions {
  /** Number of outputs. Default: the data's, `dls.c`. */
  nOut?: number
  /** Channels of the pictures, default 3. Others get a first layer of their own, which starts from the pretrained one. */
  nIn?: number
  /** Start from torchvision's ImageNet weights, with everything but the head frozen. Default true. */
  pretrained?: boolean
  /** With `pretrained` and 3 channels: normalise inputs as those weights expect, unless the data do. Default true. */
  normalize?: boolean
}

const flag = z.boolean({ error: 'true or false' })
const count = z.int({ error: 'a whole number from 1' }).min(1, { error: 'a whole number from 1' })
const ownSchema = z.strictObject({
  nOut: count.optional(),
  nIn: count.default(3),
  pretrained: flag.default(true),
  normalize: flag.default(true),
})

const OWN = Object.keys(ownSchema.shape)
const HEAD = ['linFtrs', 'ps', 'pool', 'concatPool', 'firstBn', 'bnFinal', 'linFirst', 'yRange']

/** The options with these names, and the others. */
function take(options: object, names: readonly string[]): [taken: object, others: object] {
  const entries = Object.entries(options)
  const isTaken = ([name]: [string, unknown]) => names.includes(name)
  return [Object.fromEntries(entries.filter(isTaken)), Object.fromEntries(entries.filter(entry => !isTaken(entry)))]
}

/** What {@link visionLearner} needs of its data; `ImageDataLoaders` have it all. */
export type VisionData = LearnerData & { readonly c?: number }

function outputs(dls: VisionData): number {
  const c = dls.c ?? dls.vocab?.length
  if (c !== undefined) return c
  throw new TorchLearnerError(
    'ERR_INVALID_ARG',
    'The data do not say how many outputs the model needs (dls.c): pass nOut',
  )
}

/** Channels that a body gives: what the classifier behind it took. */
function features(model: ResNet): number {
  return model.fc.inFeatures
}

/** Loaders of ready batches have no transforms: theirs are taken as they are. */
function addNormalize({ train, valid }: LearnerData): void {
  const loaders = [train, valid].filter(loader => loader instanceof DataLoader)
  const missing = loaders.filter(loader => !loader.batchTfms.some(transform => transform instanceof Normalize))
  if (missing.length === 0) return
  const normalize = Normalize.fromStats(imagenetStats)
  for (const loader of missing) loader.addBatchTfm(normalize)
}

/**
 * A Learner for pictures: a residual network's body with fastai's head for the data's classes, in three parameter
 * groups (stem to layer2, layer3 and layer4, head) for discriminative learning rates.
 *
 * With `pretrained` (default) the body starts with torchvision's ImageNet weights and is frozen, so that a first fit
 * trains the head alone (and normalisation layers); `unfreeze` or `fineTune` go on from there. The data's loaders then
 * get {@link Normalize} with {@link imagenetStats} unless they have one. Weights that aren't on disk are fetched, and
 * the call waits for them; {@link downloadWeights} does it beforehand without blocking.
 *
 * @param dls pictures `(N, nIn, H, W)`; `dls.c` or `dls.vocab` say how many outputs there are
 * @param arch {@link resnet18}, {@link resnet34}, {@link resnet50}, ...
 * @throws TorchLearnerError `ERR_DOWNLOAD` when the weights are neither on disk nor to be had; `ERR_INVALID_ARG`
 * @example
 * const learn = visionLearner(dls, resnet18, { lossFunc: new CrossEntropyLossFlat(), metrics: [errorRate] })
 * await learn.fineTune(3, { cbs: new MixUp(0.4) })
 */
export function visionLearner(dls: VisionData, arch: Arch, options: VisionLearnerOptions = {}): Learner {
  if (typeof options !== 'object' || options === null) throw invalidArgument('options', 'an object', options)
  if (typeof dls !== 'object' || dls === null) throw invalidArgument('dls', 'DataLoaders', dls)
  if (typeof arch !== 'function') throw invalidArgument('arch', 'a function such as resnet18', arch)
  const [given, others] = take(options, OWN)
  const { nIn, pretrained, normalize, ...own } = checkOptions(ownSchema, given, 'visionLearner')
  const [headOptions, learnerOptions] = take(others, HEAD)
  const nOut = own.nOut ?? outputs(dls)
  const network = arch({ pretrained })
  if (!(network instanceof ResNet)) throw invalidArgument('arch', 'a function that makes a ResNet', network)
  const model = new Sequential(
    createBody(network, { nIn, pretrained }),
    createHead(features(network), nOut, headOptions),
  )
  const learn = new Learner(dls, model, { splitter: resnetSplit, ...learnerOptions })
  if (pretrained) {
    learn.freeze()
    if (normalize && nIn === 3) addNormalize(dls)
  }
  return learn
}
