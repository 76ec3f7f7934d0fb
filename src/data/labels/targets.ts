import { ownTensor, type Tensor } from '../../tensor/index.js'

/** The targets of all samples, ready to be cut into batches. */
export interface Targets {
  /** Each sample's class number, where it has just one: for balanced sampling. */
  readonly classes?: Int32Array
  /** Chooses the targets of a batch; the tensor is made when the batch's turn has come. */
  rows(indices: Int32Array): () => Tensor
}

/** int64 `(N)`. */
export function targetsOfClasses(classes: Int32Array): Targets {
  return {
    classes,
    rows: indices => {
      const chosen = BigInt64Array.from(indices, index => BigInt(classes[index]))
      return () => ownTensor(chosen)
    },
  }
}

/** float32 `(N, C)` of zeros and ones. */
export function targetsOfSeveralClasses(classes: readonly (readonly number[])[], c: number): Targets {
  return {
    rows: indices => {
      const flags = new Float32Array(indices.length * c)
      for (const [row, index] of indices.entries()) for (const one of classes[index]) flags[row * c + one] = 1
      return () => ownTensor(flags, { shape: [indices.length, c] })
    },
  }
}

/** float32 `(N)`, or `(N, width)`. */
export function targetsOfNumbers(values: Float32Array, width?: number): Targets {
  return {
    rows: indices => {
      const size = width ?? 1
      const chosen = new Float32Array(indices.length * size)
      for (const [row, index] of indices.entries()) {
        chosen.set(values.subarray(index * size, (index + 1) * size), row * size)
      }
      return () => ownTensor(chosen, { shape: width === undefined ? [indices.length] : [indices.length, width] })
    },
  }
}
