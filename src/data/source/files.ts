import type { Dirent } from 'node:fs'
import { opendir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  checkOptions,
  flag,
  invalidArgument,
  list as listOf,
  strictObject,
  string,
  TorchLearnerError,
} from '../../check/index.js'
import { inTurns, sorted, takeTurns } from '../../files/index.js'
import { compareCodePoints } from '../labels/vocab.js'
import { PassedOver } from './picture-formats.js'

const schema = strictObject({
  recurse: flag.default(true),
  folders: listOf(string("a folder's name"), 'an array of names').optional(),
})

/** What of a folder is listed. */
export interface ImageFilesOptions {
  /** Look into subfolders too. Default true. */
  recurse?: boolean
  /** Only these subfolders of `path`; files of `path` itself only when `.` is among them. Default: everything. */
  folders?: readonly string[]
}

/**
 * The picture files of a folder, sorted folder by folder (so that a seeded split is the same on every machine), symbolic links
 * followed. Names that start with `.` are skipped, and so is what has none of the {@link imageExtensions}. Where pictures in formats that
 * can't be read (HEIC, JPEG XL, JPEG 2000, ICO, ...) are among those, one warning says how many.
 *
 * @returns their paths, each starting with `path`; empty when there are none
 * @throws TorchLearnerError `ERR_NOT_FOUND` when there is no such folder
 * @example const files = await getImageFiles('images')
 */
export async function getImageFiles(path: string, options: ImageFilesOptions = {}): Promise<string[]> {
  if (typeof path !== 'string' || path === '') throw invalidArgument('path', "a folder's path", path)
  const { recurse, folders } = checkOptions(schema, options, 'getImageFiles')
  const passedOver = new PassedOver()
  const wanted = (name: string, isFolder: boolean) => folders === undefined || folders.includes(isFolder ? name : '.')
  const files = await listImages(path, passedOver, recurse, wanted)
  passedOver.warn(path)
  return files
}

type Wanted = (name: string, isFolder: boolean) => boolean

/** What {@link listImages} has found. */
interface Listing {
  readonly files: string[]
  readonly passedOver: PassedOver
  readonly recurse: boolean
}

/** The same, but the caller tells of what was passed over. */
export async function listImages(
  path: string,
  passedOver: PassedOver,
  recurse = true,
  wanted: Wanted = () => true,
): Promise<string[]> {
  const listing = { files: [], passedOver, recurse }
  await list(path, listing, wanted, new Set())
  return listing.files
}

async function list(folder: string, listing: Listing, wanted: Wanted, above: ReadonlySet<string>) {
  const { dev, ino } = await folderStat(folder)
  const identity = `${dev}:${ino}`
  if (above.has(identity)) return // a link back to a folder that we are in
  const found: { name: string; isFolder: boolean }[] = []
  // read in pieces: a folder of a million files must not hold the event loop
  const opened = await opendir(folder, { bufferSize: 512 }).catch(error => cannotList(folder, error))
  for await (const entry of opened) {
    if (entry.name.startsWith('.')) continue
    const kind = await kindOf(folder, entry)
    if (kind === 'folder' && listing.recurse && wanted(entry.name, true))
      found.push({ name: entry.name, isFolder: true })
    if (kind === 'file' && wanted(entry.name, false) && listing.passedOver.admits(entry.name)) {
      found.push({ name: entry.name, isFolder: false })
    }
  }
  const entries = await inTurns(sorted(found, (a, b) => compareCodePoints(a.name, b.name)))
  const path = new Set([...above, identity])
  const prefix = join(folder, '_').slice(0, -1) // join takes its time: once for all files
  const turn = takeTurns()
  for (const { name, isFolder } of entries) {
    if (isFolder) await list(prefix + name, listing, () => true, path)
    else listing.files.push(prefix + name)
    const wait = turn()
    if (wait) await wait
  }
}

async function folderStat(folder: string) {
  const found = await stat(folder).catch(error => cannotList(folder, error))
  if (found.isDirectory()) return found
  throw new TorchLearnerError('ERR_NOT_FOUND', `Cannot list the pictures of ${folder}: it is a file, not a folder`)
}

function cannotList(folder: string, cause: NodeJS.ErrnoException): never {
  const reason = cause.code === 'ENOENT' ? 'there is no such folder' : cause.message
  throw new TorchLearnerError('ERR_NOT_FOUND', `Cannot list the pictures of ${folder}: ${reason}`, { cause })
}

async function kindOf(folder: string, entry: Dirent): Promise<'file' | 'folder' | 'other'> {
  if (entry.isFile()) return 'file'
  if (entry.isDirectory()) return 'folder'
  if (!entry.isSymbolicLink()) return 'other'
  const target = await stat(join(folder, entry.name)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ELOOP') return undefined // the link leads nowhere
    throw error
  })
  if (target?.isFile()) return 'file'
  return target?.isDirectory() ? 'folder' : 'other'
}
