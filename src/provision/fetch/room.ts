// Is there room on the disk, and what to say when there isn't.
import { existsSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { hasCode, messageOf } from '../../check/index.js'

/** A disk that is full, or too full for what is to be written. */
export class NoRoomError extends Error {
  /** As the system's own error has it. */
  readonly code = 'ENOSPC'
}

function sizeText(bytes: number): string {
  if (bytes < 100e3) return `${Math.ceil(bytes / 1e3)} kB`
  return bytes < 10e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.ceil(bytes / 1e6)} MB`
}

/** What to do about it. @param variable of the environment, that puts the folder elsewhere */
const remedy = (variable: string | undefined) =>
  `Make room there${variable === undefined ? '' : `, or set ${variable} to a folder on another disk`}`

/** How many bytes this process may still write to a folder, which need not exist yet. Infinity where that isn't known. */
export function freeBytes(folder: string): number {
  let existing = folder
  while (!existsSync(existing) && existing !== dirname(existing)) existing = dirname(existing)
  const { blocks, bavail, bsize } = statfsSync(existing)
  // some network file systems don't count
  return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize
}

/**
 * Throws when a folder's disk has less room than that.
 *
 * @param bytes that are still to be written
 * @param what it is for
 */
export function checkRoom(folder: string, bytes: number, what: string, variable?: string): void {
  const free = freeBytes(folder)
  if (free >= bytes) return
  throw new NoRoomError(
    `there is no room for ${what} in ${folder}: it takes ${sizeText(bytes)}, and ${sizeText(free)} are free. ${remedy(variable)}`,
  )
}

/** Whether something failed because the disk, or the user's share of it, is full. */
export const isFull = (error: unknown): boolean => hasCode(error, 'ENOSPC') || hasCode(error, 'EDQUOT')

/** The error for a disk that became full while something was written. @param needed bytes in all, if that is known */
export function ranFull(
  error: unknown,
  { folder, what, needed, variable }: { folder: string; what: string; needed?: number; variable?: string },
): NoRoomError {
  if (error instanceof NoRoomError) return error
  const takes = needed === undefined ? '' : `, which takes ${sizeText(needed)},`
  const message = `the disk became full while ${what}${takes} was written to ${folder} (${messageOf(error)})`
  return new NoRoomError(`${message}. ${remedy(variable)}`, { cause: error })
}
