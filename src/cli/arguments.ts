import { type ParseArgsConfig, parseArgs } from 'node:util'
import { codeOf, messageOf } from '../check/index.js'

/** A command that was given wrongly: its sentence, the usage and exit code 2. */
export class UsageError extends Error {}

/** `util.parseArgs`, whose complaints become usage errors. */
export function parse<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config)
  } catch (error) {
    if (!codeOf(error)?.startsWith('ERR_PARSE_ARGS_')) throw error
    throw new UsageError(messageOf(error).split('. ')[0])
  }
}

/** Bytes as people read them. */
export function sizeText(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)} MB`
  return `${Math.ceil(bytes / 1e3)} kB`
}
