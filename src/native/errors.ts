import { isError } from './kinds.js'

/**
 * What went wrong, as a stable string. Messages may change between releases, codes don't.
 *
 * - `ERR_ADDON_MISSING` the compiled addon is nowhere; `ERR_ADDON_LOAD` it is there and would not load
 * - `ERR_LIBTORCH_MISSING` libtorch is nowhere; `ERR_LIBTORCH_VERSION` it is there in another version than the addon's
 * - `ERR_INVALID_ARG` a value of the wrong type, shape or range
 * - `ERR_OP_FAILED` an operator failed on the native stream
 * - `ERR_OUT_OF_MEMORY` an allocation failed; `ERR_UNSUPPORTED` a value or operator that has no JavaScript form
 * - `ERR_DISPOSED` a tensor was used after `dispose()` or after the end of its `scope`
 * - `ERR_CALLBACK` an error inside a callback; `cause` is the original
 * - `ERR_NAN_LOSS` the loss became NaN or infinite
 * - `ERR_STATE_DICT` a state dict doesn't fit the module
 * - `ERR_NOT_FOUND` a file or folder isn't there, or can't be read; `ERR_WRITE` a file can't be written, for want of space or
 *   permission; `cause` is the system's error
 * - `ERR_DECODE` a file is there and isn't a readable picture
 * - `ERR_FILE_FORMAT` a file of tensors isn't what it should be, or is damaged; `ERR_DOWNLOAD` a file couldn't be fetched
 * - `ERR_NO_DATA` an empty folder, set or loader; `ERR_STATE` a call that is out of order
 */
export type ErrorCode =
  | 'ERR_ADDON_MISSING'
  | 'ERR_ADDON_LOAD'
  | 'ERR_LIBTORCH_MISSING'
  | 'ERR_LIBTORCH_VERSION'
  | 'ERR_INVALID_ARG'
  | 'ERR_OP_FAILED'
  | 'ERR_OUT_OF_MEMORY'
  | 'ERR_UNSUPPORTED'
  | 'ERR_DISPOSED'
  | 'ERR_CALLBACK'
  | 'ERR_NAN_LOSS'
  | 'ERR_STATE_DICT'
  | 'ERR_NOT_FOUND'
  | 'ERR_WRITE'
  | 'ERR_DECODE'
  | 'ERR_FILE_FORMAT'
  | 'ERR_DOWNLOAD'
  | 'ERR_NO_DATA'
  | 'ERR_STATE'

/** The one error class of this package: tell errors apart by {@link TorchLearnerError.code}. */
export class TorchLearnerError extends Error {
  override readonly name = 'TorchLearnerError'

  /**
   * @param code what went wrong, stable between releases
   * @param message one sentence, with what to do when that isn't obvious
   * @param options `cause`: the error underneath, if any
   */
  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options)
  }
}

const LIMIT = 80

/**
 * A value as an error message shows it: short, on one line, never throwing.
 *
 * @example describe([1, 2]) // '[1, 2]'
 */
export function describe(value: unknown): string {
  const text = rawText(value, 0)
  return text.length > LIMIT ? `${text.slice(0, LIMIT - 3)}...` : text
}

function rawText(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.length > LIMIT ? value.slice(0, LIMIT) : value)
    case 'bigint':
      return `${value}n`
    case 'function':
      return value.name ? `function ${value.name}` : 'a function'
    case 'symbol':
      return value.toString()
    case 'object':
      return value === null ? 'null' : objectText(value, depth)
    default:
      return String(value)
  }
}

function objectText(value: object, depth: number): string {
  if (isError(value)) return `${value.name}: ${value.message}`
  if (ArrayBuffer.isView(value) && 'length' in value) return `${className(value)}(${value.length})`
  if (Array.isArray(value)) {
    if (depth > 1) return `Array(${value.length})`
    const shown = value.slice(0, 8).map(item => rawText(item, depth + 1))
    return `[${shown.join(', ')}${value.length > 8 ? `, ... ${value.length - 8} more` : ''}]`
  }
  const name = className(value)
  if (name !== 'Object') return `a ${name}`
  const keys = Object.keys(value)
  return keys.length === 0 ? '{}' : `{ ${keys.slice(0, 6).join(', ')}${keys.length > 6 ? ', ...' : ''} }`
}

function className(value: object): string {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === null || typeof prototype !== 'object') return 'Object'
  const maker: unknown = prototype.constructor
  return typeof maker === 'function' && maker.name !== '' ? maker.name : 'Object'
}

/** `typeof`, told apart further where it matters: `null`, `array`, and the class of an object. */
export function typeName(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value !== 'object') return typeof value
  const name = className(value)
  return name === 'Object' ? 'object' : name
}

/**
 * The error for a value that can't be taken, in the one sentence form of this package:
 * `Expected <expected> for <name> but received <received> of type <type>`, and the hint after it.
 *
 * @param name the parameter, as the caller knows it
 * @param expected what would be right: `a number above 0`
 * @param received the value itself
 * @param hint what to do about it, a sentence of its own
 * @example throw invalidArgument('alpha', 'a number above 0', alpha)
 */
export function invalidArgument(name: string, expected: string, received: unknown, hint?: string): TorchLearnerError {
  const sentence = `Expected ${expected} for ${name} but received ${describe(received)} of type ${typeName(received)}`
  return new TorchLearnerError('ERR_INVALID_ARG', hint ? `${sentence}. ${hint}` : sentence)
}

/** What an error says; of other things that were thrown, what they are. */
export function messageOf(error: unknown): string {
  if (isError(error)) return String(error.message)
  return typeof error === 'string' ? error : describe(error)
}
