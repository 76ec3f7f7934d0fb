import { types } from 'node:util'

/*
 * What kind of thing a value is, whatever realm it was made in. Under Jest, in a `vm` context and in some editors' hosts
 * a program has other classes `Map`, `Error` or `Float32Array` than Node's own modules and this addon, so that
 * `instanceof` says no to the right thing. These tests look at what a value is made of instead. Classes of this package
 * (`Tensor`, `Module`) are told by `instanceof`: a second copy of the package in one program has its own.
 */

/** Node 24's `Float16Array`, as far as it is needed here: Node 20 and older typings don't have it. */
export interface Float16ArrayLike extends Iterable<number> {
  readonly [Symbol.toStringTag]: 'Float16Array'
  readonly buffer: ArrayBufferLike
  readonly byteLength: number
  readonly byteOffset: number
  readonly length: number
  readonly [index: number]: number
}

/** All typed arrays by the name of their class. */
export interface TypedArrays {
  Float16Array: Float16ArrayLike
  Float32Array: Float32Array
  Float64Array: Float64Array
  BigInt64Array: BigInt64Array
  BigUint64Array: BigUint64Array
  Int32Array: Int32Array
  Int16Array: Int16Array
  Int8Array: Int8Array
  Uint32Array: Uint32Array
  Uint16Array: Uint16Array
  Uint8Array: Uint8Array
  Uint8ClampedArray: Uint8ClampedArray
}

const typedArrayTag = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)

/** The class of a typed array, subclasses such as Node's `Buffer` by what they extend; undefined for anything else. */
export function typedArrayName(value: unknown): string | undefined {
  return typedArrayTag?.get?.call(value)
}

/** Whether a value is a typed array of one of these classes. */
export function isTyped<N extends keyof TypedArrays>(value: unknown, ...names: readonly N[]): value is TypedArrays[N] {
  const name = typedArrayName(value)
  return name !== undefined && (names as readonly string[]).includes(name)
}

/** Whether a typed array has lost its memory to another thread: it looks empty, and any work on it throws. */
export function isDetached(array: { readonly buffer: ArrayBufferLike; readonly length: number }): boolean {
  if (array.length > 0 || !isArrayBuffer(array.buffer)) return false
  try {
    array.buffer.slice(0, 0)
    return false
  } catch {
    return true // what isn't there can't be copied
  }
}

/** Something to iterate over that can hold any values, which typed arrays can't. */
export function isCollection(value: unknown): value is Iterable<unknown> {
  return isObject(value) && typedArrayName(value) === undefined && Symbol.iterator in value
}

/** What is under a typed array: not shared memory. */
export function isArrayBuffer(value: unknown): value is ArrayBuffer {
  return types.isArrayBuffer(value)
}

export function isMap(value: unknown): value is ReadonlyMap<unknown, unknown> {
  return types.isMap(value)
}

export function isRegExp(value: unknown): value is RegExp {
  return types.isRegExp(value)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function tagOf(value: object): string {
  return Object.prototype.toString.call(value).slice('[object '.length, -1)
}

/** An object literal, or one without a prototype: not an array and not an instance of a class. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (!isObject(value)) return false
  const prototype = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) return true
  // another realm's Object.prototype
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf')
}

/** Whatever `await` waits for. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return isObject(value) && 'then' in value && typeof value.then === 'function'
}

/** An AbortSignal, of Node or of a library that stands in for it. */
export function isAbortSignal(value: unknown): value is AbortSignal {
  return (
    isObject(value) &&
    'aborted' in value &&
    typeof value.aborted === 'boolean' &&
    'throwIfAborted' in value &&
    typeof value.throwIfAborted === 'function' &&
    'addEventListener' in value &&
    typeof value.addEventListener === 'function'
  )
}

/** A stream of the web's kind. */
export function isReadableStream(value: unknown): value is ReadableStream {
  return isObject(value) && 'getReader' in value && typeof value.getReader === 'function'
}

/** Something that was made to be thrown. */
export function isError(value: unknown): value is Error {
  return types.isNativeError(value) || value instanceof Error || (isObject(value) && tagOf(value) === 'DOMException')
}

/** JSON that isn't. */
export function isSyntaxError(value: unknown): value is SyntaxError {
  return isError(value) && value.name === 'SyntaxError'
}

/** Whether an error is the system's or Node's of this code, such as `ENOENT`. */
export function hasCode(error: unknown, code: string): boolean {
  return codeOf(error) === code
}

/** The `code` of an error that has one. */
export function codeOf(error: unknown): string | undefined {
  return isError(error) && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
