import {
  checkArguments,
  checkValue,
  finite,
  flag,
  invalidArgument,
  oneOfQuoted,
  strictObject,
} from '../../check/index.js'
import type { Tensor } from '../../tensor/index.js'
import { Module } from '../module.js'
import { python } from '../repr.js'

/** Options of activations that can overwrite their input. */
export interface InplaceOptions {
  /** Overwrite the input, which saves memory; default false. */
  inplace?: boolean
}

const schema = strictObject({ inplace: flag.default(false) })
const geluSchema = strictObject({ approximate: oneOfQuoted('none', 'tanh').default('none') })

/** What the activations with `inplace` share. */
abstract class InplaceActivation extends Module<[Tensor], Tensor> {
  readonly inplace: boolean

  constructor(options: InplaceOptions = {}) {
    super()
    this.inplace = checkArguments(schema, options, this.constructor.name).inplace
  }

  override extraRepr(): string {
    return this.inplace ? 'inplace=True' : ''
  }
}

/** `x Φ(x)`, Φ being the normal distribution's cumulative function (Hendrycks & Gimpel 2016). */
export class GELU extends Module<[Tensor], Tensor> {
  readonly approximate: 'none' | 'tanh'

  /** @param options `approximate`: `none` (default) or `tanh`, `0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))` */
  constructor(options: { approximate?: 'none' | 'tanh' } = {}) {
    super()
    this.approximate = checkArguments(geluSchema, options, 'GELU').approximate
  }

  forward(input: Tensor): Tensor {
    return input.gelu({ approximate: this.approximate })
  }

  override extraRepr(): string {
    return `approximate='${this.approximate}'`
  }
}

/** `x σ(x)` with σ(x) = 1 / (1 + e⁻ˣ), also called swish (Elfwing et al. 2017). */
export class SiLU extends InplaceActivation {
  forward(input: Tensor): Tensor {
    return this.inplace ? input.silu_() : input.silu()
  }
}

/** `x · min(max(x + 3, 0), 6) / 6` (Howard et al. 2019). */
export class Hardswish extends InplaceActivation {
  forward(input: Tensor): Tensor {
    return this.inplace ? input.hardswish_() : input.hardswish()
  }

  override extraRepr(): string {
    return '' // as PyTorch prints it
  }
}

/** `x` where it is positive, `negativeSlope · x` elsewhere. */
export class LeakyReLU extends InplaceActivation {
  readonly negativeSlope: number

  /** @param negativeSlope default 0.01 */
  constructor(negativeSlope = 0.01, options: InplaceOptions = {}) {
    super(options)
    this.negativeSlope = checkValue(finite, negativeSlope, 'negativeSlope')
  }

  forward(input: Tensor): Tensor {
    return this.inplace ? input.leakyRelu_(this.negativeSlope) : input.leakyRelu(this.negativeSlope)
  }

  override extraRepr(): string {
    return `negative_slope=${python(this.negativeSlope)}${this.inplace ? ', inplace=True' : ''}`
  }
}

/** `x` where it is positive, `alpha · (eˣ - 1)` elsewhere (Clevert et al. 2015). */
export class ELU extends InplaceActivation {
  readonly alpha: number

  /** @param alpha default 1 */
  constructor(alpha = 1, options: InplaceOptions = {}) {
    super(options)
    this.alpha = checkValue(finite, alpha, 'alpha')
  }

  forward(input: Tensor): Tensor {
    return this.inplace ? input.elu_(this.alpha) : input.elu(this.alpha)
  }

  override extraRepr(): string {
    return `alpha=${pythonFloat(this.alpha)}${this.inplace ? ', inplace=True' : ''}`
  }
}

/** PyTorch's default alpha is the float 1.0. */
function pythonFloat(value: number): string {
  return Number.isInteger(value) ? value.toFixed(1) : python(value)
}

/** `1 / (1 + e⁻ˣ)`. */
export class Sigmoid extends Module<[Tensor], Tensor> {
  forward(input: Tensor): Tensor {
    return input.sigmoid()
  }
}

/** Hyperbolic tangent. */
export class Tanh extends Module<[Tensor], Tensor> {
  forward(input: Tensor): Tensor {
    return input.tanh()
  }
}

/** `exp(x) / Σ exp(x)` along dimension `dim`. Cross entropy losses take logits: don't put a softmax before them. */
export class Softmax extends Module<[Tensor], Tensor> {
  /** @param dim the dimension that sums to 1, negative from the end */
  constructor(readonly dim: number) {
    super()
    if (!Number.isSafeInteger(dim)) {
      throw invalidArgument('dim', 'a whole number', dim, 'For (N, C, ...) the classes are dimension 1')
    }
  }

  forward(input: Tensor): Tensor {
    return input.softmax(this.dim)
  }

  override extraRepr(): string {
    return `dim=${this.dim}`
  }
}
