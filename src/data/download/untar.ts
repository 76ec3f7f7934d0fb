import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import {
  checkOptions,
  count,
  field,
  flag,
  func,
  invalidArgument,
  messageOf,
  strictObject,
  TorchLearnerError,
  text,
} from '../../check/index.js'
import { exists } from '../../files/index.js'
import { datasetsFolder, fetchFile, withLock } from '../../provision/index.js'
import { ENDING, Places } from './address.js'
import { isDisk, unpack } from './unpack.js'
import { checksums } from './urls.js'

const Options = strictObject({
  home: text("a folder's path").optional(),
  force: flag.default(false),
  sha256: field<string>(
    'a SHA-256 in hexadecimal, or 8 of its first digits or more,',
    value => typeof value === 'string' && /^[0-9a-f]{8,64}$/i.test(value),
  ).optional(),
  connectTimeout: count.optional(),
  idleTimeout: count.optional(),
  maxBytes: count.optional(),
  maxEntries: count.optional(),
  onProgress: func<(bytes: number, total: number | null) => void>().optional(),
})

/** Where {@link untarData} puts what it fetches, and how long it waits. */
export interface UntarDataOptions {
  /** Archives go to `archive` in it, what is in them to `data`. Default: `FASTAI_HOME`, else `.fastai` in the user's home. */
  home?: string
  /** Fetch and unpack again what is there already. Default false. */
  force?: boolean
  /** What the archive's SHA-256 must be, or its first digits (8 at least). Those of {@link URLs} are known. */
  sha256?: string
  /** Milliseconds until the server has answered, and without a byte from it. Default 10,000 and 30,000. */
  connectTimeout?: number
  idleTimeout?: number
  /** What the archive may unpack to, in bytes. Default: 1 GiB, or 20 times the archive's size if that is more. */
  maxBytes?: number
  /** How many files and folders it may hold. Default: 100,000, or one for 20 bytes of the archive if that is more. */
  maxEntries?: number
  /** Called with the bytes so far and of all bytes (null when the server doesn't say). Default: lines on stderr. */
  onProgress?: (bytes: number, total: number | null) => void
}

/**
 * Fetches a data set and unpacks it, unless that has been done before; as fastai's `untar_data`, whose folders it shares. The
 * progress goes to stderr. A broken download is gone on with by the next call; known archives ({@link URLs}) are checked; the folder
 * is there whole or not at all, however many processes ask for it at the same time.
 *
 * The folder has the archive's name. Another address that ends in the same name gets a folder of its own, with eight digits behind it.
 * What the archive is decides how it is unpacked, not its name.
 *
 * @param url of a `.tgz`, `.tar.gz`, `.tar` or `.zip` archive
 * @returns the data set's folder
 * @throws TorchLearnerError `ERR_DOWNLOAD` when it can't be fetched or stored or isn't what it should be; `ERR_FILE_FORMAT` for a damaged
 * archive, for what is none (a web page), for one with links, devices or paths that lead out of it, and for one beyond `maxBytes` or
 * `maxEntries`
 * @example const path = await untarData(URLs.PETS)
 */
export async function untarData(url: string, options: UntarDataOptions = {}): Promise<string> {
  const name = archiveName(url)
  const {
    home = datasetsFolder(),
    force,
    maxBytes,
    maxEntries,
    ...fetching
  } = checkOptions(Options, options, 'untarData')
  const title = name.replace(ENDING, '')
  const places = new Places(home, url, name)
  const stored = <T>(work: Promise<T>) =>
    work.catch(cause => {
      if (cause instanceof TorchLearnerError) throw cause
      throw new TorchLearnerError('ERR_DOWNLOAD', `${title} can't be stored in ${home}: ${messageOf(cause)}`, { cause })
    })
  const known = await stored(places.find())
  if (!force && known && (await exists(known.folder))) return known.folder
  const data = join(home, 'data')
  await stored(mkdir(data, { recursive: true }))
  const place = known ?? (await stored(withLock(join(data, `.${title}.source.lock`), () => places.claim())))
  const { folder, archive } = place
  const work = async () => {
    if (force) await rm(archive, { force: true })
    else if (await exists(folder)) return folder // another process has just made it
    try {
      await fetchArchive(url, archive, { ...fetching, title })
      await unpack(archive, folder, url, { maxBytes, maxEntries })
    } catch (error) {
      await places.release(place)
      throw error
    }
    return folder
  }
  return await stored(withLock(`${folder}.lock`, work))
}

function archiveName(url: string): string {
  const expected = 'the http or https URL of a .tgz, .tar.gz, .tar or .zip archive'
  const valid = typeof url === 'string' && URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)
  const name = valid ? basename(decoded(new URL(url).pathname)) : ''
  if (ENDING.test(name) && !/[\\/\0]/.test(name) && !name.startsWith('.')) return name
  const other = /\.(bz2|tbz2?|xz|txz|zst|7z|rar|gz)$/i.exec(name)?.[1]
  const hint = other && `A .${other} file isn't unpacked here: fetch and unpack it yourself, and use that folder`
  throw invalidArgument('url', expected, url, hint)
}

/** With its %-sequences resolved, where they are text. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path // a URIError: there is no other
  }
}

type FetchOptions = Omit<UntarDataOptions, 'home' | 'force' | 'maxBytes' | 'maxEntries'> & { title: string }

async function fetchArchive(url: string, archive: string, { sha256, ...options }: FetchOptions): Promise<void> {
  try {
    // one that was put there by hand is taken as it is, unless the caller knows better
    if (await exists(archive)) return await checkSha256(archive, sha256)
    const check = async (file: string) => {
      await checkArchive(file, url)
      await checkSha256(file, sha256)
    }
    await fetchFile(url, archive, check, { ...options, variable: 'FASTAI_HOME' })
  } catch (cause) {
    const reason = messageOf(cause)
    const message = isDisk(cause)
      ? `${options.title} can't be stored as ${archive}: ${reason}`
      : `${options.title} could not be fetched from ${url}: ${reason}. Without a network, put the archive there by hand: ${archive}`
    throw new TorchLearnerError('ERR_DOWNLOAD', message, { cause })
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

async function checkSha256(file: string, expected?: string): Promise<void> {
  if (expected === undefined) return
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file)) hash.update(chunk)
  const actual = hash.digest('hex')
  if (!actual.startsWith(expected.toLowerCase()))
    throw new Error(`the SHA-256 of ${file} is ${actual} instead of ${expected}`)
}
