import { checkArguments, field, flag, invalidArgument, isTyped, strictObject } from '../check/index.js'
import {
  type Device,
  type DType,
  dtypeField,
  dtypeOf,
  isTypedArray,
  type MemoryFormat,
  type TypedArray,
  type TypedInput,
} from './dtype.js'
import { copied, owned, sharedOrCopied } from './memory.js'
import { checkShape, unnest } from './nested.js'
import { ops } from './ops.js'
import type { Generator } from './random.js'
import type { NestedArray, Tensor } from './tensor.js'

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

type Items = number[] | boolean[] | bigint[]

/** The items of nested arrays row by row; checks that all are of one kind. */
function flatten(data: unknown): { items: Items; shape: number[] } {
  const items: Items = []
  const shape = unnest('data', data, item => {
    const kind = typeof item
    if (!['number', 'boolean', 'bigint'].includes(kind) || (items.length > 0 && kind !== typeof items[0])) {
      throw invalidArgument('data', 'numbers, nested arrays of numbers of equal lengths, or a typed array', item)
    }
    items.push(item as never)
  })
  return { items, shape }
}

/** What libtorch looks at itself. */
const passed = <T>(what: string) => field<T>(what, () => true).optional()

const common = { dtype: dtypeField.optional(), device: passed<Device>('a device'), requiresGrad: flag.optional() }
const plain = strictObject(common)
const shaped = plain.extend({ shape: passed<Shape>('an array of sizes') })
const laidOut = plain.extend({ memoryFormat: passed<MemoryFormat>('a memory format') })
const drawn = plain.extend({ generator: passed<Generator>('a Generator') })

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
 * @param given `shape` for typed arrays (default: one dimension), and {@link TensorOptions}
 * @example tensor([[1, 2], [3, 4]])
 * @example tensor(new Float32Array(6), { shape: [2, 3] })
 */
