import {
  checkArguments,
  checkValue,
  count,
  field,
  flag,
  invalidArgument,
  strictObject,
  TorchLearnerError,
} from '../../check/index.js'
import { type AnyModule, Conv2d, keepModes, type Layer, Module, type Parameter, Sequential } from '../../nn/index.js'
import { noGrad, scope, type Tensor, zeros } from '../../tensor/index.js'
import { ResNet } from './resnet.js'

/** Where a network is cut into body and classifier: how many of its children stay, or what makes a body of it. */
export type Cut = number | ((model: AnyModule) => AnyModule)

/** Options of {@link createBody}. */
export interface BodyOptions {
  /** Channels of the pictures, default 3. For another number the first layer is replaced by a new one. */
  nIn?: number
  /** The new first layer takes over what fits of the old one's weights, default false. */
  pretrained?: boolean
  /**
   * How many children of the network make the body (from the end when negative), or a function that returns the body.
   * Default: -2 for a {@link ResNet}; else everything before the last child in which something pools.
   */
  cut?: Cut
}

/** @internal Where to cut, as a field of a schema. */
export const cutField = field<Cut>(
  'a whole number or a function',
  value => Number.isInteger(value) || typeof value === 'function',
).optional()
const schema = strictObject({ nIn: count.default(3), pretrained: flag.default(false), cut: cutField })

/** As fastai: one channel gets the sum of the three, two get theirs times 1.5, further ones start at 0. */
function takeOver(target: Tensor, old: Tensor, nIn: number): void {
  if (nIn === 1) target.copy_(old.sum([1], true))
  else if (nIn === 2) target.copy_(old.narrow(1, 0, 2).mul(1.5))
  else target.zero_().narrow(1, 0, 3).copy_(old)
}

function firstLayer(old: Conv2d, nIn: number, pretrained: boolean): Conv2d {
  const { outChannels, kernelSize, stride, padding, dilation, groups, bias } = old
  const options = { stride, padding, dilation, groups, bias: bias !== null }
  const layer = new Conv2d(nIn, outChannels, kernelSize, options)
  if (!pretrained) return layer
  noGrad(() =>
    scope(() => {
      takeOver(layer.weight, old.weight, nIn)
      if (bias !== null) layer.bias?.copy_(bias)
    }),
  )
  return layer
}

/** The first layer that has weights, by way of first children, and who holds it. */
function findFirst(model: AnyModule): { parent: AnyModule; name: string; layer: AnyModule } | null {
  const first = model.namedChildren().next().value
  if (!first) return null
  const [name, layer] = first
  return layer.children().length > 0 ? findFirst(layer) : { parent: model, name, layer }
}

/** The network's children, the first layer replaced where pictures have other than three channels. */
function adapted(model: AnyModule, nIn: number, pretrained: boolean): AnyModule[] {
  if (nIn === 3) return model.children()
  const found = findFirst(model)
  if (!(found?.layer instanceof Conv2d) || found.layer.inChannels !== 3 || found.layer.groups !== 1) {
    throw invalidArgument(
      'nIn',
      '3, as the first layer of this network is not a convolution of 3 channels that could be replaced,',
      nIn,
    )
  }
  const layer = firstLayer(found.layer, nIn, pretrained)
  if (found.parent === model) return [layer, ...model.children().slice(1)]
  Reflect.set(found.parent, found.name, layer)
  return model.children()
}

function pools(module: AnyModule): boolean {
  return module.modules().some(part => /Pool[123]d$/.test(part.constructor.name))
}

function defaultCut(model: AnyModule): number {
  if (model instanceof ResNet) return -2
  const last = model.children().findLastIndex(pools)
  if (last > 0) return last
  throw invalidArgument('cut', 'a number or a function, as no child of this network but the first pools,', undefined)
}

/** The names of the children that {@link createBody} leaves out; of a `cut` that is a function nobody knows. */
export function replacedChildren(model: AnyModule, cut: Cut | undefined): string[] {
  if (typeof cut === 'function') return []
  return Array.from(model.namedChildren(), ([name]) => name).slice(cut ?? defaultCut(model))
}

