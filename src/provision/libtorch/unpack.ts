// Puts a libtorch into the cache: of an official archive (wheel: torch/..., zip: libtorch/...) or a folder what the addon needs,
// and nothing else: a third of the files, none of the Python.
import { createWriteStream } from 'node:fs'
import { copyFile, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Entry } from 'yauzl'
import { checkRoom, isFull, ranFull } from '../fetch/room.js'
import { hashOf } from '../records.js'
import { inspect, type Libtorch } from './find.js'
import { STAMP, type Stamp } from './records.js'
import { baseVersion, VERSION } from './release.js'

const LIBRARIES = [
  /^lib\/lib(c10|torch|torch_cpu|c10_cuda|torch_cuda|torch_cuda_linalg)\.so$/,
  // newer wheels give their own libraries a hash in the name
  /^lib\/libgomp[^/]*\.so[^/]*$/,
]
const HEADERS = /^include\//
/** Where a version is read without headers. */
const VERSIONS = /^(version\.py|build-version|build-hash|LICENSE|NOTICE)$/

/**
 * Where an entry goes, or null to leave it out.
 *
 * @param name in the archive
 * @param headers whether those are wanted
 */
export function targetOf(name: string, headers = true): string | null {
  if (name.endsWith('/')) return null
  const licence = /^torch-[^/]+\.dist-info\/(?:licenses\/)?((?:LICENSE|NOTICE|third_party\/).*)$/.exec(name)?.[1]
  if (licence) return join('licenses', licence)
  const inside = /^(?:torch|libtorch)\/(.*)$/.exec(name)?.[1]
  if (inside === undefined) return null
  const wanted = [...LIBRARIES, VERSIONS, ...(headers ? [HEADERS] : [])]
  // the version stands in a header, and in files that not every archive has
  return wanted.some(pattern => pattern.test(inside)) || VERSION_HEADER.test(inside) ? inside : null
}

const VERSION_HEADER = /^include\/torch\/(headeronly|csrc\/api\/include\/torch)\/version\.h$/

/** What is unpacked, and where it is to go. */
export interface Unpacking {
  /** The folder, which is replaced. */
  readonly target: string
  /** For the stamp: where it came from. */
  readonly source: string
  readonly headers: boolean
}

/** Unpacks an archive. The caller holds the lock. */
export async function unpack(archive: string, to: Unpacking): Promise<void> {
  await install(to, async aside => {
    const { default: yauzl } = await import('yauzl')
    const zip = await yauzl.openPromise(archive, { autoClose: false })
    const entries: [entry: Entry, path: string][] = []
    try {
      for await (const entry of zip.eachEntry()) {
        const path = targetOf(entry.fileName, to.headers)
        if (path !== null) entries.push([entry, join(aside, path)])
      }
      const bytes = entries.reduce((sum, [{ uncompressedSize }]) => sum + uncompressedSize, 0)
      checkRoom(dirname(aside), bytes, 'libtorch', 'TORCH_LEARNER_CACHE')
      for (const [entry, path] of entries) {
        await mkdir(dirname(path), { recursive: true })
        await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(path))
      }
    } finally {
      zip.close()
    }
  })
}

/** Copies an unpacked libtorch. The caller holds the lock. */
export async function copy(libtorch: Libtorch, to: Unpacking): Promise<void> {
  await install(to, async aside => {
    const files: [from: string, path: string][] = []
    for (const name of await readdir(libtorch.lib)) {
      const path = join('lib', name)
      if (LIBRARIES.some(pattern => pattern.test(path))) files.push([join(libtorch.lib, name), path])
    }
    if (to.headers && libtorch.include) {
      for (const entry of await readdir(libtorch.include, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue
        const from = join(entry.parentPath ?? entry.path, entry.name)
        files.push([from, join('include', from.slice(libtorch.include.length + 1))])
      }
    }
    let bytes = 0
    for (const [from] of files) bytes += (await stat(from)).size
    checkRoom(dirname(aside), bytes, 'libtorch', 'TORCH_LEARNER_CACHE')
    for (const [from, path] of files) {
      await mkdir(dirname(join(aside, path)), { recursive: true })
      await copyFile(from, join(aside, path))
    }
    await writeFile(join(aside, 'build-version'), `${libtorch.version}\n`)
  })
}

/** Fills a folder beside the target and renames it at the end, so that the target is whole or absent. */
async function install({ target, source }: Unpacking, fill: (aside: string) => Promise<void>): Promise<void> {
  const aside = `${target}.unpacking-${process.pid}`
  await removeLeftovers(target)
  try {
    await mkdir(aside, { recursive: true })
    await fill(aside)
    const seen = inspect(aside)
    if (!seen.ok) throw new Error(`${source} is not a libtorch archive: ${seen.reason.replaceAll(aside, 'it')}`)
    if (baseVersion(seen.version) !== VERSION) {
      throw new Error(`${source} holds libtorch ${seen.version}, not ${VERSION}`)
    }
    const stamp: Stamp = { version: seen.version, source, ...(await recorded(join(aside, 'lib'), 'lib')) }
    await writeFile(join(aside, STAMP), `${JSON.stringify(stamp, null, 2)}\n`)
    await rm(target, { recursive: true, force: true })
    await rename(aside, target)
  } catch (error) {
    if (!isFull(error)) throw error
    throw ranFull(error, { folder: dirname(target), what: 'libtorch', variable: 'TORCH_LEARNER_CACHE' })
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
}

/** Sizes and hashes of the files in a folder. */
async function recorded(folder: string, prefix: string): Promise<Pick<Stamp, 'files' | 'sha256'>> {
  const files: Record<string, number> = {}
  const sha256: Record<string, string> = {}
  for (const name of await readdir(folder)) {
    files[`${prefix}/${name}`] = (await stat(join(folder, name))).size
    sha256[`${prefix}/${name}`] = await hashOf(join(folder, name))
  }
  return { files, sha256 }
}

/** What installs left that were killed while they unpacked. */
async function removeLeftovers(target: string): Promise<void> {
  const parent = dirname(target)
  await mkdir(parent, { recursive: true })
  const prefix = `${target.slice(parent.length + 1)}.unpacking-`
  for (const name of await readdir(parent)) {
    if (name.startsWith(prefix)) await rm(join(parent, name), { recursive: true, force: true })
  }
}
