import {
  checkArguments,
  checkValue,
  count,
  flag,
  invalidArgument,
  oneOfQuoted,
  strictObject,
} from '../../check/index.js'
import {
  AdaptiveAvgPool2d,
  BatchNorm2d,
  Conv2d,
  init,
  Linear,
  MaxPool2d,
  Module,
  type ModuleTarget,
  memoryFormat,
  ReLU,
  Sequential,
} from '../../nn/index.js'
import { scope, type Tensor } from '../../tensor/index.js'
import { pretrainedState, type WeightsName, type WeightsVersion } from './weights.js'

const schema = strictObject({
  numClasses: count.default(1000),
  memoryFormat: memoryFormat.default('channels_last'),
  pretrained: flag.optional(),
  weights: oneOfQuoted('IMAGENET1K_V1', 'IMAGENET1K_V2').optional(),
})
const shapeSchema = strictObject({ groups: count.default(1), widthPerGroup: count.default(64) })

function conv3x3(from: number, to: number, stride = 1, groups = 1): Conv2d {
  return new Conv2d(from, to, 3, { stride, padding: 1, groups, bias: false })
}

function conv1x1(from: number, to: number, stride = 1): Conv2d {
  return new Conv2d(from, to, 1, { stride, bias: false })
}

// Fields are torchvision's: they are the names in state dicts, and their order is the order of the random draws.

/** Two 3x3 convolutions around a shortcut: the block of ResNet-18 and 34. */
export class BasicBlock extends Module<[Tensor], Tensor> {
  static readonly expansion = 1
  readonly conv1: Conv2d
  readonly bn1: BatchNorm2d
  readonly relu = new ReLU({ inplace: true })
  readonly conv2: Conv2d
  readonly bn2: BatchNorm2d
  readonly downsample: Sequential | null

  constructor(from: number, width: number, stride: number, downsample: Sequential | null) {
    super()
    this.conv1 = conv3x3(from, width, stride)
    this.bn1 = new BatchNorm2d(width)
    this.conv2 = conv3x3(width, width)
    this.bn2 = new BatchNorm2d(width)
    this.downsample = downsample
  }

  forward(input: Tensor): Tensor {
    const first = this.relu(this.bn1(this.conv1(input)))
    const second = this.bn2(this.conv2(first))
    return this.relu(second.add_(this.downsample === null ? input : this.downsample(input)))
  }
}

/** How wide the middle of a {@link Bottleneck} is. */
export interface BottleneckShape {
  /** Into how many independent convolutions the 3x3 one is divided, default 1. */
  groups?: number
  /** Channels of each, in the first layer, default 64. */
  widthPerGroup?: number
}

/** 1x1, 3x3 and 1x1 convolutions around a shortcut: the block of ResNet-50 and larger. The 3x3 one has the stride. */
export class Bottleneck extends Module<[Tensor], Tensor> {
  static readonly expansion = 4
  readonly conv1: Conv2d
  readonly bn1: BatchNorm2d
  readonly conv2: Conv2d
  readonly bn2: BatchNorm2d
  readonly conv3: Conv2d
  readonly bn3: BatchNorm2d
  readonly relu = new ReLU({ inplace: true })
  readonly downsample: Sequential | null

  constructor(
    from: number,
    width: number,
    stride: number,
    downsample: Sequential | null,
    { groups = 1, widthPerGroup = 64 }: BottleneckShape = {},
  ) {
    super()
    checkValue(count, width, 'width')
    const inner =
      Math.trunc((width * checkValue(count, widthPerGroup, 'widthPerGroup')) / 64) * checkValue(count, groups, 'groups')
    this.conv1 = conv1x1(from, inner)
    this.bn1 = new BatchNorm2d(inner)
    this.conv2 = conv3x3(inner, inner, stride, groups)
    this.bn2 = new BatchNorm2d(inner)
    this.conv3 = conv1x1(inner, width * Bottleneck.expansion)
    this.bn3 = new BatchNorm2d(width * Bottleneck.expansion)
    this.downsample = downsample
  }

