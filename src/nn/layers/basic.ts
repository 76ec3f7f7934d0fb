import { checkArguments, checkValue, flag, integer, probability, strictObject } from '../../check/index.js'
import type { Tensor } from '../../tensor/index.js'
import { dropout } from '../functional.js'
import { Module } from '../module.js'
import { python } from '../repr.js'

const schema = strictObject({ inplace: flag.default(false) })

/** `max(x, 0)`. */
export class ReLU extends Module<[Tensor], Tensor> {
  /** Whether the input itself is overwritten. */
  readonly inplace: boolean

  /** @param options `inplace`: overwrite the input, which saves memory; default false */
  constructor(options: { inplace?: boolean } = {}) {
    super()
    this.inplace = checkArguments(schema, options, 'ReLU').inplace
  }

  forward(input: Tensor): Tensor {
    return this.inplace ? input.relu_() : input.relu()
  }

  override extraRepr(): string {
    return this.inplace ? 'inplace=True' : ''
  }
}

/**
 * In training, sets each element to 0 with probability `p` and scales the others by 1 / (1 - p); otherwise returns its
 * input (Srivastava et al. 2014).
 */
export class Dropout extends Module<[Tensor], Tensor> {
  readonly p: number
  readonly inplace: boolean

  /**
   * @param p 0 to 1, default 0.5
   * @param options `inplace`: overwrite the input; default false
   */
  constructor(p = 0.5, options: { inplace?: boolean } = {}) {
    super()
    this.inplace = checkArguments(schema, options, 'Dropout').inplace
    this.p = checkValue(probability, p, 'p')
  }

  forward(input: Tensor): Tensor {
    if (!this.training || this.p === 0) return input
    return dropout(input, this.p, true, this.inplace)
  }

  override extraRepr(): string {
    return `p=${this.p}, inplace=${python(this.inplace)}`
  }
}

/** Joins dimensions `startDim` to `endDim` into one: by default everything but the batch. */
export class Flatten extends Module<[Tensor], Tensor> {
  constructor(
    readonly startDim = 1,
    readonly endDim = -1,
  ) {
    super()
    checkValue(integer, startDim, 'startDim')
    checkValue(integer, endDim, 'endDim')
  }

  forward(input: Tensor): Tensor {
    return input.flatten(this.startDim, this.endDim)
  }

  override extraRepr(): string {
    return `start_dim=${this.startDim}, end_dim=${this.endDim}`
  }
}

/** Returns its input: a place holder. */
export class Identity extends Module<[Tensor], Tensor> {
  forward(input: Tensor): Tensor {
    return input
  }
}
