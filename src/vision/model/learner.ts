import {
  checkOptions,
  count,
  field,
  flag,
  invalidArgument,
  type Output,
  strictObject,
  TorchLearnerError,
} from '../../check/index.js'
import { DataLoader } from '../../data/index.js'
import { type StateDict, StateDictError, stateEntries } from '../../files/index.js'
import { Learner, type LearnerData, type LearnerOptions } from '../../learner/index.js'
import { type AnyModule, type Layer, Module, Sequential } from '../../nn/index.js'
import { scope } from '../../tensor/index.js'
import { type ChannelStats, imagenetStats, Normalize } from '../transforms/normalize.js'
import { bodyHeadSplit, type Cut, createBody, numFeatures, replacedChildren, resnetSplit } from './body.js'
import { createHead, HEAD_OPTIONS, type HeadOptions } from './head.js'
import { hasPretrained, ResNet } from './resnet.js'
import type { WeightsVersion } from './weights.js'

/** What an architecture is asked for: weights to start with. */
export interface ArchOptions {
  /** Pretrained weights instead of random ones. */
  pretrained: boolean
  /** Which ones, where it was said. */
  weights?: WeightsVersion
}

/**
 * Makes a network: {@link resnet18}, {@link resnet50}..., or a function of your own that returns a {@link Module} whose
 * children, called in their order, are what its `forward` does up to the classifier.
 */
export type Arch = (options: ArchOptions) => AnyModule

/** Options of {@link visionLearner}: its own, those of {@link Learner} and those of {@link createHead}. */
export interface VisionLearnerOptions extends LearnerOptions, HeadOptions {
  /** Number of outputs. Default: the data's, `dls.c`. */
  nOut?: number
  /** Channels of the pictures, default 3. Others get a first layer of their own, which starts from the pretrained one. */
  nIn?: number
  /**
   * Start from pretrained weights, with everything but the head frozen. Default true for the ResNets of this package,
   * whose weights are torchvision's; an architecture of your own is told, and has to be told explicitly.
   */
  pretrained?: boolean
  /**
   * The weights to start from: a version of torchvision's, or a state dict of the network, as {@link loadSafetensors} and
   * {@link loadPth} read it; its classifier, which the head replaces, may have any number of classes. They count as
   * pretrained.
   */
  weights?: WeightsVersion | StateDict
  /**
   * With pretrained weights: normalise inputs as those weights expect, unless the data do. Default true for ResNets, whose
   * weights expect {@link imagenetStats}; give an architecture of your own its statistics.
   */
  normalize?: boolean | ChannelStats
  /** Where the network is cut into body and classifier: see {@link createBody}. */
  cut?: Cut
  /** A head instead of that of {@link createHead}, `(N, channels, H, W)` to outputs. It is taken as it is. */
  customHead?: AnyModule
}

const isObject = (value: unknown) => typeof value === 'object' && value !== null
const ownSchema = strictObject({
  nOut: count.optional(),
  nIn: count.default(3),
  pretrained: flag.optional(),
  weights: field<WeightsVersion | StateDict>(
    'IMAGENET1K_V1, IMAGENET1K_V2 or a state dict',
    value => isObject(value) || /^IMAGENET1K_V[12]$/.test(String(value)),
  ).optional(),
  normalize: field<boolean | ChannelStats>(
    'true, false or [means, standard deviations]',
    value => typeof value === 'boolean' || Array.isArray(value),
  ).optional(),
  cut: field<Cut>(
    'a whole number or a function',
    value => Number.isInteger(value) || typeof value === 'function',
  ).optional(),
  customHead: field<AnyModule>('a Module', value => value instanceof Module).optional(),
})

type Own = Output<typeof ownSchema>

const OWN = Object.keys(ownSchema.shape)

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

/** Loaders of ready batches have no transforms: theirs are taken as they are. */
function addNormalize({ train, valid }: LearnerData, stats: ChannelStats): void {
  const loaders = [train, valid].filter(loader => loader instanceof DataLoader)
  const missing = loaders.filter(loader => !loader.batchTfms.some(transform => transform instanceof Normalize))
  if (missing.length === 0) return
  const normalize = Normalize.fromStats(stats)
  for (const loader of missing) loader.addBatchTfm(normalize)
}

/** The network, with the weights that were asked for. */
function network(arch: Arch, { pretrained, weights, cut }: Own): { net: AnyModule; isPretrained: boolean } {
  if (weights !== undefined && pretrained === false) {
    throw invalidArgument('pretrained', 'true (or nothing) where weights are given', pretrained)
  }
  const own = typeof weights === 'object' ? weights : undefined
  const version = typeof weights === 'string' ? { weights } : {}
  const wanted = own ? false : (pretrained ?? true)
  const net = arch({ pretrained: wanted, ...version })
  if (!(net instanceof Module)) throw invalidArgument('arch', 'a function that makes a Module', net)
  if (pretrained === undefined && weights === undefined && !hasPretrained(net)) {
    throw invalidArgument(
      'pretrained',
      'true or false for an architecture of your own',
      pretrained,
      'It freezes the body, so that only the head trains at first: say whether its weights are worth keeping',
    )
  }
  if (own) scope(() => loadBody(net, own, cut))
  return { net, isPretrained: own !== undefined || wanted }
}