  forward(input: Tensor): Tensor {
    const first = this.relu(this.bn1(this.conv1(input)))
    const second = this.relu(this.bn2(this.conv2(first)))
    const third = this.bn3(this.conv3(second))
    return this.relu(third.add_(this.downsample === null ? input : this.downsample(input)))
  }
}

type Block = typeof BasicBlock | typeof Bottleneck

/** Options of {@link resnet18} and its larger sisters. */
export interface ResNetOptions {
  /** Number of outputs, default 1000. */
  numClasses?: number
  /**
   * How weights lie in memory. `channels_last` (default) is faster in training on CPU and GPU; results differ by
   * rounding only.
   */
  memoryFormat?: NonNullable<ModuleTarget['memoryFormat']>
  /**
   * Start with torchvision's ImageNet weights (`IMAGENET1K_V1`) instead of random ones; default false. They are fetched
   * when they aren't on disk, and the call waits for that: see {@link downloadWeights}.
   */
  pretrained?: boolean
  /** Which of torchvision's weights to start with, instead of saying `pretrained`. */
  weights?: WeightsVersion
}

/**
 * Residual network (He et al. 2015, "Deep residual learning for image recognition") with torchvision's structure, names
 * and initial weights: `(N, 3, H, W)` to `(N, numClasses)`.
 */
export class ResNet extends Module<[Tensor], Tensor> {
  readonly conv1 = new Conv2d(3, 64, 7, { stride: 2, padding: 3, bias: false })
  readonly bn1 = new BatchNorm2d(64)
  readonly relu = new ReLU({ inplace: true })
  readonly maxpool = new MaxPool2d(3, { stride: 2, padding: 1 })
  readonly layer1: Sequential
  readonly layer2: Sequential
  readonly layer3: Sequential
  readonly layer4: Sequential
  readonly avgpool = new AdaptiveAvgPool2d([1, 1])
  readonly fc: Linear

  /**
   * @param block {@link BasicBlock} or {@link Bottleneck}
   * @param depths number of blocks in each of the four layers
   * @param shape of a Bottleneck's middle, for ResNeXt and wide networks
   */
  constructor(
    block: Block,
    depths: readonly [number, number, number, number],
    numClasses: number,
    shape: BottleneckShape = {},
  ) {
    super()
    if (block !== BasicBlock && block !== Bottleneck) throw invalidArgument('block', 'BasicBlock or Bottleneck', block)
    if (!Array.isArray(depths) || depths.length !== 4) throw invalidArgument('depths', 'four whole numbers', depths)
    for (const depth of depths) checkValue(count, depth, 'depths')
    const { groups, widthPerGroup } = checkArguments(shapeSchema, shape, 'ResNet')
    if (block === BasicBlock && (groups !== 1 || widthPerGroup !== 64)) {
      throw invalidArgument('block', 'Bottleneck for groups or another width', block)
    }
    this.layer1 = layer(block, 64, 64, depths[0], 1, shape)
    this.layer2 = layer(block, 64 * block.expansion, 128, depths[1], 2, shape)
    this.layer3 = layer(block, 128 * block.expansion, 256, depths[2], 2, shape)
    this.layer4 = layer(block, 256 * block.expansion, 512, depths[3], 2, shape)
    this.fc = new Linear(512 * block.expansion, numClasses)
    for (const module of this.modules()) {
      if (module instanceof Conv2d) init.normal_(module.weight, 0, convolutionStd(module))
    }
  }

  forward(input: Tensor): Tensor {
    let x = this.maxpool(this.relu(this.bn1(this.conv1(input))))
    for (const stage of [this.layer1, this.layer2, this.layer3, this.layer4]) x = stage(x)
    return this.fc(this.avgpool(x).flatten(1))
  }
}

// Kaiming by the number of outputs; from the sizes themselves, as reading a weight's shape would wait for its draws.
function convolutionStd({ outChannels, kernelSize }: Conv2d): number {
  return init.kaimingStd(outChannels * kernelSize[0] * kernelSize[1], { nonlinearity: 'relu' })
}

