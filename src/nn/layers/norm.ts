import { between, checkArguments, checkValue, count, flag, probability, strictObject } from '../../check/index.js'
import { ones, type Tensor, zeros } from '../../tensor/index.js'
import { type BatchNormArguments, batchNorm } from '../functional.js'
import { Module } from '../module.js'
import { Parameter } from '../parameter.js'
import { python } from '../repr.js'

/** Options of the batch normalisation layers. */
export interface BatchNormOptions {
  /** Added to the variance, default 1e-5. */
  eps?: number
  /** Share of the new batch in the running statistics, default 0.1; null averages over all batches. */
  momentum?: number | null
  /** Learn a scale and a shift for each channel, default true. */
  affine?: boolean
  /** Keep statistics for evaluation, default true; otherwise each batch is normalised by its own. */
  trackRunningStats?: boolean
}

const schema = strictObject({
  eps: between(0, Infinity).default(1e-5),
  momentum: probability.nullable().default(0.1),
  affine: flag.default(true),
  trackRunningStats: flag.default(true),
})

/** What {@link BatchNorm1d} and {@link BatchNorm2d} share. */
export abstract class BatchNorm extends Module<[Tensor], Tensor> implements BatchNormArguments {
  readonly eps: number
  /** Share of a batch in the running statistics; `null` weighs all batches equally. */
  momentum: number | null
  readonly affine: boolean
  readonly trackRunningStats: boolean
  /** Scale of each channel, `(C)`, starts at 1. */
  readonly weight: Parameter | null
  /** Shift of each channel, `(C)`, starts at 0. */
  readonly bias: Parameter | null
  // buffers carry PyTorch's names, which state dicts use
  declare readonly running_mean: Tensor | null
  declare readonly running_var: Tensor | null
  declare readonly num_batches_tracked: Tensor | null
  /** Numbers of dimensions that the input may have. */
  abstract readonly dims: readonly number[]

  constructor(
    /** Number of channels. */
    readonly numFeatures: number,
    options: BatchNormOptions = {},
  ) {
    super()
    const { eps, momentum, affine, trackRunningStats } = checkArguments(schema, options, this.constructor.name)
    this.eps = eps
    this.momentum = momentum
    this.affine = affine
    this.trackRunningStats = trackRunningStats
    const shape = [checkValue(count, numFeatures, 'numFeatures')]
    this.weight = this.affine ? new Parameter(ones(shape)) : null
    this.bias = this.affine ? new Parameter(zeros(shape)) : null
    const tracked = this.trackRunningStats
    this.registerBuffer('running_mean', tracked ? zeros(shape) : null)
    this.registerBuffer('running_var', tracked ? ones(shape) : null)
    this.registerBuffer('num_batches_tracked', tracked ? zeros([], { dtype: 'int64' }) : null)
  }

  /** Mean of each channel over the batches seen in training, `(C)`. */
  get runningMean(): Tensor | null {
    return this.running_mean
  }

  /** Unbiased variance of each channel over the batches seen in training, `(C)`. */
  get runningVar(): Tensor | null {
    return this.running_var
  }

  /** How many batches were seen in training, one int64. */
  get numBatchesTracked(): Tensor | null {
    return this.num_batches_tracked
  }

  forward(input: Tensor): Tensor {
    return batchNorm(input, this)
  }

  override extraRepr(): string {
    const { affine, trackRunningStats } = this
    const options = {
      eps: this.eps,
      momentum: this.momentum,
      affine,
      bias: affine,
      track_running_stats: trackRunningStats,
    }
    const shown = Object.entries(options).map(([name, value]) => `${name}=${python(value)}`)
    return [this.numFeatures, ...shown].join(', ')
  }
}

/** Normalises each of C channels of `(N, C)` or `(N, C, L)` (Ioffe & Szegedy 2015). In training N·L must exceed 1. */
export class BatchNorm1d extends BatchNorm {
  get dims(): readonly number[] {
    return DIMS_1D
  }
}

/** Normalises each of C channels of `(N, C, H, W)` (Ioffe & Szegedy 2015). In training N·H·W must exceed 1. */
export class BatchNorm2d extends BatchNorm {
  get dims(): readonly number[] {
    return DIMS_2D
  }
}

const DIMS_1D = [2, 3]
const DIMS_2D = [4]
