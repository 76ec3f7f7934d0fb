import { invalidArgument, isArrayBuffer, isTyped, native } from '../native/index.js'
import {
  checkDType,
  type Device,
  type DType,
  dtypeOf,
  isTypedArray,
  type MemoryFormat,
  type TypedArray,
  type TypedInput,
} from './dtype.js'
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

type Items = number[] | boolean[] | bigint[]

function shapeOf(data: unknown): number[] {
  const shape: number[] = []
  for (let level: unknown = data; Array.isArray(level); level = level[0]) shape.push(level.length)
  return shape
}

/** The items of nested arrays row by row; checks that every row has its length and that all items are of one kind. */
function flatten(data: unknown, shape: readonly number[]): Items {
  const items: Items = []
  const walk = (level: unknown, depth: number) => {
    if (depth === shape.length) {
      if (
        !['number', 'boolean', 'bigint'].includes(typeof level) ||
        (items.length > 0 && typeof level !== typeof items[0])
      ) {
        throw invalidArgument('data', 'numbers, nested arrays of numbers of equal lengths, or a typed array', level)
      }
      items.push(level as never)
    } else {
      if (!Array.isArray(level) || level.length !== shape[depth]) {
        throw invalidArgument('data', `nested arrays of equal lengths (here ${shape[depth]})`, level)
      }
      for (const item of level) walk(item, depth + 1)
    }
  }
  walk(data, 0)
  return items
}

const COMMON = ['dtype', 'device', 'requiresGrad']

/** Wrong names of options are errors: an ignored one is a bug found late. */
function checkOptions(given: TensorOptions, more: readonly string[] = []): void {
  if (typeof given !== 'object' || given === null) throw invalidArgument('options', 'an object', given)
  for (const name in given) {
    if (COMMON.includes(name) || more.includes(name)) continue
    throw invalidArgument('options', `only the names ${[...COMMON, ...more].join(', ')}`, name)
  }
  if (given.dtype !== undefined) checkDType(given.dtype)
  if (given.requiresGrad !== undefined && typeof given.requiresGrad !== 'boolean') {
    throw invalidArgument('requiresGrad', 'a boolean', given.requiresGrad)
  }
}

/** Puts a tensor that was made on the CPU where it is wanted. */
function place(made: Tensor, given: TensorOptions): Tensor {
  if (given.device === undefined || given.device === 'cpu') return finish(made, given)
  const placed = made.to({ device: given.device })
  made.dispose()
  return finish(placed, given)
}

