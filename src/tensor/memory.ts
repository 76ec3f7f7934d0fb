import { invalidArgument, isArrayBuffer } from '../check/index.js'
import { native } from '../native/index.js'
import type { DType, TypedInput } from './dtype.js'
import { Tensor } from './tensor.js'

/** Below this many bytes a copy is cheaper than lending memory that must be asked back. */
const SMALL = 64 * 1024

/** The bytes of a typed array, whatever is under it. */
function bytesUnder(data: TypedInput): Uint8Array {
  try {
    return new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength)
  } catch {
    throw invalidArgument('data', 'a typed array', data, 'Its ArrayBuffer was transferred, and its numbers with it')
  }
}

/** A tensor with a copy of the array's numbers. */
export function copied(data: TypedInput, shape: readonly number[], dtype: DType): Tensor {
  return new Tensor(native.fromBuffer(bytesUnder(data), shape, dtype, true))
}

/** A tensor on the memory of an array that nobody else holds, nor ever held. */
export function owned(data: TypedInput, shape: readonly number[], dtype: DType): Tensor {
  return new Tensor(native.fromBuffer(bytesUnder(data), shape, dtype, data.byteLength <= SMALL))
}

/**
 * A tensor on the array's own memory where that is shared memory: nobody can take it away. An ArrayBuffer loses its memory
 * when it is transferred, cut by `resize`, or when its WebAssembly.Memory grows, at any time and without a word, so that
 * its numbers are copied.
 */
export function sharedOrCopied(data: TypedInput, shape: readonly number[], dtype: DType): Tensor {
  return new Tensor(native.fromBuffer(bytesUnder(data), shape, dtype, isArrayBuffer(data.buffer)))
}
