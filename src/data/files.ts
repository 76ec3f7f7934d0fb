import type { Dirent } from 'node:fs'
import { opendir, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { z } from 'zod'
import { invalidArgument, TorchLearnerError } from '../native/index.js'
import { checkOptions } from './options.js'
import { compareCodePoints } from './vocab.js'

/** Extensions of picture files, lower case, with the dot. Not all can be decoded: what can't says so when it is opened. */
export const imageExtensions: ReadonlySet<string> = new Set(
  (
    '.apng .avif .bmp .dib .gif .heic .heif .ico .j2k .jfif .jp2 .jpe .jpeg .jpg .jxl .pbm .pcx .pgm .pjpeg .png ' +
    '.pnm .ppm .svg .svgz .tif .tiff .webp .xbm .xpm'
  ).split(' '),
)

const schema = z.strictObject({
  recurse: z.boolean({ error: 'true or false' }).default(true),
  folders: z
    .array(z.string({ error: "a folder's name" }), { error: 'an array of names' })
    .readonly()
    .optional(),
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
 * followed. Names that start with `.` are skipped, and so is what has no picture's extension.
 *
 * @returns their paths, each starting with `path`; empty when there are none
 * @throws TorchLearnerError `ERR_NOT_FOUND` when there is no such folder
 * @example const files = await getImageFiles('images')
 */
export async function getImageFiles(path: string, options: ImageFilesOptions = {}): Promise<string[]> {
  if (typeof path !== 'string' || path === '') throw invalidArgument('path', "a folder's path", path)
  const { recurse, folders } = checkOptions(schema, options, 'getImageFiles')
  const files: string[] = []
  const wanted = (name: string, isFolder: boolean) => folders === undefined || folders.includes(isFolder ? name : '.')
  await list(path, files, recurse, wanted, new Set())
  return files
}

type Wanted = (name: string, isFolder: boolean) => boolean

async function list(folder: string, files: string[], recurse: boolean, wanted: Wanted, above: ReadonlySet<string>) {
  const { dev, ino } = await folderStat(folder)
  const identity = `${dev}:${ino}`
  if (above.has(identity)) return // a link back to a folder that we are in
  const entries: { name: string; isFolder: boolean }[] = []
  // read in pieces: a folder of a million files must not hold the event loop
  const opened = await opendir(folder, { bufferSize: 512 }).catch(error => cannotList(folder, error))
  for await (const entry of opened) {
    if (entry.name.startsWith('.')) continue
    const kind = await kindOf(folder, entry)
    if (kind === 'folder' && recurse && wanted(entry.name, true)) entries.push({ name: entry.name, isFolder: true })
    if (kind === 'file' && wanted(entry.name, false) && imageExtensions.has(extname(entry.name).toLowerCase())) {
      entries.push({ name: entry.name, isFolder: false })
    }
  }
  entries.sort((a, b) => compareCodePoints(a.name, b.name))
  const path = new Set([...above, identity])
  for (const { name, isFolder } of entries) {
    if (isFolder) await list(join(folder, name), files, recurse, () => true, path)
    else files.push(join(folder, name))
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
