import { invalidArgument, native } from '../native/index.js'
import { checkDType, type Device, type DType, dtypeOf, isTypedArray, type MemoryFormat, type TypedArray } from './dtype.js'
import { ops } from './ops.js'
import type { Generator } from './random.js'
import { type NestedArray, Tensor } from './tensor.js'

/** How a new tensor is to be. */
export interface TensorOptions {
  /** Default: float32 for numbers, bool for booleans, the typed array's own type. */
  dtype?: DType
  /** Default `cpu`. */
  device?: Device
  /** Whether `backward()` leaves a gradient here. Default false. */
  requiresGrad?: boolean
}

export interface RandomOptions extends TensorOptions {
  generator?: Generator
}

/** Sizes of the dimensions: non-negative integers. */
export type Shape = readonly number[]

function checkShape(shape: unknown): Shape {
  if (!Array.isArray(shape) || !shape.every(size => Number.isSafeInteger(size) && size >= 0)) {
    throw invalidArgument('shape', 'an array of non-negative integers', shape)
  }
  return shape
}

function shapeOf(data: unknown): number[] {
  const shape: number[] = []
  for (let level: unknown = data; Array.isArray(level); level = level[0]) shape.push(level.length)
  return shape
}

/** Writes nested numbers row by row, and checks that every row has its length. */
function flatten(data: unknown, shape: readonly number[], out: Float64Array): void {
  let next = 0
  const walk = (level: unknown, depth: number) => {
    if (depth === shape.length) {
      if (typeof level === 'number') out[next++] = level
      else if (typeof level === 'boolean') out[next++] = level ? 1 : 0
      else if (typeof level === 'bigint') out[next++] = Number(level)
      else throw invalidArgument('data', 'numbers, nested arrays of numbers of equal lengths, or a typed array', level)
    } else {
      if (!Array.isArray(level) || level.length !== shape[depth]) {
        throw invalidArgument('data', `nested arrays of equal lengths (here ${shape[depth]})`, level)
      }
      for (const item of level) walk(item, depth + 1)
    }
  }
  walk(data, 0)
}

function finish(made: Tensor, { device, requiresGrad }: TensorOptions): Tensor {
  const placed = device === undefined || device === 'cpu' ? made : made.to({ device })
  if (requiresGrad) placed.requiresGrad_(true)
  return placed
}

/**
 * A tensor with a copy of `data`, as `torch.tensor`.
 *
 * @param data a number, nested arrays of numbers or booleans, or a typed array (float16 and bfloat16: numbers, or a
 * `Uint16Array` of bits together with that dtype)
 * @param options `shape` for typed arrays (default: one dimension), and {@link TensorOptions}
 * @example tensor([[1, 2], [3, 4]])
 * @example tensor(new Float32Array(6), { shape: [2, 3] })
 */
export function tensor(data: NestedArray | TypedArray | bigint[], options: TensorOptions & { shape?: Shape } = {}): Tensor {
  if (options.dtype !== undefined) checkDType(options.dtype)
  if (isTypedArray(data)) return fromTyped(data, options, true)
  const found = shapeOf(data)
  const values = new Float64Array(found.reduce((product, size) => product * size, 1))
  flatten(data, found, values)
  let first: unknown = data
  while (Array.isArray(first)) first = first[0]
  const dtype = options.dtype ?? (typeof first === 'boolean' ? 'bool' : typeof first === 'bigint' ? 'int64' : 'float32')
  const shape = options.shape === undefined ? found : checkShape(options.shape)
  checkCount(values.length, shape)
  return finish(fromNumbers(values, shape, dtype), options)
}

function checkCount(length: number, shape: Shape): void {
  const count = shape.reduce((product, size) => product * size, 1)
  if (count !== length) {
    throw invalidArgument('data', `${count} elements for shape [${shape.join(', ')}]`, length)
  }
}

function fromNumbers(values: Float64Array, shape: Shape, dtype: DType): Tensor {
  if (dtype === 'float64') return new Tensor(native.fromBuffer(values.buffer, 0, shape, 'float64', false))
  if (dtype === 'float32') {
    return new Tensor(native.fromBuffer(new Float32Array(values).buffer, 0, shape, 'float32', false))
  }
  const wide = new Tensor(native.fromBuffer(values.buffer, 0, shape, 'float64', false))
  const result = wide.to({ dtype })
  wide.dispose()
  return result
}

function fromTyped(data: TypedArray, options: TensorOptions & { shape?: Shape }, copy: boolean): Tensor {
  const bits = data instanceof Uint16Array && (options.dtype === 'float16' || options.dtype === 'bfloat16')
  const stored = bits && options.dtype ? options.dtype : dtypeOf(data)
  const shape = options.shape === undefined ? [data.length] : checkShape(options.shape)
  checkCount(data.length, shape)
  const made = new Tensor(native.fromBuffer(wholeBuffer(data), data.byteOffset, shape, stored, copy))
  if (options.dtype === undefined || options.dtype === stored) return finish(made, options)
  const converted = made.to({ dtype: options.dtype })
  made.dispose()
  return finish(converted, options)
}

