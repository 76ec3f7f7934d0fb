import { type Float16ArrayLike, invalidArgument, isDetached, typedArrayName } from '../../check/index.js'
import { listOf, type NestedArray, Tensor, unnest } from '../../tensor/index.js'

/** Typed arrays, Node's Buffer among them, that become a row of a batch. */
export type NumberArray =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Uint8ClampedArray
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | Float16ArrayLike

/** A flat array together with its shape, row by row: `{ data: new Float32Array(3 * 32 * 32), shape: [3, 32, 32] }`. */
export interface ShapedArray {
  readonly data: NumberArray
  readonly shape: readonly number[]
}

/** Numbers row by row. */
export interface Values {
  /** What the numbers are by themselves: plain `number`s may be anything. */
  readonly kind: 'float32' | 'uint8' | 'int64' | 'number'
  readonly items: NumberArray | number[]
  readonly shape: readonly number[]
}

type Plain = NestedArray | NumberArray | ShapedArray | readonly NumberArray[]

/** @throws TorchLearnerError `ERR_INVALID_ARG` for what isn't numbers, and for rows of different lengths */
export function unravel(value: Plain): Values {
  if (isNumberArray(value) && !isDetached(value)) return { kind: kindOf(value), items: value, shape: [value.length] }
  if (isShaped(value)) {
    const size = value.shape.reduce((product, side) => product * side, 1)
    if (size === value.data.length) return { kind: kindOf(value.data), items: value.data, shape: value.shape }
    throw invalidArgument('a value', `${size} numbers for the shape [${value.shape.join(', ')}]`, value.data)
  }
  if (isRows(value)) return unravelRows(value)
  const items: number[] = []
  const shape = unnest('a value', value, item => {
    const isNumber = typeof item === 'number' || typeof item === 'boolean' || typeof item === 'bigint'
    if (!isNumber) throw invalidArgument('a value', 'numbers, an array of numbers or a tensor', item)
    items.push(Number(item))
  })
  return { kind: 'number', shape, items }
}

function isRows(value: unknown): value is readonly NumberArray[] {
  // holes pass every(): the first row is looked at by itself, and an array of endless length isn't walked
  return Array.isArray(value) && isNumberArray(value[0]) && listOf('a value', value).every(isNumberArray)
}

function unravelRows(rows: readonly NumberArray[]): Values {
  const width = rows[0].length
  const odd = rows.find(row => row.length !== width)
  if (odd) throw invalidArgument('a row', `${width} numbers, as the first row has,`, odd)
  const kinds = rows.map(kindOf)
  const kind = kinds.find(kind => kind === 'float32') ?? kinds.find(kind => kind === 'int64') ?? 'uint8'
  return { kind, items: rows.flatMap(row => Array.from(row, Number)), shape: [rows.length, width] }
}

/** Whether a value has no fractions. */
export function isWhole(value: unknown): boolean {
  if (typeof value === 'number') return Number.isInteger(value)
  if (!Array.isArray(value)) return true // what has a type of its own is not decided by its numbers
  let whole = true
  unnest('a value', value, item => {
    whole &&= typeof item !== 'number' || Number.isInteger(item)
  })
  return whole
}

/** Arrays of other classes, those of Nodes to come included, are refused: their numbers might not fit. */
const KINDS: Readonly<Record<string, 'float32' | 'uint8' | 'int64'>> = {
  Float16Array: 'float32',
  Float32Array: 'float32',
  Float64Array: 'float32',
  Uint8Array: 'uint8',
  Uint8ClampedArray: 'uint8',
  Int8Array: 'int64',
  Int16Array: 'int64',
  Int32Array: 'int64',
  Uint16Array: 'int64',
  Uint32Array: 'int64',
  BigInt64Array: 'int64',
}

export function isNumberArray(value: unknown): value is NumberArray {
  const name = typedArrayName(value)
  return name !== undefined && Object.hasOwn(KINDS, name)
}

function isShaped(value: unknown): value is ShapedArray {
  if (typeof value !== 'object' || value === null || value instanceof Tensor) return false
  return 'data' in value && isNumberArray(value.data) && 'shape' in value && Array.isArray(value.shape)
}

function kindOf(array: NumberArray): 'float32' | 'uint8' | 'int64' {
  const name = typedArrayName(array)
  if (name !== undefined && Object.hasOwn(KINDS, name)) return KINDS[name]
  throw invalidArgument('a value', `one of the typed arrays ${Object.keys(KINDS).join(', ')}`, array)
}
