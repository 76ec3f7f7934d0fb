import { invalidArgument } from '../native/index.js'

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

export function checkDType(value: unknown): DType {
  if (isDType(value)) return value
  throw invalidArgument('dtype', `one of ${dtypes.join(', ')}`, value)
}

/** Wraps memory in the typed array of its dtype. Complex numbers have none. */
export function viewOf(buffer: ArrayBuffer, dtype: string): TypedArray {
  return new KINDS[checkDType(dtype)].array(buffer)
}

/** The dtype that a typed array stands for, unless another is asked for. */
export function dtypeOf(array: TypedArray): DType {
  if (array instanceof Float32Array) return 'float32'
  if (array instanceof Float64Array) return 'float64'
  if (array instanceof BigInt64Array) return 'int64'
  if (array instanceof Int32Array) return 'int32'
  if (array instanceof Int16Array) return 'int16'
  if (array instanceof Int8Array) return 'int8'
  if (array instanceof Uint8Array || array instanceof Uint8ClampedArray) return 'uint8'
  throw invalidArgument(
    'data',
    'a typed array whose type is a dtype, or the dtype float16 or bfloat16 for its bits',
    array,
  )
}

export function isTypedArray(value: unknown): value is TypedArray {
  return ArrayBuffer.isView(value) && !(value instanceof DataView)
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
