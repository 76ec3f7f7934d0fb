import { randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Written in pieces of this size at most: one call of `write` takes less than 2 GiB. */
const PIECE = 256 * 1024 * 1024

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
  const aside = `${file}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`
  const handle = await open(aside, 'wx')
  try {
    try {
      for (const chunk of chunks) await writeAll(handle, chunk)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(aside, file)
  } catch (error) {
    await unlink(aside)
    throw error
  }
  await syncFolder(folder)
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