export function tensor(data: NestedArray | TypedInput | bigint[], given?: TensorOptions & { shape?: Shape }): Tensor {
  const options = checkArguments(shaped, given, 'tensor')
  if (isTypedArray(data)) return fromTyped(data, options, copied)
  const { items, shape: found } = flatten(data)
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

/** A tensor on fresh memory that nobody else holds. */
function fromMemory(data: TypedArray, stored: DType, shape: Shape, dtype: DType): Tensor {
  const made = owned(data, shape, stored)
  return stored === dtype ? made : converted(made, dtype)
}

function converted(made: Tensor, dtype: DType): Tensor {
  const result = made.to({ dtype })
  made.dispose()
  return result
}

type Take = (data: TypedInput, shape: Shape, dtype: DType) => Tensor

function fromTyped(data: TypedInput, options: TensorOptions & { shape?: Shape }, take: Take): Tensor {
  const bits = isTyped(data, 'Uint16Array') && (options.dtype === 'float16' || options.dtype === 'bfloat16')
  const stored = bits && options.dtype ? options.dtype : dtypeOf(data)
  const shape = options.shape === undefined ? [data.length] : checkShape(options.shape)
  checkCount(data.length, shape)
  const made = take(data, shape, stored)
  return place(options.dtype === undefined || options.dtype === stored ? made : converted(made, options.dtype), options)
}

/**
 * A tensor of `data`'s numbers, as `torch.from_numpy`, without a copy where that is safe: on a SharedArrayBuffer it uses
 * the memory itself, and a change on either side is seen on the other. Don't write to such an array while operators that
 * read it are still queued. An ArrayBuffer may lose its memory at any time (by a transfer, by `resize`, by growth of its
 * WebAssembly.Memory), so that its numbers are copied, as {@link tensor} does.
 *
 * To write into a tensor's memory without any copy, make it first: `await empty(shape).data({ copy: false })`.
 *
 * @param given `shape` (default: one dimension) and `dtype` (only to name the bits of a `Uint16Array`)
 */
export function asTensor(data: TypedInput, given?: { shape?: Shape; dtype?: DType }): Tensor {
  const options = checkArguments(shaped, given, 'asTensor')
  if (!isTypedArray(data))
    throw invalidArgument('data', 'a typed array', data, 'Use tensor(data) for arrays of numbers')
  const { dtype } = options
  const own = isTyped(data, 'Uint16Array') ? ['float16', 'bfloat16'] : [dtypeOf(data)]
  if (dtype !== undefined && !own.includes(dtype)) {
    throw invalidArgument('dtype', `the array's own (${own.join(' or ')})`, dtype, 'tensor(data, { dtype }) converts')
  }
  return fromTyped(data, options, sharedOrCopied)
}

/** @internal {@link asTensor} of an array that nobody else holds: its memory becomes the tensor's, without a copy. */
export function ownTensor(data: TypedInput, options: { shape?: Shape; dtype?: DType } = {}): Tensor {
  return fromTyped(data, options, owned)
}

/** Has `make` make a tensor of checked options. */
function made(
  where: string,
  given: TensorOptions | undefined,
  make: (options: Made) => Tensor,
  dtype: DType = 'float32',
): Tensor {
  const options = checkArguments(plain, given, where)
  return finish(make({ dtype: options.dtype ?? dtype, device: options.device }), options)
}

interface Made {
  dtype: DType
  device?: Device
}

/** A tensor of zeros. */
export function zeros(shape: Shape, given?: TensorOptions): Tensor {
  return made('zeros', given, options => ops.aten.zeros(checkShape(shape), options))
}

/** A tensor of ones. */
export function ones(shape: Shape, given?: TensorOptions): Tensor {
  return made('ones', given, options => ops.aten.ones(checkShape(shape), options))
}

/** A tensor with every element `value`. */
export function full(shape: Shape, value: number, given?: TensorOptions): Tensor {
  return made('full', given, options => ops.aten.full(checkShape(shape), value, options))
}

/** A tensor whose elements are whatever was in memory. */
export function empty(shape: Shape, given?: TensorOptions & { memoryFormat?: MemoryFormat }): Tensor {
  const { dtype = 'float32', device, requiresGrad, memoryFormat } = checkArguments(laidOut, given, 'empty')
  return finish(ops.aten.empty(checkShape(shape), { dtype, device, memoryFormat }), { requiresGrad })
}

/** Has `draw` draw a tensor of checked options. */
function random(
  where: string,
  given: RandomOptions | undefined,
  draw: (options: Drawn) => Tensor,
  byDefault: DType = 'float32',
) {
  const { dtype = byDefault, device, requiresGrad, generator } = checkArguments(drawn, given, where)
  return finish(draw({ dtype, device, ...(generator !== undefined && { generator }) }), { requiresGrad })
}

interface Drawn extends Made {
  generator?: Generator
}

/** Uniform random numbers in [0, 1). */
export function rand(shape: Shape, given?: RandomOptions): Tensor {
  return random('rand', given, options => ops.aten.rand(checkShape(shape), options))
}

/** Random numbers of the standard normal distribution. */
export function randn(shape: Shape, given?: RandomOptions): Tensor {
  return random('randn', given, options => ops.aten.randn(checkShape(shape), options))
}

/** Random integers from `low` to `high` - 1, int64 by default. */
export function randint(low: number, high: number, shape: Shape, given?: RandomOptions): Tensor {
  return random('randint', given, options => ops.aten.randint(low, high, checkShape(shape), options), 'int64')
}

/** The numbers 0..n-1 in random order, int64 by default. */
export function randperm(n: number, given?: RandomOptions): Tensor {
  return random('randperm', given, options => ops.aten.randperm(n, options), 'int64')
}

/** Numbers from `start` (default 0) to before `end` in steps of `step` (default 1); int64 when all are integers. */
export function arange(end: number, given?: TensorOptions): Tensor
export function arange(start: number, end: number, step?: number, given?: TensorOptions): Tensor
export function arange(a: number, b?: number | TensorOptions, step = 1, last?: TensorOptions): Tensor {
  const given = typeof b === 'object' ? b : last
  const [start, end] = typeof b === 'number' ? [a, b] : [0, a]
  const whole = [start, end, step].every(Number.isInteger)
  return made('arange', given, options => ops.aten.arange(start, end, step, options), whole ? 'int64' : 'float32')
}

/** `steps` numbers from `start` to `end`, both included, at equal distances. */
export function linspace(start: number, end: number, steps: number, given?: TensorOptions): Tensor {
  return made('linspace', given, options => ops.aten.linspace(start, end, steps, options))
}

/** The identity matrix of size n x m (default n x n). */
export function eye(n: number, m: number = n, given?: TensorOptions): Tensor {
  return made('eye', given, options => ops.aten.eye(n, m, options))
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
