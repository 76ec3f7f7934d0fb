import {
  checkArguments,
  checkValue,
  type Float16ArrayLike,
  field,
  flag,
  invalidArgument,
  strictObject,
  TorchLearnerError,
  typedArrayName,
} from '../check/index.js'

/** Element types, by PyTorch's names. */
export type DType =
  | 'float32'
  | 'float64'
  | 'float16'
  | 'bfloat16'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint8'
  | 'bool'

/** `cpu`, `cuda` or `cuda:<index>`. */
export type Device = 'cpu' | 'cuda' | `cuda:${number}` | (string & {})

export type MemoryFormat = 'contiguous_format' | 'channels_last' | 'channels_last_3d' | 'preserve_format'

/** The typed arrays that tensors are made from and read into. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Uint16Array

/** What tensors are made from besides: Node 24's Float16Array. */
export type TypedInput = TypedArray | Float16ArrayLike

interface Kind {
  /** The typed array with the same memory layout; half precision as its bits. */
  array: new (
    buffer: ArrayBuffer,
  ) => TypedArray
  bytes: number
  float: boolean
}

const KINDS: Record<DType, Kind> = {
  float32: { array: Float32Array, bytes: 4, float: true },
  float64: { array: Float64Array, bytes: 8, float: true },
  float16: { array: Uint16Array, bytes: 2, float: true },
  bfloat16: { array: Uint16Array, bytes: 2, float: true },
  int64: { array: BigInt64Array, bytes: 8, float: false },
  int32: { array: Int32Array, bytes: 4, float: false },
  int16: { array: Int16Array, bytes: 2, float: false },
  int8: { array: Int8Array, bytes: 1, float: false },
  uint8: { array: Uint8Array, bytes: 1, float: false },
  bool: { array: Uint8Array, bytes: 1, float: false },
}

export const dtypes = Object.keys(KINDS) as DType[]

export function isDType(value: unknown): value is DType {
  return typeof value === 'string' && Object.hasOwn(KINDS, value)
}

export function bytesOf(dtype: DType): number {
  return KINDS[dtype].bytes
}

export function isFloat(dtype: DType): boolean {
  return KINDS[dtype].float
}

/** @internal */
export const dtypeField = field<DType>(`one of ${dtypes.join(', ')}`, isDType)

/** Wraps memory in the typed array of its dtype. Complex numbers have none. */
export function viewOf(buffer: ArrayBuffer, dtype: string): TypedArray
export function viewOf(buffer: ArrayBuffer, dtype: string, float16Array: boolean): TypedInput
export function viewOf(buffer: ArrayBuffer, dtype: string, float16Array = false): TypedInput {
  if (float16Array && dtype === 'float16') return new (halfArray())(buffer)
  return new KINDS[checkValue(dtypeField, dtype, 'dtype')].array(buffer)
}

type HalfArrayClass = new (buffer: ArrayBuffer) => Float16ArrayLike

function halfArray(): HalfArrayClass {
  const { Float16Array } = globalThis as { Float16Array?: HalfArrayClass }
  if (Float16Array) return Float16Array
  throw new TorchLearnerError(
    'ERR_UNSUPPORTED',
    `float16Array: Float16Array comes with Node 24, and this is ${process.version}: read the bits as Uint16Array, or convert with .to({ dtype: 'float32' })`,
  )
}

/** How a tensor's elements are to be read. */
export interface DataOptions {
  /** False shares the tensor's own memory where it lies that way already. Default true. */
  copy?: boolean
  /** True gives float16 as `Float16Array`, which Node has from version 24 on. Default false: its bits. */
  float16Array?: boolean
}

const dataSchema = strictObject({ copy: flag.default(true), float16Array: flag.default(false) })

/** @internal */
export function checkDataOptions(given?: DataOptions): Required<DataOptions> {
  const options = checkArguments(dataSchema, given, 'data')
  if (options.float16Array) halfArray()
  return options
}

/** Arrays of other classes, those of Nodes to come included, stand for no dtype. */
const BY_ARRAY: Readonly<Record<string, DType>> = {
  Float16Array: 'float16',
  Float32Array: 'float32',
  Float64Array: 'float64',
  BigInt64Array: 'int64',
  Int32Array: 'int32',
  Int16Array: 'int16',
  Int8Array: 'int8',
  Uint8Array: 'uint8',
  Uint8ClampedArray: 'uint8',
}

/** The dtype that a typed array stands for, unless another is asked for. */
export function dtypeOf(array: TypedInput): DType {
  const name = typedArrayName(array)
  if (name !== undefined && Object.hasOwn(BY_ARRAY, name)) return BY_ARRAY[name]
  throw invalidArgument(
    'data',
    'a typed array whose type is a dtype, or the dtype float16 or bfloat16 for its bits',
    array,
  )
}

export function isTypedArray(value: unknown): value is TypedInput {
  return typedArrayName(value) !== undefined
}

/** One half-precision number from its bits. */
export function halfToNumber(bits: number, dtype: 'float16' | 'bfloat16'): number {
  if (dtype === 'bfloat16') {
    scratchBits[0] = bits << 16
    return scratch[0]
  }
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

const scratch = new Float32Array(1)
const scratchBits = new Uint32Array(scratch.buffer)
