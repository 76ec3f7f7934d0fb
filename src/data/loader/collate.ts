import { describe, invalidArgument, isTyped, TorchLearnerError } from '../../check/index.js'
import { each, type Steps } from '../../files/index.js'
import { type NestedArray, ownTensor, stack, Tensor } from '../../tensor/index.js'
import { isWhole, type NumberArray, type ShapedArray, unravel, type Values } from '../source/values.js'

/** Something a tensor can be made of. */
export type Value = NestedArray | NumberArray | ShapedArray | Tensor | readonly NumberArray[]
/**
 * One sample: `[input, target]`, with several inputs before the target if need be, or `{ x, y }`; without a target `[input]` or `{ x }`.
 */
export type Sample = readonly Value[] | { readonly x: Value; readonly y?: Value }

/** A sample's columns: inputs, then targets. */
export function columnsOf(sample: unknown, name: string): readonly Value[] {
  if (Array.isArray(sample) && sample.length > 0) return sample
  if (typeof sample === 'object' && sample !== null && 'x' in sample) {
    const { x, y } = sample as { x: Value; y?: Value }
    return y === undefined ? [x] : [x, y]
  }
  throw invalidArgument(name, 'an array [input, target] or an object { x, y }', sample)
}

/** How many of a sample's (or a batch's) values are inputs: `nInp`; by default all but the last, or the only one. */
export function inputCount(nInp: number | undefined, values: number): number {
  return nInp ?? Math.max(1, values - 1)
}

/**
 * Makes batches of samples: each column is stacked along a new first dimension.
 *
 * Typed arrays of floats become float32, `Uint8Array` and `Buffer` uint8, other integers int64. Plain numbers become float32 as
 * inputs; as targets int64 (class numbers) while all are whole, else float32. Tensors stay as they are.
 */
export class Collator {
  readonly #nInp?: number
  /** Target columns that have had a fraction: they stay float32 when a batch happens to have none. */
  readonly #float = new Set<number>()

  /** @param nInp how many columns are inputs, see {@link inputCount} */
  constructor(nInp?: number) {
    this.#nInp = nInp
  }

  /** Looks for fractions among all targets, so that a column has one dtype in all batches. */
  *survey(samples: readonly unknown[]): Steps<void> {
    yield* each(samples.length, i => {
      const columns = columnsOf(samples[i], `sample ${i}`)
      for (let c = inputCount(this.#nInp, columns.length); c < columns.length; c++) {
        if (!this.#float.has(c) && !isWhole(columns[c])) this.#float.add(c)
      }
    })
  }

  /**
   * @param samples at least one
   * @throws TorchLearnerError `ERR_INVALID_ARG` for samples of different numbers of columns, kinds or shapes
   */
  stack(samples: readonly unknown[]): Tensor[] {
    const rows = samples.map((sample, i) => columnsOf(sample, `sample ${i} of a batch`))
    const width = rows[0].length
    const odd = rows.find(row => row.length !== width)
    if (odd) throw invalidArgument('a sample', `${width} values, as the first sample has,`, odd)
    return rows[0].map((_, column) => {
      const values = rows.map(row => row[column])
      return this.#stackColumn(values, column, column < inputCount(this.#nInp, width))
    })
  }

  /** A batch whose columns are whole already, along their first dimension. */
  whole(batch: unknown): Tensor[] {
    const columns = columnsOf(batch, 'a batch')
    return columns.map((value, column) => {
      // a handle of its own: whoever gets the batch may dispose it
      if (value instanceof Tensor) return value.detach()
      const { kind, items, shape } = unravel(value)
      return toTensor(
        [items],
        this.#dtype([kind], [items], column, column < inputCount(this.#nInp, columns.length)),
        shape,
      )
    })
  }

  #stackColumn(values: readonly Value[], column: number, isInput: boolean): Tensor {
    if (values.every(value => value instanceof Tensor)) return stack(values)
    const rows = values.map(value => {
      if (value instanceof Tensor) throw invalidArgument('a sample', 'a tensor in every sample or in none', value)
      return unravel(value)
    })
    const shape = rows[0].shape
    const odd = rows.findIndex(
      row => row.shape.length !== shape.length || row.shape.some((size, i) => size !== shape[i]),
    )
    if (odd > 0) {
      throw new TorchLearnerError(
        'ERR_INVALID_ARG',
        `The samples of a batch must have one shape, but the first has ${describe(shape)} and another ` +
          `${describe(rows[odd].shape)} in column ${column}`,
      )
    }
    const items = rows.map(row => row.items)
    const kinds = rows.map(row => row.kind)
    return toTensor(items, this.#dtype(kinds, items, column, isInput), [rows.length, ...shape])
  }

  #dtype(kinds: readonly Values['kind'][], items: readonly Values['items'][], column: number, isInput: boolean): DType {
    if (kinds.includes('float32')) return 'float32'
    if (kinds.includes('number')) {
      if (isInput || this.#float.has(column)) return 'float32'
      if (items.every(row => Array.prototype.every.call(row, Number.isInteger))) return 'int64'
      this.#float.add(column)
      return 'float32'
    }
    return kinds.includes('int64') ? 'int64' : 'uint8'
  }
}

type DType = 'float32' | 'int64' | 'uint8'

function toTensor(rows: readonly Values['items'][], dtype: DType, shape: readonly number[]): Tensor {
  const width = rows[0].length
  const size = rows.length * width
  if (dtype === 'int64') {
    const all = new BigInt64Array(size)
    for (const [i, row] of rows.entries()) for (let k = 0; k < width; k++) all[i * width + k] = BigInt(row[k])
    return ownTensor(all, { shape })
  }
  const all = dtype === 'float32' ? new Float32Array(size) : new Uint8Array(size)
  for (const [i, row] of rows.entries())
    all.set(isTyped(row, 'BigInt64Array') ? Array.from(row, Number) : row, i * width)
  return ownTensor(all, { shape })
}
