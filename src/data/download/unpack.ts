import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { codeOf, messageOf, TorchLearnerError } from '../../check/index.js'
import { exists } from '../../files/index.js'
import { unzip, type ZipEntry } from '../../provision/index.js'
import { ArchiveError, Extraction, LimitError, type Limits } from './extraction.js'
import { type FileKind, fileKind, KIND_BYTES } from './file-kind.js'
import { readTar } from './read-tar.js'

/** What unpacking may come to, unless the caller says otherwise: in proportion to the archive, with room for small ones. */
function limitsFor(size: number, { maxBytes, maxEntries }: Partial<Limits>): Limits {
  return {
    maxBytes: maxBytes ?? Math.max(2 ** 30, 20 * size),
    maxEntries: maxEntries ?? Math.max(100_000, Math.ceil(size / 20)),
  }
}

/** Unpacks aside, then renames: whoever sees the folder sees all of it. The caller holds the folder's lock. */
export async function unpack(archive: string, folder: string, url: string, limits: Partial<Limits>): Promise<void> {
  const prefix = `${folder}.unpacking-`
  await removeRemains(prefix)
  const aside = `${prefix}${process.pid}-${randomUUID().slice(0, 8)}`
  await mkdir(aside, { recursive: true })
  try {
    await extract(archive, aside, url, limits)
    await replace(await contentOf(aside), folder)
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
}

async function extract(archive: string, into: string, url: string, limits: Partial<Limits>): Promise<void> {
  try {
    const { size } = await stat(archive)
    const kind = await archiveKind(archive)
    const extraction = new Extraction(into, limitsFor(size, limits))
    try {
      if (kind === 'zip') await unzip(archive, entry => takeZipEntry(extraction, entry))
      else await readTar(archive, kind === 'gzip', extraction)
    } finally {
      await extraction.end()
    }
    if ((await readdir(into)).length === 0) throw new ArchiveError('it is empty')
  } catch (cause) {
    const reason = messageOf(cause)
    if (isDisk(cause)) {
      throw new TorchLearnerError('ERR_DOWNLOAD', `The archive ${archive} can't be unpacked: ${reason}`, { cause })
    }
    // else the next call would meet it again
    if (!(cause instanceof LimitError)) await rm(archive, { force: true })
    throw new TorchLearnerError('ERR_FILE_FORMAT', `The archive of ${url} can't be unpacked: ${reason}`, { cause })
  }
}

async function takeZipEntry(into: Extraction, { path, kind, size, mode, content }: ZipEntry): Promise<void> {
  into.admit(path, kind)
  into.count(size)
  if (kind === 'Directory') await into.makeFolder(path)
  else {
    const file = await into.openFile(path, size, mode)
    for await (const chunk of content) await file.write(chunk)
    await file.end()
  }
}

const REMEDIES: Partial<Record<FileKind, string>> = {
  html: 'the address may need a login or lead to a page with a link: give that of the file itself',
  json: 'it may be an error of the server: give the address of the file itself',
  xml: 'it may be an error of the server: give the address of the file itself',
  lfs: 'give the address of the file itself',
}

/** By its first bytes, whatever its name says. */
async function archiveKind(archive: string): Promise<'zip' | 'gzip' | 'tar'> {
  const handle = await open(archive)
  const head = Buffer.alloc(KIND_BYTES)
  const { bytesRead } = await handle.read(head, 0, KIND_BYTES, 0).finally(() => handle.close())
  if (bytesRead === 0) throw new ArchiveError('it has no bytes')
  const seen = fileKind(head.subarray(0, bytesRead))
  if (seen?.kind === 'zip' || seen?.kind === 'gzip') return seen.kind
  if (seen === undefined || seen.kind === 'tar') return 'tar'
  const remedy = REMEDIES[seen.kind] ?? 'only .tar, .tgz and .zip are unpacked: unpack it yourself, and use that folder'
  throw new ArchiveError(`it is ${seen.name}, and not such an archive: ${remedy}`)
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
    'ENAMETOOLONG',
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
  await rename(content, folder).catch(async error => {
    if (await exists(old)) await rename(old, folder)
    throw error
  })
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

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
