import {
  checkArguments,
  checkValue,
  count,
  field,
  flag,
  func,
  invalidArgument,
  list,
  probability,
  strictObject,
} from '../../check/index.js'
import {
  AdaptiveAvgPool2d,
  AdaptiveMaxPool2d,
  BatchNorm1d,
  Dropout,
  Flatten,
  init,
  type Layer,
  Linear,
  Module,
  ReLU,
  Sequential,
} from '../../nn/index.js'
import { cat, noGrad, type Tensor } from '../../tensor/index.js'

/** Largest values and means of each channel of `(N, C, H, W)`, side by side: `(N, 2C, 1, 1)`. */
export class AdaptiveConcatPool2d extends Module<[Tensor], Tensor> {
  readonly ap = new AdaptiveAvgPool2d(1)
  readonly mp = new AdaptiveMaxPool2d(1)

  forward(input: Tensor): Tensor {
    return cat([this.mp(input), this.ap(input)], 1)
  }
}

/** `sigmoid(x)` stretched to (low, high). */
export class SigmoidRange extends Module<[Tensor], Tensor> {
  constructor(
    readonly low: number,
    readonly high: number,
  ) {
    super()
  }

  forward(input: Tensor): Tensor {
    return input
      .sigmoid()
      .mul(this.high - this.low)
      .add(this.low)
  }
}

/** Options of {@link createHead}. */
export interface HeadOptions {
  /** Widths of the hidden layers, default `[512]`. */
  linFtrs?: readonly number[] | null
  /** Dropout of the last layer, and half of it before the others (default 0.5); or one for each layer. */
  ps?: number | readonly number[]
  /** Start with pooling, default true. */
  pool?: boolean
  /** Pool by maximum and by mean, which doubles the features; default true. */
  concatPool?: boolean
  /** Batch normalisation before the first layer, default true. */
  firstBn?: boolean
  /** Batch normalisation of the outputs, default false. */
  bnFinal?: boolean
  /** Linear layer before normalisation in each block, default false. */
  linFirst?: boolean
  /** Squeeze the outputs into a range by a sigmoid, default none. */
  yRange?: readonly [number, number] | null
  /**
   * How the weights of linear layers start, given one after the other; their biases start at 0. Default: He's normal
   * distribution, as in fastai. `null`: as the layers made themselves.
   *
   * @example createHead(512, 10, { init: weight => nn.init.xavierUniform_(weight) })
   */
  init?: ((weight: Tensor) => unknown) | null
}

const isRange = (value: unknown) =>
  Array.isArray(value) && value.length === 2 && value.every(Number.isFinite) && value[0] < value[1]

const schema = strictObject({
  linFtrs: list(count, 'an array of whole numbers').nullish(),
  ps: probability.or(list(probability), 'a number from 0 to 1, or one for each linear layer').default(0.5),
  pool: flag.default(true),
  concatPool: flag.default(true),
  firstBn: flag.default(true),
  bnFinal: flag.default(false),
  linFirst: flag.default(false),
  yRange: field<readonly [number, number]>('a pair [low, high]', isRange).nullish(),
  init: func<(weight: Tensor) => unknown>('a function or null').nullish(),
})

/** @internal Names of the options. */
export const HEAD_OPTIONS = Object.keys(schema.shape)

/** A batch normalisation that starts, as fastai's, with a shift of 0.001. */
function headNorm(features: number): BatchNorm1d {
  const norm = new BatchNorm1d(features)
  if (norm.bias !== null) init.constant_(norm.bias, 1e-3)
  return norm
}

/** He's initial weights, as in fastai. */
function heNormal(weight: Tensor, { inFeatures }: Linear): void {
  init.normal_(weight, 0, init.kaimingStd(inFeatures, { nonlinearity: 'relu' }))
}

/** Initial weights, after all layers are made, so that the random draws come in fastai's order. */
function initialise(head: Sequential, start: HeadOptions['init'] = undefined): Sequential {
  if (start === null) return head
  for (const layer of head) {
    if (!(layer instanceof Linear)) continue
    if (start) noGrad(() => void start(layer.weight))
    else heNormal(layer.weight, layer)
    if (layer.bias !== null) init.zeros_(layer.bias)
  }
  return head
}

/** Dropout for each layer. */
function dropouts(ps: number | readonly number[], layers: number): number[] {
  const given = typeof ps === 'number' ? [ps] : [...ps]
  if (given.length === 1) return Array.from({ length: layers }, (_, i) => (i === layers - 1 ? given[0] : given[0] / 2))
  if (given.length === layers) return given
  throw invalidArgument('ps', `1 or ${layers} numbers (one for each linear layer)`, ps)
}

/** Normalisation, dropout, linear layer and activation, whichever there are, in their order. */
function block(parts: { norm: Layer | null; p: number; linear: Linear; relu: boolean; linFirst: boolean }): Layer[] {
  const before: Layer[] = parts.norm === null ? [] : [parts.norm]
  const drop: Layer[] = parts.p === 0 ? [] : [new Dropout(parts.p)]
  const linear: Layer[] = parts.relu ? [parts.linear, new ReLU({ inplace: true })] : [parts.linear]
  return parts.linFirst ? [...drop, ...linear, ...before] : [...before, ...drop, ...linear]
}

/**
 * fastai's head for an image network: pooling, then blocks of batch normalisation, dropout and linear layers, from
 * `(N, nf, H, W)` to `(N, nOut)`. Linear layers start as He's, normal.
 *
 * @param nf channels that the body gives: 512 for ResNet-18 and 34, 2048 for ResNet-50 and larger
 * @param nOut number of outputs
 */
export function createHead(nf: number, nOut: number, options: HeadOptions = {}): Sequential {
  const { linFtrs, ps, pool, concatPool, firstBn, bnFinal, linFirst, yRange, init } = checkArguments(
    schema,
    options,
    'createHead',
  )
  const concat = pool && concatPool
  const inputs = checkValue(count, nf, 'nf') * (concat ? 2 : 1)
  const sizes = [inputs, ...(linFtrs ?? [512]), checkValue(count, nOut, 'nOut')]
  const depth = sizes.length - 1
  const drops = dropouts(ps, depth)
  const layers: Layer[] = pool ? [concat ? new AdaptiveConcatPool2d() : new AdaptiveAvgPool2d(1), new Flatten()] : []
  if (linFirst)
    layers.push(
      ...drops
        .slice(0, 1)
        .filter(p => p > 0)
        .map(p => new Dropout(p)),
    )
  for (let i = 0; i < depth; i++) {
    const last = i === depth - 1
    const [from, to] = [sizes[i], sizes[i + 1]]
    const normalised = linFirst ? !last : i > 0 || firstBn
    const norm = normalised ? headNorm(linFirst ? to : from) : null
    const p = linFirst ? 0 : drops[i]
    layers.push(...block({ norm, p, linear: new Linear(from, to, { bias: norm === null }), relu: !last, linFirst }))
    if (linFirst && !last && drops[i + 1] > 0) layers.push(new Dropout(drops[i + 1]))
  }
  if (bnFinal) layers.push(new BatchNorm1d(nOut, { momentum: 0.01 }))
  if (yRange) layers.push(new SigmoidRange(...yRange))
  return initialise(new Sequential(...layers), init)
}
