import { type ErrorCode, messageOf, TorchLearnerError } from './errors.js'

/** Something that is wrong with what is installed, and what to do about it. */
export interface Problem {
  /** A code of {@link TorchLearnerError}, or a lower-case word of `doctor`'s own. */
  readonly code: string
  /** What is wrong: one sentence, without the full stop. */
  readonly message: string
  /** One sentence, without the full stop. */
  readonly remedy: string
}

const problems = new WeakMap<object, Problem>()

/**
 * The error that says `message` and `remedy`; {@link problemOf} takes them apart again.
 *
 * @param options `cause`; `list`: what the message ends with, on a line each
 */
export function failure(
  code: ErrorCode,
  message: string,
  remedy: string,
  options: { cause?: unknown; list?: readonly string[] } = {},
): TorchLearnerError {
  const ending = options.list ? '. Looked at:' : ''
  const error = new TorchLearnerError(code, `${message}. ${remedy}${ending}`, options)
  problems.set(error, { code, message, remedy })
  return error
}

/** What an error that stopped the loading says. */
export function problemOf(error: unknown): Problem {
  const known = typeof error === 'object' && error !== null ? problems.get(error) : undefined
  if (known) return known
  const code = error instanceof TorchLearnerError ? error.code : 'ERR_ADDON_LOAD'
  return { code, message: messageOf(error), remedy: 'Send this report along when you report the fault' }
}