function wholeBuffer(data: TypedArray): ArrayBufferLike {
  if (data.buffer instanceof ArrayBuffer) return data.buffer
  throw invalidArgument('data', 'a typed array on an ArrayBuffer', data, 'Copy shared memory with .slice() first')
}

/**
 * A tensor that uses the memory of `data` itself, as `torch.from_numpy`: no copy is made, and a change on either side is
 * seen on the other. Don't write to the array while operators that read it are still queued.
 *
 * @param options `shape` (default: one dimension) and `dtype` (only to name the bits of a `Uint16Array`)
 */
export function asTensor(data: TypedArray, options: { shape?: Shape; dtype?: DType } = {}): Tensor {
  if (!isTypedArray(data)) throw invalidArgument('data', 'a typed array', data, 'Use tensor(data) for arrays of numbers')
  return fromTyped(data, options, false)
}

function options(given: TensorOptions, fallback: DType = 'float32') {
  if (given.dtype !== undefined) checkDType(given.dtype)
  return { dtype: given.dtype ?? fallback, device: given.device }
}

/** A tensor of zeros. */
export function zeros(shape: Shape, given: TensorOptions = {}): Tensor {
  return finish(ops.aten.zeros(checkShape(shape), options(given)), given)
}

/** A tensor of ones. */
export function ones(shape: Shape, given: TensorOptions = {}): Tensor {
  return finish(ops.aten.ones(checkShape(shape), options(given)), given)
}

/** A tensor with every element `value`. */
export function full(shape: Shape, value: number, given: TensorOptions = {}): Tensor {
  return finish(ops.aten.full(checkShape(shape), value, options(given)), given)
}

/** A tensor whose elements are whatever was in memory. */
export function empty(shape: Shape, given: TensorOptions & { memoryFormat?: MemoryFormat } = {}): Tensor {
  return finish(ops.aten.empty(checkShape(shape), { ...options(given), memoryFormat: given.memoryFormat }), given)
}

/** Uniform random numbers in [0, 1). */
export function rand(shape: Shape, given: RandomOptions = {}): Tensor {
  return finish(ops.aten.rand(checkShape(shape), { ...options(given), ...generator(given) }), given)
}

/** Random numbers of the standard normal distribution. */
export function randn(shape: Shape, given: RandomOptions = {}): Tensor {
  return finish(ops.aten.randn(checkShape(shape), { ...options(given), ...generator(given) }), given)
}

/** Random integers from `low` to `high` - 1, int64 by default. */
export function randint(low: number, high: number, shape: Shape, given: RandomOptions = {}): Tensor {
  return finish(ops.aten.randint(low, high, checkShape(shape), { ...options(given, 'int64'), ...generator(given) }), given)
}

/** The numbers 0..n-1 in random order, int64 by default. */
export function randperm(n: number, given: RandomOptions = {}): Tensor {
  return finish(ops.aten.randperm(n, { ...options(given, 'int64'), ...generator(given) }), given)
}

function generator(given: RandomOptions): { generator?: Generator } {
  return given.generator === undefined ? {} : { generator: given.generator }
}

/** Numbers from `start` (default 0) to before `end` in steps of `step` (default 1); int64 when all are integers. */
export function arange(end: number, given?: TensorOptions): Tensor
export function arange(start: number, end: number, step?: number, given?: TensorOptions): Tensor
export function arange(a: number, b?: number | TensorOptions, step = 1, last: TensorOptions = {}): Tensor {
  const given = typeof b === 'object' ? b : last
  const [start, end] = typeof b === 'number' ? [a, b] : [0, a]
  const whole = [start, end, step].every(Number.isInteger)
  return finish(ops.aten.arange(start, end, step, options(given, whole ? 'int64' : 'float32')), given)
}

/** `steps` numbers from `start` to `end`, both included, at equal distances. */
export function linspace(start: number, end: number, steps: number, given: TensorOptions = {}): Tensor {
  return finish(ops.aten.linspace(start, end, steps, options(given)), given)
}

/** The identity matrix of size n x m (default n x n). */
export function eye(n: number, m: number = n, given: TensorOptions = {}): Tensor {
  return finish(ops.aten.eye(n, m, options(given)), given)
}

/** Tensors of equal shapes, but for dimension `dim`, one behind the other. */
export function cat(tensors: readonly Tensor[], dim = 0): Tensor {
  return ops.aten.cat(tensors, dim)
}

/** Tensors of one shape along a new dimension `dim`. */
export function stack(tensors: readonly Tensor[], dim = 0): Tensor {
  return ops.aten.stack(tensors, dim)
}

/** Elements of `a` where `condition` holds, of `b` elsewhere. */
export function where(condition: Tensor, a: Tensor | number, b: Tensor | number): Tensor {
  return (ops.aten.where as (...args: (Tensor | number)[]) => Tensor)(condition, a, b)
}