/** Everything but what the head replaces, which may be there for another number of classes, or not at all. */
function loadBody(net: AnyModule, weights: StateDict, cut: Cut | undefined): void {
  const replaced = replacedChildren(net, cut)
  const stays = (name: string) => !replaced.some(child => name.startsWith(`${child}.`))
  const state = new Map([...stateEntries(weights)].filter(([name]) => stays(name)))
  const { missingKeys, unexpectedKeys } = net.loadStateDict(state, { strict: false })
  const missing = missingKeys.filter(stays)
  if (missing.length + unexpectedKeys.length > 0) {
    throw new StateDictError(net.constructor.name, missing, unexpectedKeys, [])
  }
}

/** The statistics that inputs are to be normalised by, if any. */
function statsFor(net: AnyModule, { normalize, nIn }: Own): ChannelStats | null {
  if (typeof normalize === 'object') return normalize
  const known = net instanceof ResNet || normalize === true
  return (normalize ?? true) && known && nIn === 3 ? imagenetStats : null
}

/**
 * A Learner for pictures: a network's body with fastai's head for the data's classes. A ResNet has three parameter groups
 * (stem to layer2, layer3 and layer4, head) for discriminative learning rates, other networks two (body, head).
 *
 * With `pretrained` (default for ResNets) the body starts with torchvision's ImageNet weights and is frozen, so that a
 * first fit trains the head alone (and normalisation layers); `unfreeze` or `fineTune` go on from there. The data's
 * loaders then get {@link Normalize} with {@link imagenetStats} unless they have one. Weights that aren't on disk are
 * fetched, and the call waits for them; {@link downloadWeights} does it beforehand without blocking.
 *
 * @param dls pictures `(N, nIn, H, W)`; `dls.c` or `dls.vocab` say how many outputs there are
 * @param arch {@link resnet18}, {@link resnet34}, {@link resnet50}, ..., or a function that makes another network; its
 * body's channels are found by a trial ({@link numFeatures})
 * @throws TorchLearnerError `ERR_DOWNLOAD` when the weights are neither on disk nor to be had; `ERR_STATE_DICT` when
 * `weights` don't fit the network; `ERR_INVALID_ARG`
 * @example
 * const learn = visionLearner(dls, resnet18, { lossFunc: new CrossEntropyLossFlat(), metrics: [errorRate] })
 * await learn.fineTune(3, { cbs: new MixUp(0.4) })
 */
export function visionLearner(dls: VisionData, arch: Arch, options: VisionLearnerOptions = {}): Learner {
  if (typeof options !== 'object' || options === null) throw invalidArgument('options', 'an object', options)
  if (typeof dls !== 'object' || dls === null) throw invalidArgument('dls', 'DataLoaders', dls)
  if (typeof arch !== 'function') throw invalidArgument('arch', 'a function such as resnet18', arch)
  const [given, others] = take(options, OWN)
  const own = checkOptions(ownSchema, given, 'visionLearner')
  const [headOptions, learnerOptions] = take(others, HEAD_OPTIONS)
  const { nIn, cut, customHead } = own
  const [useless] = Object.entries({ ...headOptions, ...(own.nOut !== undefined && { nOut: own.nOut }) })
  if (customHead !== undefined && useless) {
    throw invalidArgument(useless[0], 'nothing where customHead is given', useless[1])
  }
  const nOut = own.nOut ?? (customHead ? 0 : outputs(dls))
  const { net, isPretrained } = network(arch, own)
  const body = createBody(net, { nIn, pretrained: isPretrained, ...(cut !== undefined && { cut }) })
  const head = customHead ?? createHead(features(net, body, own), nOut, headOptions)
  const split = net instanceof ResNet && typeof cut !== 'function' ? resnetSplit : bodyHeadSplit
  const model = new Sequential(body as Layer, head as Layer)
  const learn = new Learner(dls, model, { splitter: split, ...learnerOptions })
  if (!isPretrained) return learn
  learn.freeze()
  const stats = statsFor(net, own)
  if (stats) addNormalize(dls, stats)
  return learn
}

/** Channels that the body gives: of a whole ResNet, what its classifier took. */
function features(net: AnyModule, body: AnyModule, { cut, nIn }: Own): number {
  return net instanceof ResNet && cut === undefined ? net.fc.inFeatures : numFeatures(body, nIn)
}
