import { checkValue, oneOfQuoted } from '../check/index.js'
import { aten, own, type Tensor } from '../tensor/index.js'
import type { Pair } from './validate.js'

export {
  type ConvTranspose2dArguments,
  convTranspose2d,
  embedding,
  groupNorm,
  type InterpolateArguments,
  type InterpolateMode,
  interpolate,
  layerNorm,
} from './functional-layers.js'

/** What a loss makes of the losses of its elements. */
export type Reduction = 'mean' | 'sum' | 'none'

const REDUCTIONS = ['none', 'mean', 'sum'] as const
const reductions = oneOfQuoted(...REDUCTIONS)

/** The reduction as libtorch numbers it. */
export function reductionCode(reduction: Reduction): number {
  return REDUCTIONS.indexOf(checkValue(reductions, reduction, 'reduction'))
}

/** Looked up once: a proxy is behind `aten` and `own`. */
const run = {
  linear: aten.linear,
  conv2d: aten.conv2d,
  maxPool2d: aten.maxPool2d,
  avgPool2d: aten.avgPool2d,
  adaptiveAvgPool2d: aten.adaptiveAvgPool2d,
  adaptiveMaxPool2d: aten.adaptiveMaxPool2d,
  dropout: aten.dropout,
  dropout_: aten.dropout_,
  crossEntropy: aten.crossEntropyLoss,
  nll: aten.nllLossNd,
  bceWithLogits: aten.binaryCrossEntropyWithLogits,
  mse: aten.mseLoss,
  l1: aten.l1Loss,
  batchNorm: own.batchNorm,
  lossPair: own.lossPair,
}

/** `input @ weightᵀ + bias`: input `(..., in)`, weight `(out, in)`, bias `(out)`. */
export function linear(input: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  return run.linear(input, weight, bias)
}

/** Options of {@link conv2d}. */
export interface Conv2dArguments {
  stride?: Pair
  padding?: Pair | 'same' | 'valid'
  dilation?: Pair
  groups?: number
}

/** Convolution: input `(N, C, H, W)`, weight `(out, C / groups, kH, kW)`, bias `(out)`. */
export function conv2d(
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  options: Conv2dArguments = {},
): Tensor {
  const { stride = 1, padding = 0, dilation = 1, groups = 1 } = options
  // 'same' is another overload, which the addon chooses by the value; TypeScript takes a union for neither
  return run.conv2d(input, weight, bias, stride, padding as Pair, dilation, groups)
}

/** What {@link batchNorm} normalises with. */
export interface BatchNormArguments {
  weight: Tensor | null
  bias: Tensor | null
  runningMean: Tensor | null
  runningVar: Tensor | null
  numBatchesTracked: Tensor | null
  training: boolean
  /** Share of the new batch in the running statistics; null averages over all batches. */
  momentum: number | null
  eps: number
  /** Numbers of dimensions that the input may have. */
  dims: readonly number[]
}

/** Normalises each channel of `(N, C, ...)` over all else (Ioffe & Szegedy 2015). */
export function batchNorm(input: Tensor, a: BatchNormArguments): Tensor {
  return run.batchNorm(
    input,
    a.weight,
    a.bias,
    a.runningMean,
    a.runningVar,
    a.numBatchesTracked,
    a.training,
    a.momentum,
    a.eps,
    a.dims,
  )
}

/** Largest value of each window of `(N, C, H, W)`. */
export function maxPool2d(input: Tensor, kernelSize: Pair, options: PoolArguments & { dilation?: Pair } = {}): Tensor {
  const { stride = kernelSize, padding = 0, dilation = 1, ceilMode = false } = options
  return run.maxPool2d(input, kernelSize, stride, padding, dilation, ceilMode)
}

/** Options of {@link maxPool2d} and {@link avgPool2d}; `stride` is the window's size by default. */
export interface PoolArguments {
  stride?: Pair
  padding?: Pair
  ceilMode?: boolean
}

