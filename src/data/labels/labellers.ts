import { basename, dirname } from 'node:path'
import { describe, invalidArgument, isRegExp, TorchLearnerError } from '../../check/index.js'

/** From a path to its label. */
export type Labeller = (path: string) => string

/**
 * The name of the folder that the file is in: `d/train/cat/1.png` is a `cat`.
 * @throws TorchLearnerError `ERR_INVALID_ARG` for a path without a folder
 */
export const parentLabel: Labeller = path => {
  const label = basename(dirname(pathText(path)))
  if (label !== '' && label !== '.') return label
  throw new TorchLearnerError(
    'ERR_INVALID_ARG',
    `The label of ${describe(path)} is its folder's name, but it is in none`,
  )
}

function pathText(path: unknown): string {
  if (typeof path === 'string') return path
  throw invalidArgument('path', 'a path', path)
}

/**
 * The first group of a regular expression, searched for anywhere in the path (with `/` between its parts).
 *
 * @throws TorchLearnerError `ERR_INVALID_ARG` for what isn't a regular expression and, when used, for a path that it doesn't match, or
 * whose group is empty
 * @example RegexLabeller(/([^/]+)_\d+.jpg$/)('images/great_pyrenees_173.jpg') // 'great_pyrenees'
 */
export function RegexLabeller(pattern: RegExp | string): Labeller {
  if (!isRegExp(pattern) && typeof pattern !== 'string') {
    throw invalidArgument('pattern', 'a regular expression', pattern)
  }
  const source = typeof pattern === 'string' ? compile(pattern) : pattern
  // with lastIndex a global or sticky expression would match only every other time
  const regex = new RegExp(source.source, source.flags.replace(/[gy]/g, ''))
  return path => {
    const label = regex.exec(pathText(path).replaceAll('\\', '/'))?.[1]
    if (label) return label
    throw new TorchLearnerError(
      'ERR_INVALID_ARG',
      `Found no label in ${describe(path)} by ${regex}: it must match and its first group must be the label, not empty`,
    )
  }
}

function compile(pattern: string): RegExp {
  try {
    return new RegExp(pattern)
  } catch (cause) {
    const { message } = cause as Error
    throw new TorchLearnerError('ERR_INVALID_ARG', `Expected a regular expression for pattern: ${message}`, { cause })
  }
}
