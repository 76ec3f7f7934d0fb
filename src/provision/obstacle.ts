import { accessSync, constants, statSync } from 'node:fs'
import { codeOf, messageOf } from '../check/index.js'

export const ABSENT = 'does not exist'

/** Why a file or folder can't be read, as the sentence about its path goes on (`does not exist`, ...); null when it can. */
export function obstacle(path: string): string | null {
  try {
    const need = statSync(path).isDirectory() ? constants.R_OK | constants.X_OK : constants.R_OK
    accessSync(path, need)
    return null
  } catch (error) {
    return reasonOf(error)
  }
}

/** Why nothing can be written to a folder that exists, likewise. */
export function obstacleToWriting(folder: string): string | null {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK)
    return null
  } catch (error) {
    if (codeOf(error) === 'EROFS') return 'is on a file system that is mounted read-only'
    return reasonOf(error).replace('be read', 'be written')
  }
}

function reasonOf(error: unknown): string {
  switch (codeOf(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return ABSENT
    case 'EACCES':
    case 'EPERM':
      return `may not be read by this user${process.getuid ? ` (${process.getuid()})` : ''}`
    default:
      return `can't be read: ${messageOf(error)}`
  }
}