/** Mean of each window of `(N, C, H, W)`. */
export function avgPool2d(
  input: Tensor,
  kernelSize: Pair,
  options: PoolArguments & { countIncludePad?: boolean } = {},
): Tensor {
  const { stride = kernelSize, padding = 0, ceilMode = false, countIncludePad = true } = options
  return run.avgPool2d(input, kernelSize, stride, padding, ceilMode, countIncludePad)
}

/** Means over `(N, C, H, W)` in windows such that `outputSize` remains. */
export function adaptiveAvgPool2d(input: Tensor, outputSize: Pair): Tensor {
  return run.adaptiveAvgPool2d(input, outputSize)
}

/** Largest values over `(N, C, H, W)` in windows such that `outputSize` remains. */
export function adaptiveMaxPool2d(input: Tensor, outputSize: Pair): Tensor {
  const [values, indices] = run.adaptiveMaxPool2d(input, outputSize)
  indices.dispose()
  return values
}

/** Sets elements to 0 with probability `p` and scales the others by 1 / (1 - p), in training. */
export function dropout(input: Tensor, p = 0.5, training = true, inplace = false): Tensor {
  return inplace ? run.dropout_(input, p, training) : run.dropout(input, p, training)
}

/** Options of {@link crossEntropy}. */
export interface CrossEntropyArguments {
  /** Weight of each class, `(C)`. */
  weight?: Tensor | null
  /** A class whose samples don't count, default -100. */
  ignoreIndex?: number
  reduction?: Reduction
  /** Share of the target that is spread evenly over all classes, 0 to 1. */
  labelSmoothing?: number
}

/** Cross entropy of logits `(N, C, ...)` against class indices `(N, ...)` or probabilities `(N, C, ...)`. */
export function crossEntropy(input: Tensor, target: Tensor, options: CrossEntropyArguments = {}): Tensor {
  const { weight = null, ignoreIndex = -100, reduction = 'mean', labelSmoothing = 0 } = options
  return run.crossEntropy(input, target, weight, reductionCode(reduction), ignoreIndex, labelSmoothing)
}

/** Negative log likelihood of log-probabilities `(N, C, ...)` against class indices `(N, ...)`. */
export function nllLoss(
  input: Tensor,
  target: Tensor,
  options: Omit<CrossEntropyArguments, 'labelSmoothing'> = {},
): Tensor {
  const { weight = null, ignoreIndex = -100, reduction = 'mean' } = options
  return run.nll(input, target, weight, reductionCode(reduction), ignoreIndex)
}

/** Binary cross entropy of logits against targets from 0 to 1, of one shape. */
export function bceWithLogits(
  input: Tensor,
  target: Tensor,
  options: { weight?: Tensor | null; posWeight?: Tensor | null; reduction?: Reduction } = {},
): Tensor {
  const { weight = null, posWeight = null, reduction = 'mean' } = options
  return run.bceWithLogits(...sameShape(input, target), weight, posWeight, reductionCode(reduction))
}

/** Squared error of tensors of one shape; PyTorch's would broadcast other shapes. */
export function mseLoss(input: Tensor, target: Tensor, reduction: Reduction = 'mean'): Tensor {
  return run.mse(...sameShape(input, target), reductionCode(reduction))
}

/** Absolute error of tensors of one shape; PyTorch's would broadcast other shapes. */
export function l1Loss(input: Tensor, target: Tensor, reduction: Reduction = 'mean'): Tensor {
  return run.l1(...sameShape(input, target), reductionCode(reduction))
}

function sameShape(input: Tensor, target: Tensor): [Tensor, Tensor] {
  return lossPair(input, target, { axis: -1, byClass: false, floatify: false, flatten: false })
}

/** @internal Brings predictions and targets into the shapes and dtypes that losses take (binding/ops/losses.cc). */
export function lossPair(
  input: Tensor,
  target: Tensor,
  how: { axis: number; byClass: boolean; floatify: boolean; flatten: boolean },
): [Tensor, Tensor] {
  const [predictions, truth] = run.lossPair(input, target, how.axis, how.byClass, how.floatify, how.flatten)
  return [predictions, truth]
}
