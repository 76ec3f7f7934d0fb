import { between, checkValue, invalidArgument, oneOfQuoted } from '../check/index.js'
import { noGrad, type Tensor } from '../tensor/index.js'
import { isTensor } from './validate.js'

const nonlinearities = oneOfQuoted('linear', 'conv2d', 'sigmoid', 'tanh', 'relu', 'leaky_relu', 'selu')
const fanModes = oneOfQuoted('fan_in', 'fan_out')
const gains = between(0, Infinity)

/** Functions after which a layer's initial weights are scaled. */
export type Nonlinearity = 'linear' | 'conv2d' | 'sigmoid' | 'tanh' | 'relu' | 'leaky_relu' | 'selu'

/** Options of {@link kaimingUniform_} and {@link kaimingNormal_}. */
export interface KaimingOptions {
  /** Negative slope of `leaky_relu`, default 0. */
  a?: number
  /** What keeps its variance: activations forwards (`fan_in`, default) or gradients backwards (`fan_out`). */
  mode?: 'fan_in' | 'fan_out'
  /** Default `leaky_relu`. */
  nonlinearity?: Nonlinearity
}

function filled(tensor: Tensor, fill: (tensor: Tensor) => Tensor): Tensor {
  isTensor('tensor', tensor)
  return noGrad(() => fill(tensor))
}

/** Fills `tensor` with numbers drawn evenly from [low, high), by libtorch's generator, as PyTorch does. */
export function uniform_(tensor: Tensor, low = 0, high = 1): Tensor {
  return filled(tensor, t => t.uniform_(low, high))
}

/** Fills `tensor` with normal numbers. */
export function normal_(tensor: Tensor, mean = 0, std = 1): Tensor {
  return filled(tensor, t => t.normal_(mean, std))
}

/** Fills `tensor` with one value. */
export function constant_(tensor: Tensor, value: number): Tensor {
  return filled(tensor, t => t.fill_(value))
}

/** Fills `tensor` with 0. */
export function zeros_(tensor: Tensor): Tensor {
  return constant_(tensor, 0)
}

/** Fills `tensor` with 1. */
export function ones_(tensor: Tensor): Tensor {
  return constant_(tensor, 1)
}

/** By how much a nonlinearity shrinks the spread of its input: what weights are scaled by. */
export function calculateGain(nonlinearity: Nonlinearity, slope = 0.01): number {
  switch (checkValue(nonlinearities, nonlinearity, 'nonlinearity')) {
    case 'tanh':
      return 5 / 3
    case 'relu':
      return Math.sqrt(2)
    case 'leaky_relu':
      return Math.sqrt(2 / (1 + slope ** 2))
    case 'selu':
      return 3 / 4
    default:
      return 1
  }
}

/** How many inputs feed one output (`in`), and the other way round (`out`), of a weight `(out, in, ...kernel)`. */
function fans(tensor: Tensor): { in: number; out: number } {
  const { shape } = tensor
  if (shape.length < 2) throw invalidArgument('tensor', 'weights of at least two dimensions', tensor)
  const kernel = shape.slice(2).reduce((product, size) => product * size, 1)
  return { in: shape[1] * kernel, out: shape[0] * kernel }
}

/** Standard deviation of Kaiming initialisation for a layer of `fan` inputs. */
export function kaimingStd(fan: number, options: KaimingOptions = {}): number {
  const { a = 0, nonlinearity = 'leaky_relu' } = options
  return calculateGain(nonlinearity, a) / Math.sqrt(fan)
}

function fanOf(tensor: Tensor, mode: KaimingOptions['mode'] = 'fan_in'): number {
  const fan = fans(tensor)
  return checkValue(fanModes, mode, 'mode') === 'fan_in' ? fan.in : fan.out
}

/**
 * He initialisation, evenly from ±√3·gain/√fan (He et al. 2015, "Delving deep into rectifiers").
 *
 * @param tensor weights `(out, in, ...kernel)`
 */
export function kaimingUniform_(tensor: Tensor, options: KaimingOptions = {}): Tensor {
  const bound = Math.sqrt(3) * kaimingStd(fanOf(isTensor('tensor', tensor), options.mode), options)
  return uniform_(tensor, -bound, bound)
}

/** He initialisation, normal with standard deviation gain/√fan. */
export function kaimingNormal_(tensor: Tensor, options: KaimingOptions = {}): Tensor {
  return normal_(tensor, 0, kaimingStd(fanOf(isTensor('tensor', tensor), options.mode), options))
}

function xavierStd(tensor: Tensor, gain: number): number {
  const fan = fans(isTensor('tensor', tensor))
  return checkValue(gains, gain, 'gain') * Math.sqrt(2 / (fan.in + fan.out))
}

/** Glorot initialisation, evenly (Glorot & Bengio 2010). */
export function xavierUniform_(tensor: Tensor, gain = 1): Tensor {
  const bound = Math.sqrt(3) * xavierStd(tensor, gain)
  return uniform_(tensor, -bound, bound)
}

/** Glorot initialisation, normal. */
export function xavierNormal_(tensor: Tensor, gain = 1): Tensor {
  return normal_(tensor, 0, xavierStd(tensor, gain))
}
