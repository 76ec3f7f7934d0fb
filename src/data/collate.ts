import { invalidArgument } from '../native/index.js'
import { type NestedArray, stack, Tensor, tensor } from '../tensor/index.js'

/** Typed arrays that become a row of a batch. */
export type NumberArray = Float32Array | Float64Array | Uint8Array | Int32Array
/** One sample: inputs, then targets. Whole numbers become int64 (class numbers), others float32. */
export type Sample = readonly (NestedArray | NumberArray | Tensor)[]

/**
 * Samples stacked to one tensor a column, along a new first dimension.
 *
 * @throws TorchLearnerError `ERR_INVALID_ARG` when samples have different numbers of columns
 */
export function collate(samples: readonly Sample[]): Tensor[] {
  const width = samples[0].length
  const odd = samples.find(sample => sample.length !== width)
  if (odd) throw invalidArgument('a sample', `${width} values, as the first sample has,`, odd)
  return samples[0].map((_, column) => stackColumn(samples.map(sample => sample[column])))
}

function stackColumn(values: readonly Sample[number][]): Tensor {
  if (values.every(value => value instanceof Tensor)) return stack(values)
  const nested = values.map(value => {
    if (value instanceof Tensor) throw invalidArgument('a sample', 'a tensor in every sample or in none', value)
    return ArrayBuffer.isView(value) ? Array.from(value) : value
  })
  const float = values.some(value => value instanceof Float32Array || value instanceof Float64Array)
  return tensor(nested, { dtype: !float && allWhole(nested) ? 'int64' : 'float32' })
}

function allWhole(value: NestedArray): boolean {
  return Array.isArray(value) ? value.every(allWhole) : Number.isInteger(value)
}
