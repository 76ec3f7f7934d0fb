import { stat } from 'node:fs/promises'
import { codeOf, hasCode, invalidArgument, messageOf, TorchLearnerError } from '../check/index.js'

/** The code of an error of the system (`ENOSPC`), `null` for other errors. */
function systemCode(error: unknown): string | null {
  return typeof Reflect.get(Object(error), 'syscall') === 'string' ? (codeOf(error) ?? null) : null
}

/** Checks a path that a user gave. */
export function checkFile(file: unknown, name = 'file'): asserts file is string {
  if (typeof file !== 'string' || file === '' || file.includes('\0')) throw invalidArgument(name, 'a path', file)
}

/** Whether there is a file or folder of that path; throws where the system can't tell. */
export async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false
      throw error
    },
  )
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota of disk space is used up',
  EFBIG: 'the file would be larger than is allowed',
  EROFS: 'the file system is read-only',
  EACCES: 'this is not permitted',
  EPERM: 'this is not permitted',
  EIO: 'the disk reports an error',
  ENOTDIR: 'a part of its path is a file',
  EISDIR: 'it is a folder',
  ENAMETOOLONG: 'its name is too long',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open',
}

function reasonOf(error: unknown, code: string): string {
  return `${REASONS[code] ?? messageOf(error)} (${code})`
}

/**
 * Runs `write`, which makes `file`: what the system complains of comes out as an `ERR_WRITE` that names it.
 *
 * @param what it is: `The checkpoint`
 * @param remedy a sentence for the end of the message
 */
export async function writing<T>(file: string, write: () => Promise<T>, what = 'The file', remedy = ''): Promise<T> {
  try {
    return await write()
  } catch (error) {
    // what has been reported already, by someone who knew less of the file
    const known = error instanceof TorchLearnerError && error.code === 'ERR_WRITE' && error.cause !== undefined
    const cause = known ? error.cause : error
    const code = systemCode(cause)
    if (code === null) throw error
    const message = `${what} ${file} can't be written: ${reasonOf(cause, code)}`
    throw new TorchLearnerError('ERR_WRITE', remedy === '' ? message : `${message}. ${remedy}`, { cause })
  }
}

/** Runs `read`, which reads `file`: what the system complains of comes out as an `ERR_NOT_FOUND` that names it. */
export async function reading<T>(file: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    const code = systemCode(error)
    if (code === null) throw error
    const message = code === 'ENOENT' ? `There is no file ${file}` : `${file} can't be read: ${reasonOf(error, code)}`
    throw new TorchLearnerError('ERR_NOT_FOUND', message, { cause: error })
  }
}

/**
 * Refuses what can't be written as a file is: a folder; a device, which a file would replace; a pipe, which would wait for
 * someone to read it.
 *
 * @returns whether there is a file already
 */
export async function checkTarget(file: string): Promise<boolean> {
  const found = await stat(file).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return null
    throw error
  })
  if (found === null || found.isFile()) return found !== null
  const what = found.isDirectory() ? 'a folder' : 'a device or a pipe'
  throw new TorchLearnerError('ERR_WRITE', `The file ${file} can't be written: ${what} has that name. Choose another`)
}
