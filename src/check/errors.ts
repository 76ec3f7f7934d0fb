import { types } from 'node:util'
import { isError, typedArrayName } from './kinds.js'

/**
 * What went wrong, as a stable string. Messages may change between releases, codes don't.
 *
 * - `ERR_ADDON_MISSING` the compiled addon is nowhere; `ERR_ADDON_LOAD` it is there and would not load
 * - `ERR_LIBTORCH_MISSING` libtorch is nowhere; `ERR_LIBTORCH_VERSION` it is there in another version than the addon's
 * - `ERR_LIBC` Node runs on musl, for which there is no libtorch; `ERR_TWO_COPIES` another copy of this package with another
 *   addon is in this process; `ERR_PACKAGE_MISSING` a package that this needs is not installed, or would not load
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
  | 'ERR_LIBC'
  | 'ERR_TWO_COPIES'
  | 'ERR_PACKAGE_MISSING'
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

/** Where an operator that failed was recorded, as far as it is known. */
export interface ErrorOrigin {
  /** What was under way: `fit`, `validate`, ... of a Learner, or the name of a {@link scope}. */
  readonly run: string
  /** The callback at work, as messages call it, and its event. */
  readonly callback?: string
  readonly event?: string
  /** What was at work there: `the model`, `the loss`, `the metric accuracy`, ..., or the name of a {@link scope}. */
  readonly part?: string
  /** The epoch and the batch, from 0. */
  readonly epoch?: number
  readonly batch?: number
  /** The batch is one of a validation, or of predictions. */
  readonly validation?: boolean
}

/** An origin in words: `the metric accuracy, Recorder at afterBatch, batch 3 of epoch 0 (fit)`. */
export function originText({ run, callback, event, part, epoch, batch, validation }: ErrorOrigin): string {
  const who = [part, callback === undefined ? undefined : `${callback} at ${event}`].filter(Boolean).join(', ')
  const place = [
    ...(batch === undefined ? [] : [`${validation ? 'validation batch' : 'batch'} ${batch}`]),
    ...(epoch === undefined ? [] : [`epoch ${epoch}`]),
  ].join(' of ')
  if (who === '' && place === '') return run
  return `${[who, place].filter(Boolean).join(', ')} (${run})`
}

/**
 * The one error class of this package: tell errors apart by {@link TorchLearnerError.code}. `instanceof` knows those of other
 * loaded copies of the package as well (a test runner that resets modules makes some).
 */
export class TorchLearnerError extends Error {
  override readonly name = 'TorchLearnerError'
  /** Of an operator that failed inside a run: where it was recorded. */
  declare readonly origin?: ErrorOrigin
  /** Of an operator that failed: its name, `aten::mm`. */
  declare readonly operator?: string

  /**
   * @param code what went wrong, stable between releases
   * @param message one sentence, with what to do when that isn't obvious; line breaks and overlong parts are cut out
   * @param options `cause`: the error underneath, if any; `operator` and `origin` of one that failed; `list`: what the
   * message ends with, on a line each
   */
  constructor(
    readonly code: ErrorCode,
    message: string,
    options: { cause?: unknown; operator?: string; origin?: ErrorOrigin; list?: readonly string[] } = {},
  ) {
    const { operator, origin, list = [], ...rest } = options
    const lines = list.map(item => `\n  - ${presentable(item)}`)
    super(presentable(message) + lines.join(''), 'cause' in rest ? rest : undefined)
    if (operator) this.operator = operator
    if (origin) this.origin = origin
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: a subclass asks for itself
    if (this === TorchLearnerError) return isError(value) && value.name === 'TorchLearnerError'
    // biome-ignore lint/complexity/noThisInStatic: a subclass asks for itself
    return Function.prototype[Symbol.hasInstance].call(this, value)
  }
}

/** Longer words, such as a path that someone made up, lose their middle. */
const WORD_LIMIT = 600
const MESSAGE_LIMIT = 8000

// what terminals obey, what ends a line, and what turns the direction of writing
const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/u

/** A message on one line and of bearable length, whatever went into it. */
function presentable(message: string): string {
  let text = String(message)
  if (text.length > WORD_LIMIT) {
    text = text.replace(
      new RegExp(`\\S{${WORD_LIMIT + 1},}`, 'g'),
      word => `${word.slice(0, 200)}...${word.slice(-100)}`,
    )
    if (text.length > MESSAGE_LIMIT) {
      const left = text.length - MESSAGE_LIMIT
      text = `${text.slice(0, MESSAGE_LIMIT - 2000)} ... (${left} characters) ... ${text.slice(-2000)}`
    }
  }
  return UNSAFE.test(text) ? escaped(text.replace(/\s*[\r\n]\s*/g, ' ').trim()) : text
}