function layer(
  block: Block,
  from: number,
  width: number,
  depth: number,
  stride: number,
  shape: BottleneckShape,
): Sequential {
  const to = width * block.expansion
  const reshapes = stride !== 1 || from !== to
  const downsample = reshapes ? new Sequential(conv1x1(from, to, stride), new BatchNorm2d(to)) : null
  const result = new Sequential(new block(from, width, stride, downsample, shape))
  for (let i = 1; i < depth; i++) result.append(new block(to, width, 1, null, shape))
  return result
}

const trained = new WeakSet<ResNet>()

/** @internal Whether a network was made with pretrained weights. */
export function hasPretrained(model: unknown): boolean {
  return model instanceof ResNet && trained.has(model)
}

function resnet(
  name: WeightsName,
  block: Block,
  depths: readonly [number, number, number, number],
  options: ResNetOptions,
  shape: BottleneckShape = {},
): ResNet {
  const { numClasses, memoryFormat, weights, ...given } = checkArguments(schema, options, name)
  const { pretrained = weights !== undefined } = given
  if (!pretrained && weights !== undefined) {
    throw invalidArgument('pretrained', 'true (or nothing) where weights are named', pretrained)
  }
  if (pretrained && numClasses !== 1000) {
    throw invalidArgument(
      'numClasses',
      '1000 (the classes of the pretrained weights)',
      numClasses,
      'For other classes use visionLearner',
    )
  }
  const model = new ResNet(block, depths, numClasses, shape)
  if (pretrained) {
    scope(() => void model.loadStateDict(pretrainedState(name, weights ?? 'IMAGENET1K_V1')))
    trained.add(model)
  }
  return memoryFormat === 'contiguous_format' ? model : model.to({ memoryFormat })
}

/**
 * ResNet-18: 11.7 million parameters.
 *
 * @example const model = resnet18({ numClasses: 10 })
 */
export function resnet18(options: ResNetOptions = {}): ResNet {
  return resnet('resnet18', BasicBlock, [2, 2, 2, 2], options)
}

/** ResNet-34: 21.8 million parameters. */
export function resnet34(options: ResNetOptions = {}): ResNet {
  return resnet('resnet34', BasicBlock, [3, 4, 6, 3], options)
}

/** ResNet-50: 25.6 million parameters. */
export function resnet50(options: ResNetOptions = {}): ResNet {
  return resnet('resnet50', Bottleneck, [3, 4, 6, 3], options)
}

/** ResNet-101: 44.5 million parameters. */
export function resnet101(options: ResNetOptions = {}): ResNet {
  return resnet('resnet101', Bottleneck, [3, 4, 23, 3], options)
}

/** ResNet-152: 60.2 million parameters. */
export function resnet152(options: ResNetOptions = {}): ResNet {
  return resnet('resnet152', Bottleneck, [3, 8, 36, 3], options)
}

/** ResNeXt-50 32x4d (Xie et al. 2016): 25.0 million parameters. */
export function resnext50_32x4d(options: ResNetOptions = {}): ResNet {
  return resnet('resnext50_32x4d', Bottleneck, [3, 4, 6, 3], options, { groups: 32, widthPerGroup: 4 })
}

/** ResNeXt-101 32x8d: 88.8 million parameters. */
export function resnext101_32x8d(options: ResNetOptions = {}): ResNet {
  return resnet('resnext101_32x8d', Bottleneck, [3, 4, 23, 3], options, { groups: 32, widthPerGroup: 8 })
}

/** ResNeXt-101 64x4d: 83.5 million parameters. */
export function resnext101_64x4d(options: ResNetOptions = {}): ResNet {
  return resnet('resnext101_64x4d', Bottleneck, [3, 4, 23, 3], options, { groups: 64, widthPerGroup: 4 })
}

/** Wide ResNet-50-2 (Zagoruyko & Komodakis 2016): 68.9 million parameters. */
export function wideResnet50_2(options: ResNetOptions = {}): ResNet {
  return resnet('wide_resnet50_2', Bottleneck, [3, 4, 6, 3], options, { widthPerGroup: 128 })
}

/** Wide ResNet-101-2: 126.9 million parameters. */
export function wideResnet101_2(options: ResNetOptions = {}): ResNet {
  return resnet('wide_resnet101_2', Bottleneck, [3, 4, 23, 3], options, { widthPerGroup: 128 })
}