/**
 * A network without its pooling and classifier: for a {@link ResNet}, `(N, nIn, H, W)` to `(N, 512 or 2048, H / 32,
 * W / 32)`. It shares the network's layers, which are called one after the other. A new first layer that isn't a direct
 * child of the network takes its place in the network too.
 *
 * @param model a network whose children, in their order, are what its `forward` calls
 * @throws TorchLearnerError `ERR_INVALID_ARG` when it isn't clear where to cut, or the first layer can't be replaced
 * @example createBody(resnet18(), { nIn: 1 })
 */
export function createBody(model: ResNet, options?: Omit<BodyOptions, 'cut'> & { cut?: number }): Sequential
export function createBody(model: AnyModule, options: BodyOptions & { cut?: number }): Sequential
export function createBody(model: AnyModule, options?: BodyOptions): AnyModule
export function createBody(model: AnyModule, options: BodyOptions = {}): AnyModule {
  if (!(model instanceof Module)) throw invalidArgument('model', 'a Module', model)
  const { nIn, pretrained, cut: given } = checkArguments(schema, options, 'createBody')
  const children = adapted(model, nIn, pretrained)
  const cut = given ?? defaultCut(model)
  if (typeof cut === 'function') {
    const whole = nIn === 3 || children[0] === model.children()[0] ? model : withFirst(model, children[0])
    return checkBody(cut(whole))
  }
  const layers = children.slice(0, cut) as Layer[]
  if (layers.length === 0) throw invalidArgument('cut', `a number that leaves some of ${children.length} children`, cut)
  return new Sequential(...layers)
}

function withFirst(model: AnyModule, layer: AnyModule): AnyModule {
  const first = model.namedChildren().next().value
  if (first) Reflect.set(model, first[0], layer)
  return model
}

function checkBody(body: unknown): AnyModule {
  if (body instanceof Module) return body as AnyModule
  throw invalidArgument('what cut returns', 'a Module', body)
}

const SIZES = [32, 64, 128, 256, 512, 1024, 2048]

/**
 * How many channels a body makes of pictures, found by sending it an empty one in evaluation mode: of 32 pixels, or of
 * the first size of up to 2048 that it doesn't fail at. Waits for the result.
 *
 * @param body `(N, nIn, H, W)` to `(N, channels, H', W')`
 * @throws TorchLearnerError `ERR_INVALID_ARG` when it fails at all sizes, or returns something else; the last failure is
 * the `cause`
 * @example numFeatures(createBody(resnet18())) // 512
 */
export function numFeatures(body: AnyModule, nIn = 3): number {
  if (!(body instanceof Module)) throw invalidArgument('body', 'a Module', body)
  const restore = keepModes(body)
  body.eval()
  try {
    return noGrad(() => scope(() => channelsOf(body as Layer, checkValue(count, nIn, 'nIn'))))
  } finally {
    restore()
  }
}

function channelsOf(body: Layer, nIn: number): number {
  const weight = body.parameters()[0]
  let failure: unknown
  for (const size of SIZES) {
    try {
      const { shape } = body(zeros([1, nIn, size, size], { device: weight?.device, dtype: weight?.dtype }))
      if (shape.length >= 2) return shape[1]
      failure = invalidArgument('what the body returns', 'a tensor (N, C, H, W)', shape)
    } catch (error) {
      failure = error // too small a picture for it, perhaps
    }
  }
  throw new TorchLearnerError(
    'ERR_INVALID_ARG',
    `The channels of the body can't be found out: it fails for pictures of ${SIZES.join(', ')} pixels. Pass customHead`,
    { cause: failure },
  )
}

/** A network of body and head in two parameter groups, these two: the default for networks that aren't ResNets. */
export function bodyHeadSplit(model: AnyModule): Parameter[][] {
  const [body, ...head] = model instanceof Module ? model.children() : []
  if (body === undefined || head.length === 0) {
    throw invalidArgument('model', 'a Sequential of body and head', model)
  }
  return [body.parameters(), head.flatMap(module => module.parameters())]
}

/** fastai's three parameter groups of a body and a head: stem to layer2, layer3 and layer4, head. */
export function resnetSplit(model: AnyModule): Parameter[][] {
  const [body, head] = model instanceof Module ? model.children() : []
  if (!(body instanceof Sequential) || head === undefined) {
    throw invalidArgument('model', 'a Sequential of body and head', model)
  }
  const parameters = (modules: readonly Layer[]) => modules.flatMap(module => module.parameters())
  const stages = [...body]
  return [parameters(stages.slice(0, 6)), parameters(stages.slice(6)), head.parameters()]
}
