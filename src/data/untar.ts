import { createHash, randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, join } from 'node:path'
import * as tar from 'tar'
import { z } from 'zod'
import { fetchFile } from '../../scripts/fetch-file.mjs'
import { invalidArgument, TorchLearnerError } from '../native/index.js'
import { checkOptions } from './options.js'
import { checksums } from './urls.js'

const milliseconds = z.int({ error: 'a whole number from 1' }).min(1, { error: 'a whole number from 1' }).optional()
const Options = z.strictObject({
  home: z.string({ error: "a folder's path" }).min(1, { error: "a folder's path" }).optional(),
  force: z.boolean({ error: 'true or false' }).default(false),
  connectTimeout: milliseconds,
  idleTimeout: milliseconds,
})

/** Where {@link untarData} puts what it fetches, and how long it waits. */
export interface UntarDataOptions {
  /** Archives go to `archive` in it, what is in them to `data`. Default: `FASTAI_HOME`, else `.fastai` in the user's home. */
  home?: string
  /** Fetch and unpack again what is there already. Default false. */
  force?: boolean
  /** Milliseconds until the server has answered, and without a byte from it. Default 10,000 and 30,000. */
  connectTimeout?: number
  idleTimeout?: number
}

/**
 * Fetches a data set and unpacks it, unless that has been done before; as fastai's `untar_data`, whose folders it shares. The
 * progress goes to stderr. A broken download is gone on with by the next call; known archives ({@link URLs}) are checked; the folder
 * is there whole or not at all.
 *
 * @param url of a `.tgz`, `.tar.gz` or `.tar` archive
 * @returns the data set's folder
 * @throws TorchLearnerError `ERR_DOWNLOAD` when it can't be fetched or isn't what it should be; `ERR_FILE_FORMAT` for a damaged
 * archive and for one with paths or links that lead out of it
 * @example const path = await untarData(URLs.PETS)
 */
export async function untarData(url: string, options: UntarDataOptions = {}): Promise<string> {
  const name = archiveName(url)
  const { home = dataHome(process.env), force, ...timeouts } = checkOptions(Options, options, 'untarData')
  const stem = name.replace(/\.(tgz|tar\.gz|tar)$/i, '')
  const folder = join(home, 'data', stem)
  const archive = join(home, 'archive', name)
  if (force) await rm(archive, { force: true })
  else if (await exists(folder)) return folder
  await fetchArchive(url, archive, { ...timeouts, title: stem })
  await unpack(archive, folder, url)
  return folder
}

function archiveName(url: string): string {
  const valid = typeof url === 'string' && URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)
  const name = valid ? basename(decodeURIComponent(new URL(url).pathname)) : ''
  if (/^[^\\/\0]+\.(tgz|tar\.gz|tar)$/i.test(name) && !name.startsWith('.')) return name
  throw invalidArgument('url', 'the http or https URL of a .tgz, .tar.gz or .tar archive', url)
}

function dataHome(env: NodeJS.ProcessEnv): string {
  return (env.FASTAI_HOME || '~/.fastai').replace(/^~(?=\/|$)/, homedir())
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false
      throw error
    },
  )
}

interface FetchOptions {
  title: string
  connectTimeout?: number
  idleTimeout?: number
}

async function fetchArchive(url: string, archive: string, options: FetchOptions): Promise<void> {
  try {
    await fetchFile(url, archive, file => checkArchive(file, url), options)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new TorchLearnerError(
      'ERR_DOWNLOAD',
      `${options.title} could not be fetched from ${url}: ${reason}. Without a network, put the archive there by hand: ${archive}`,
      { cause },
    )
  }
}

/** @internal Whether an archive of {@link URLs} is the published one; others pass. */
export async function checkArchive(file: string, url: string): Promise<void> {
  const expected = checksums.get(url)
  if (expected === undefined) return
  const { size } = await stat(file)
  if (size !== expected.size) throw new Error(`it has ${size} bytes instead of ${expected.size}`)
  const handle = await open(file)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2 ** 20))
    const md5 = createHash('md5').update(buffer.subarray(0, bytesRead)).digest('hex')
    if (md5 !== expected.md5) throw new Error(`the MD5 of its first MiB is ${md5} instead of ${expected.md5}`)
  } finally {
    await handle.close()
  }
}

/** Aside, then renamed: whoever sees the folder sees all of it. */
async function unpack(archive: string, folder: string, url: string): Promise<void> {
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
  const filter = (path: string, entry: object) => {
    const kind = 'type' in entry ? entry.type : 'unknown'
    const plain = kind === 'File' || kind === 'OldFile' || kind === 'ContiguousFile' || kind === 'Directory'
    const inside = !/^([\\/]|[a-z]:)/i.test(path) && !path.split(/[\\/]/).includes('..')
    if (!plain || !inside) refused.push(inside ? `${path}, which is a ${kind}` : path)
    return plain && inside && refused.length === 0
  }
  try {
    // modes and owners of the archive's maker mean nothing here
    await tar.extract({ file: archive, cwd: into, strict: true, filter, noChmod: true, preserveOwner: false })
    if (refused.length > 0) throw new Error(`it holds ${refused[0]}: neither links nor paths out of it are unpacked`)
    if ((await readdir(into)).length === 0) throw new Error('it is empty')
  } catch (cause) {
    // else the next call would meet it again
    await rm(archive, { force: true })
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new TorchLearnerError('ERR_FILE_FORMAT', `The archive of ${url} can't be unpacked: ${reason}`, { cause })
  }
}

/** The archive's one folder at the top, or what it unpacked to when it has not just that. */
async function contentOf(aside: string): Promise<string> {
  const entries = await readdir(aside, { withFileTypes: true })
  return entries.length === 1 && entries[0].isDirectory() ? join(aside, entries[0].name) : aside
}

async function replace(content: string, folder: string): Promise<void> {
  const old = `${content}-old`
  await rename(folder, old).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  await rename(content, folder).catch((error: NodeJS.ErrnoException) => {
    // another process has just done the same
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
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
