import { createHash, randomBytes } from 'node:crypto'
import { readlinkSync, unlinkSync } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, readlink, realpath, rename, rm, stat, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { hasCode } from '../check/index.js'
import { isAlive } from '../provision/index.js'
import { checkTarget, writing } from './files.js'

/** Written in pieces of this size at most: one call of `write` takes less than 2 GiB. */
const PIECE = 256 * 1024 * 1024

/** Smaller chunks are put together to about so many bytes: a call for each of thousands takes seconds. */
const BLOCK = 1024 * 1024

/** Files that are being written by this thread. */
const underWay = new Set<string>()

/**
 * Writes a file so that, whatever happens and whenever the process or the machine stops, its name stands for either
 * the old content or all of the new: written under another name in the same folder, flushed to disk, renamed. Folders
 * are made. What processes that were killed have left in the folder goes.
 *
 * @param file where the content is to be
 * @param chunks the content, one piece behind the other
 * @throws TorchLearnerError `ERR_WRITE`
 */
export async function writeAside(file: string, chunks: Iterable<Uint8Array>): Promise<void> {
  await writing(file, async () => {
    const folder = dirname(file)
    await mkdir(folder, { recursive: true })
    await checkTarget(file)
    await clearAside(folder)
    await aside(file, async (name, handle) => {
      for (const block of blocks(chunks)) await writeAll(handle, block)
      await handle.sync()
      await rename(name, file)
    })
    await syncFolder(folder)
  })
}

/** Finds out whether {@link writeAside} could write `file`: fails as it would, and changes nothing. */
export async function probe(file: string): Promise<void> {
  await checkTarget(file)
  await aside(file, async name => await unlink(name))
}

/** Opens a new file beside `file` for `use`, and closes it; if that fails the new file is gone again. */
async function aside(file: string, use: (name: string, handle: FileHandle) => Promise<void>): Promise<void> {
  const name = join(dirname(file), asideName(basename(file)))
  if (underWay.size === 0) process.once('exit', removeAll)
  underWay.add(name)
  try {
    const handle = await open(name, 'wx')
    try {
      await use(name, handle)
    } finally {
      // only now: as long as it is open others see that it is being written
      await handle.close()
    }
  } catch (error) {
    // the first error is the one to tell of, also where removing is refused as well
    await rm(name, { force: true }).catch(() => undefined)
    throw error
  } finally {
    underWay.delete(name)
    if (underWay.size === 0) process.off('exit', removeAll)
  }
}

/** At the exit of a process, or of a worker, in the middle of writing. */
function removeAll(): void {
  for (const name of underWay) {
    try {
      unlinkSync(name)
    } catch {
      // it has its real name already, or isn't there yet; nobody is left to tell of anything else
    }
  }
}

/** Where process numbers mean the same: a machine, and in it a container. */
const place = createHash('sha256')
  .update(hostname() + pidNamespace())
  .digest('hex')
  .slice(0, 8)

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return '' // there are none on this system
  }
}

/** Short enough for whatever file it stands beside. */
function asideName(name: string): string {
  return `${name.slice(0, 40)}.torch-learner-${process.pid}-${place}-${randomBytes(4).toString('hex')}.tmp`
}

const ASIDE = /\.torch-learner-(\d+)-([0-9a-f]{8})-[0-9a-f]{8}\.tmp$/

/** The names of version 0.1, which say nothing of the place: it is taken for this one. */
const ASIDE_0_1 = /\.(?:safetensors|png|svg)\.(\d+)-[0-9a-f]{8}\.tmp$/i

/** How long a file that another machine, or another container, has left must have been untouched, in milliseconds. */
const FOREIGN = 10 * 60_000

/** Removes what processes that ended while they wrote a file have left in a folder. */
export async function clearAside(folder: string): Promise<void> {
  for (const name of await namesIn(folder)) {
    const [, pid, where = place] = ASIDE.exec(name) ?? ASIDE_0_1.exec(name) ?? []
    if (pid === undefined) continue
    const path = join(folder, name)
    const left = where === place ? !(await isWritten(path, Number(pid))) : await isOld(path)
    if (left) await rm(path, { force: true })
  }
}

async function isOld(path: string): Promise<boolean> {
  const modified = await modifiedAt(path)
  return modified !== null && Date.now() - modified > FOREIGN
}

async function modifiedAt(path: string): Promise<number | null> {
  return await stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => null, // gone in the meantime
  )
}

/** Whether someone may still be writing it: in containers a new process often has the number of the one before. */
async function isWritten(path: string, pid: number): Promise<boolean> {
  if (underWay.has(path)) return true
  if (pid !== process.pid && !isAlive(pid)) return false
  const open = await isOpen(path, pid)
  if (open !== null) return open
  if (pid !== process.pid) return true
  const modified = await modifiedAt(path)
  return modified !== null && modified >= Date.now() - process.uptime() * 1000
}

/** Whether a process has the file open; `null` where that can't be found out: on other systems, of other users. */
async function isOpen(path: string, pid: number): Promise<boolean | null> {
  try {
    const real = await realpath(path)
    const folder = `/proc/${pid}/fd`
    for (const name of await readdir(folder)) {
      const target = await readlink(join(folder, name)).catch(() => null) // closed in the meantime
      if (target === real) return true
    }
    return false
  } catch {
    return null
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}

/** The same bytes in fewer pieces. */
function* blocks(chunks: Iterable<Uint8Array>): Generator<Uint8Array> {
  let small: Uint8Array[] = []
  let bytes = 0
  for (const chunk of chunks) {
    if (bytes > 0 && bytes + chunk.byteLength > BLOCK) {
      yield Buffer.concat(small)
      small = []
      bytes = 0
    }
    if (chunk.byteLength >= BLOCK) yield chunk
    else {
      small.push(chunk)
      bytes += chunk.byteLength
    }
  }
  if (bytes > 0) yield Buffer.concat(small)
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
