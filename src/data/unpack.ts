import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import * as tar from 'tar'
import { unzip } from '../../scripts/unzip.mjs'
import { codeOf, messageOf, TorchLearnerError } from '../native/index.js'

/** Unpacks aside, then renames: whoever sees the folder sees all of it. The caller holds the folder's lock. */
export async function unpack(archive: string, folder: string, url: string): Promise<void> {
  const prefix = `${folder}.unpacking-`
  await removeRemains(prefix)
  const aside = `${prefix}${process.pid}-${randomUUID().slice(0, 8)}`
  await mkdir(aside, { recursive: true })
  try {
    await extract(archive, aside, url)
    await replace(await contentOf(aside), folder)
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
}

async function extract(archive: string, into: string, url: string): Promise<void> {
  const refused: string[] = []
  const wanted = (path: string, kind: string) => {
    const plain = kind === 'File' || kind === 'OldFile' || kind === 'ContiguousFile' || kind === 'Directory'
    const inside = !/^([\\/]|[a-z]:)/i.test(path) && !path.split(/[\\/]/).includes('..')
    if (!plain || !inside) refused.push(inside ? `${path}, which is a ${kind}` : path)
    return plain && inside && refused.length === 0
  }
  const filter = (path: string, entry: object) => wanted(path, 'type' in entry ? String(entry.type) : 'unknown')
  try {
    if (/\.zip$/i.test(archive)) await unzip(archive, into, wanted)
    // modes and owners of the archive's maker mean nothing here
    else await tar.extract({ file: archive, cwd: into, strict: true, filter, noChmod: true, preserveOwner: false })
    if (refused.length > 0) throw new Error(`it holds ${refused[0]}: neither links nor paths out of it are unpacked`)
    if ((await readdir(into)).length === 0) throw new Error('it is empty')
  } catch (cause) {
    const reason = messageOf(cause)
    if (isDisk(cause)) {
      throw new TorchLearnerError('ERR_DOWNLOAD', `The archive ${archive} can't be unpacked: ${reason}`, { cause })
    }
    // else the next call would meet it again
    await rm(archive, { force: true })
    throw new TorchLearnerError('ERR_FILE_FORMAT', `The archive of ${url} can't be unpacked: ${reason}`, { cause })
  }
}

/** The disk's fault and not the archive's. */
export function isDisk(error: unknown): boolean {
  const code = codeOf(error) ?? ''
  return [
    'ENOSPC',
    'EDQUOT',
    'EACCES',
    'EPERM',
    'EROFS',
    'EIO',
    'EMFILE',
    'ENFILE',
    'ENOTDIR',
    'EEXIST',
    'EISDIR',
  ].includes(code)
}

/** Beside what a data set consists of, macOS packs what its Finder knows of it. */
const REMARKS = /^(\._.*|\.DS_Store|__MACOSX)$/

/** The archive's one folder at the top, or what it unpacked to when it has not just that. */
async function contentOf(aside: string): Promise<string> {
  const entries = (await readdir(aside, { withFileTypes: true })).filter(({ name }) => !REMARKS.test(name))
  return entries.length === 1 && entries[0].isDirectory() ? join(aside, entries[0].name) : aside
}

async function replace(content: string, folder: string): Promise<void> {
  const old = `${content}-old`
  await rename(folder, old).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  await rename(content, folder)
  await rm(old, { recursive: true, force: true })
}

/** What processes that were killed while unpacking left. */
async function removeRemains(prefix: string): Promise<void> {
  const parent = join(prefix, '..')
  const start = basename(prefix)
  for (const name of (await exists(parent)) ? await readdir(parent) : []) {
    const pid = name.startsWith(start) ? Number.parseInt(name.slice(start.length), 10) : Number.NaN
    if (Number.isInteger(pid) && !isAlive(pid)) await rm(join(parent, name), { recursive: true, force: true })
  }
}

export async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false
      throw error
    },
  )
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
