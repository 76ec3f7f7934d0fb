import { invalidArgument } from '../native/index.js'
import { type NestedArray, Tensor } from '../tensor/index.js'

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
  if (isNumberArray(value)) return { kind: kindOf(value), items: value, shape: [value.length] }
  if (isShaped(value)) {
    const size = value.shape.reduce((product, side) => product * side, 1)
    if (size === value.data.length) return { kind: kindOf(value.data), items: value.data, shape: value.shape }
    throw invalidArgument('a value', `${size} numbers for the shape [${value.shape.join(', ')}]`, value.data)
  }
  if (isRows(value)) return unravelRows(value)
  const items: number[] = []
  return { kind: 'number', shape: flatten(value, items), items }
}

function isRows(value: unknown): value is readonly NumberArray[] {
  return Array.isArray(value) && value.length > 0 && value.every(isNumberArray)
}

function unravelRows(rows: readonly NumberArray[]): Values {
  const width = rows[0].length
  const odd = rows.find(row => row.length !== width)
  if (odd) throw invalidArgument('a row', `${width} numbers, as the first row has,`, odd)
  const kinds = rows.map(kindOf)
  const kind = kinds.find(kind => kind === 'float32') ?? kinds.find(kind => kind === 'int64') ?? 'uint8'
  return { kind, items: rows.flatMap(row => Array.from(row, Number)), shape: [rows.length, width] }
}

function flatten(value: unknown, items: number[]): number[] {
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') {
    items.push(Number(value))
    return []
  }
  if (!Array.isArray(value)) throw invalidArgument('a value', 'numbers, an array of numbers or a tensor', value)
  let inner: number[] | undefined
  for (const row of value) {
    const shape = flatten(row, items)
    if (inner && (inner.length !== shape.length || inner.some((size, i) => size !== shape[i]))) {
      throw invalidArgument('a value', 'nested arrays of equal lengths', value)
    }
    inner = shape
  }
  return [value.length, ...(inner ?? [])]
}

/** Whether a value has no fractions. */
export function isWhole(value: unknown): boolean {
  if (typeof value === 'number') return Number.isInteger(value)
  if (Array.isArray(value)) return value.every(isWhole)
  return true // what has a type of its own is not decided by its numbers
}

export function isNumberArray(value: unknown): value is NumberArray {
  return ArrayBuffer.isView(value) && 'length' in value && !(value instanceof BigUint64Array)
}

function isShaped(value: unknown): value is ShapedArray {
  if (typeof value !== 'object' || value === null || value instanceof Tensor) return false
  return 'data' in value && isNumberArray(value.data) && 'shape' in value && Array.isArray(value.shape)
}

function kindOf(array: NumberArray): 'float32' | 'uint8' | 'int64' {
  if (array instanceof Uint8Array || array instanceof Uint8ClampedArray) return 'uint8'
  return array instanceof Float32Array || array instanceof Float64Array ? 'float32' : 'int64'
}