function finish(made: Tensor, { requiresGrad }: TensorOptions): Tensor {
  return requiresGrad ? made.requiresGrad_(true) : made
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
export function tensor(
  data: NestedArray | TypedInput | bigint[],
  options: TensorOptions & { shape?: Shape } = {},
): Tensor {
  checkOptions(options, ['shape'])
  if (isTypedArray(data)) return fromTyped(data, options, true)
  const found = shapeOf(data)
  const items = flatten(data, found)
  const shape = options.shape === undefined ? found : checkShape(options.shape)
  checkCount(items.length, shape)
  return place(fromItems(items, shape, options.dtype), options)
}

function checkCount(length: number, shape: Shape): void {
  const count = shape.reduce((product, size) => product * size, 1)
  if (count !== length) {
    throw invalidArgument('data', `${count} elements for shape [${shape.join(', ')}]`, length)
  }
}

const RANGES: Partial<Record<DType, [low: number, high: number]>> = {
  uint8: [0, 255],
  int8: [-(2 ** 7), 2 ** 7 - 1],
  int16: [-(2 ** 15), 2 ** 15 - 1],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int64: [-(2 ** 63), 2 ** 63],
}

function fromItems(items: Items, shape: Shape, wanted?: DType): Tensor {
  const kind = typeof items[0]
  const dtype = wanted ?? (kind === 'boolean' ? 'bool' : kind === 'bigint' ? 'int64' : 'float32')
  if (kind === 'bigint') return fromMemory(BigInt64Array.from(items as bigint[]), 'int64', shape, dtype)
  const numbers = Float64Array.from(items as number[], Number)
  const range = RANGES[dtype]
  if (range !== undefined) {
    const wrong = numbers.find(number => !(number >= range[0] && number <= range[1]))
    if (wrong !== undefined) throw invalidArgument('data', `numbers from ${range[0]} to ${range[1]} (${dtype})`, wrong)
  }
  if (dtype === 'float32') return fromMemory(Float32Array.from(numbers), dtype, shape, dtype)
  return fromMemory(numbers, 'float64', shape, dtype)
}

/** Below this many bytes a copy is cheaper than lending memory that must be asked back. */
const SMALL = 64 * 1024

/** A tensor on fresh memory that nobody else holds. */
function fromMemory(data: TypedArray, stored: DType, shape: Shape, dtype: DType): Tensor {
  const made = new Tensor(native.fromBuffer(data.buffer, 0, shape, stored, data.byteLength <= SMALL))
  return stored === dtype ? made : converted(made, dtype)
}

function converted(made: Tensor, dtype: DType): Tensor {
  const result = made.to({ dtype })
  made.dispose()
  return result
}

function fromTyped(data: TypedInput, options: TensorOptions & { shape?: Shape }, copy: boolean): Tensor {
  const bits = isTyped(data, 'Uint16Array') && (options.dtype === 'float16' || options.dtype === 'bfloat16')
  const stored = bits && options.dtype ? options.dtype : dtypeOf(data)
  const shape = options.shape === undefined ? [data.length] : checkShape(options.shape)
  checkCount(data.length, shape)
  const made = new Tensor(native.fromBuffer(wholeBuffer(data), data.byteOffset, shape, stored, copy))
  return place(options.dtype === undefined || options.dtype === stored ? made : converted(made, options.dtype), options)
}

function wholeBuffer(data: TypedInput): ArrayBuffer {
  const { buffer } = data
  const resizable = 'resizable' in buffer && buffer.resizable === true
  if (isArrayBuffer(buffer) && !resizable) return buffer
  throw invalidArgument('data', 'a typed array on an ArrayBuffer of fixed length', data, 'Copy it with .slice() first')
}

/**
 * A tensor that uses the memory of `data` itself, as `torch.from_numpy`: no copy is made, and a change on either side is
 * seen on the other. Don't write to the array while operators that read it are still queued.
 *
 * @param options `shape` (default: one dimension) and `dtype` (only to name the bits of a `Uint16Array`)
 */
export function asTensor(data: TypedInput, options: { shape?: Shape; dtype?: DType } = {}): Tensor {
  checkOptions(options, ['shape'])
  if (!isTypedArray(data))
    throw invalidArgument('data', 'a typed array', data, 'Use tensor(data) for arrays of numbers')
  const { dtype } = options
  const own = isTyped(data, 'Uint16Array') ? ['float16', 'bfloat16'] : [dtypeOf(data)]
  if (dtype !== undefined && !own.includes(dtype)) {
    throw invalidArgument('dtype', `the array's own (${own.join(' or ')})`, dtype, 'tensor(data, { dtype }) converts')
  }
  return fromTyped(data, options, false)
}

function options(given: TensorOptions, fallback: DType = 'float32', more: readonly string[] = []) {
  checkOptions(given, more)
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
  return finish(
    ops.aten.empty(checkShape(shape), {
      ...options(given, 'float32', ['memoryFormat']),
      memoryFormat: given.memoryFormat,
    }),
    given,
  )
}

/** Uniform random numbers in [0, 1). */
export function rand(shape: Shape, given: RandomOptions = {}): Tensor {
  return finish(
    ops.aten.rand(checkShape(shape), { ...options(given, 'float32', ['generator']), ...generator(given) }),
    given,
  )
}

/** Random numbers of the standard normal distribution. */
export function randn(shape: Shape, given: RandomOptions = {}): Tensor {
  return finish(
    ops.aten.randn(checkShape(shape), { ...options(given, 'float32', ['generator']), ...generator(given) }),
    given,
  )
}

/** Random integers from `low` to `high` - 1, int64 by default. */
export function randint(low: number, high: number, shape: Shape, given: RandomOptions = {}): Tensor {
  return finish(
    ops.aten.randint(low, high, checkShape(shape), { ...options(given, 'int64', ['generator']), ...generator(given) }),
    given,
  )
}

/** The numbers 0..n-1 in random order, int64 by default. */
export function randperm(n: number, given: RandomOptions = {}): Tensor {
  return finish(ops.aten.randperm(n, { ...options(given, 'int64', ['generator']), ...generator(given) }), given)
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
