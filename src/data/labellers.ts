import { basename, dirname } from 'node:path'
import { describe, invalidArgument, isRegExp, TorchLearnerError } from '../native/index.js'

/** From a path to its label. */
export type Labeller = (path: string) => string

/** The name of the folder that the file is in: `d/train/cat/1.png` is a `cat`. */
export const parentLabel: Labeller = path => basename(dirname(pathText(path)))

function pathText(path: unknown): string {
  if (typeof path === 'string') return path
  throw invalidArgument('path', 'a path', path)
}

/**
 * The first group of a regular expression, searched for anywhere in the path (with `/` between its parts).
 *
 * @throws TorchLearnerError `ERR_INVALID_ARG` for an expression without a group and, when used, for a path that it doesn't match
 * @example RegexLabeller(/([^/]+)_\d+.jpg$/)('images/great_pyrenees_173.jpg') // 'great_pyrenees'
 */
export function RegexLabeller(pattern: RegExp | string): Labeller {
  if (!isRegExp(pattern) && typeof pattern !== 'string') {
    throw invalidArgument('pattern', 'a regular expression', pattern)
  }
  const source = typeof pattern === 'string' ? new RegExp(pattern) : pattern
  // lastIndex makes a global or sticky expression answer by turns
  const regex = new RegExp(source.source, source.flags.replace(/[gy]/g, ''))
  return path => {
    const label = regex.exec(pathText(path).replaceAll('\\', '/'))?.[1]
    if (label !== undefined) return label
    throw new TorchLearnerError(
      'ERR_INVALID_ARG',
      `Found no label in ${describe(path)} by ${regex}: it must match and its first group must be the label`,
    )
  }
}
