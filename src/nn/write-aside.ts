import { randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { hasCode } from '../native/index.js'

/** Written in pieces of this size at most: one call of `write` takes less than 2 GiB. */
const PIECE = 256 * 1024 * 1024

/** Files that are being written by this thread. */
const underWay = new Set<string>()

/**
 * Writes a file so that, whatever happens and whenever the process or the machine stops, its name stands for either
 * the old content or all of the new: written under another name in the same folder, flushed to disk, renamed. Folders
 * are made.
 *
 * @param file where the content is to be
 * @param chunks the content, one piece behind the other
 */
export async function writeAside(file: string, chunks: Iterable<Uint8Array>): Promise<void> {
  const folder = dirname(file)
  await mkdir(folder, { recursive: true })
  await clearAside(file)
  await aside(file, async (name, handle) => {
    try {
      for (const chunk of chunks) await writeAll(handle, chunk)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(name, file)
  })
  await syncFolder(folder)
}

/** Finds out whether {@link writeAside} could write `file`: fails as it would, and changes nothing. */
export async function probe(file: string): Promise<void> {
  await aside(file, async (name, handle) => {
    await handle.close()
    await unlink(name)
  })
}

/** Opens a new file beside `file` for `use`, which closes it; if that fails the new file is gone again. */
async function aside(file: string, use: (name: string, handle: FileHandle) => Promise<void>): Promise<void> {
  const name = `${file}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`
  underWay.add(name)
  try {
    await use(name, await open(name, 'wx'))
  } catch (error) {
    // the first error is the one to tell of, also where removing is refused as well
    await rm(name, { force: true }).catch(() => undefined)
    throw error
  } finally {
    underWay.delete(name)
  }
}

/** Removes what processes that were killed while they wrote `file` have left beside it. */
export async function clearAside(file: string): Promise<void> {
  const folder = dirname(file)
  for (const name of await namesIn(folder)) {
    const pid = /^\.(\d+)-[0-9a-f]{8}\.tmp$/.exec(name.slice(basename(file).length))?.[1]
    if (pid === undefined || !name.startsWith(basename(file))) continue
    const path = join(folder, name)
    if (await isWritten(path, Number(pid))) continue
    await rm(path, { force: true })
  }
}

/** Whether somebody may still be writing it. In containers a new process often has the number of the one before. */
async function isWritten(path: string, pid: number): Promise<boolean> {
  if (pid !== process.pid) return isAlive(pid)
  if (underWay.has(path)) return true
  const born = Date.now() - process.uptime() * 1000
  const modified = await stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => born, // gone in the meantime
  )
  return modified >= born
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // somebody else's process can't be signalled and is alive all the same
    return hasCode(error, 'EPERM')
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  let done = 0
  while (done < chunk.byteLength) {
    const { bytesWritten } = await handle.write(chunk, done, Math.min(PIECE, chunk.byteLength - done))
    done += bytesWritten
  }
}

/** A rename is on disk when its folder is. Windows has no way to flush a folder. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