function escaped(text: string): string {
  return text.replace(new RegExp(UNSAFE, 'gu'), sign => {
    const code = sign.charCodeAt(0).toString(16)
    return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`
  })
}

const LIMIT = 80

/**
 * A value as an error message shows it: short, on one line, never throwing, running no code of the value's own but
 * getters.
 *
 * @example describe([1, 2]) // '[1, 2]'
 */
export function describe(value: unknown): string {
  const text = escaped(rawText(value, 0))
  return text.length > LIMIT ? `${text.slice(0, LIMIT - 3)}...` : text
}

function rawText(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.length > LIMIT ? value.slice(0, LIMIT) : value)
    case 'bigint':
      return value > -HUGE && value < HUGE ? `${value}n` : 'a bigint of many digits'
    case 'symbol':
      return `Symbol(${(value.description ?? '').slice(0, LIMIT)})`
    case 'function':
    case 'object':
      return value === null ? 'null' : readable(() => objectText(value, depth))
    default:
      return String(value)
  }
}

const HUGE = 10n ** 60n

/** Getters of a value may throw. */
function readable(read: () => string): string {
  try {
    return read()
  } catch {
    return 'an object that throws when it is looked at'
  }
}

function objectText(value: object, depth: number): string {
  if (types.isProxy(value)) return 'a Proxy'
  if (typeof value === 'function') {
    const { name } = value
    return typeof name === 'string' && name !== '' ? `function ${name.slice(0, LIMIT)}` : 'a function'
  }
  if (isError(value)) return `${String(value.name)}: ${String(value.message).slice(0, LIMIT)}`
  const array = typedArrayName(value)
  if (array !== undefined) return `${className(value)}(${(value as Uint8Array).length})`
  if (Array.isArray(value)) {
    if (depth > 1) return `Array(${value.length})`
    const shown = Array.from({ length: Math.min(value.length, 8) }, (_, i) =>
      readable(() => rawText(value[i], depth + 1)),
    )
    return `[${shown.join(', ')}${value.length > 8 ? `, ... ${value.length - 8} more` : ''}]`
  }
  const name = className(value)
  if (name !== 'Object') return `a ${name}`
  const keys = Object.keys(value)
  const shown = keys.slice(0, 6).map(key => key.slice(0, LIMIT))
  return keys.length === 0 ? '{}' : `{ ${shown.join(', ')}${keys.length > 6 ? ', ...' : ''} }`
}

function className(value: object): string {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === null || typeof prototype !== 'object') return 'Object'
  const maker: unknown = prototype.constructor
  const name: unknown = typeof maker === 'function' ? maker.name : ''
  return typeof name === 'string' && name !== '' ? name.slice(0, LIMIT) : 'Object'
}

/** `typeof`, told apart further where it matters: `null`, `array`, and the class of an object. */
export function typeName(value: unknown): string {
  if (value === null) return 'null'
  if (types.isProxy(value)) return 'Proxy'
  if (Array.isArray(value)) return 'array'
  if (typeof value !== 'object') return typeof value
  const name = readable(() => className(value))
  return name === 'Object' ? 'object' : escaped(name)
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

/** Whether it is the error of an operator that failed, and not that of whoever awaited it. */
export function isOperators(error: unknown): error is TorchLearnerError {
  return error instanceof TorchLearnerError && error.operator !== undefined && error.code !== 'ERR_CALLBACK'
}

/** What an error says; of other things that were thrown, what they are. */
export function messageOf(error: unknown): string {
  if (typeof error === 'string') return error
  return isError(error) ? readable(() => String(error.message)) : describe(error)
}

/**
 * Looks at a value that is someone else's: what its getters throw, or a revoked proxy does, comes out as a coded error with
 * the original as `cause`.
 */
export function inspected<T>(name: string, value: unknown, look: () => T): T {
  try {
    return look()
  } catch (error) {
    throw unreadable(name, value, error)
  }
}

/** The error for a value that threw `error` when it was looked at; coded errors stay what they are. */
export function unreadable(name: string, value: unknown, error: unknown): TorchLearnerError {
  if (error instanceof TorchLearnerError) return error
  const sentence = `Expected a value that can be looked at for ${name} but received ${describe(value)}`
  return new TorchLearnerError('ERR_INVALID_ARG', `${sentence}, which throws: ${messageOf(error)}`, { cause: error })
}
