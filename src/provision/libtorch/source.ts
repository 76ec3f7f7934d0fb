// Where a libtorch is fetched from: the official wheel, a mirror of it, a file, or a folder.
import { createHash } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { verify } from '../fetch/hash.js'
import { checkRoom, isFull } from '../fetch/room.js'
import { shown } from '../fetch/shown.js'
import { cacheFolder, inspect } from './find.js'
import { PLATFORM, SIZES, VERSION, WHEEL } from './release.js'
import { copy, unpack } from './unpack.js'

/** Where it is to come from. */
export interface Source {
  /** An https:, http: or file: URL, or the path of a file or a folder. */
  readonly from: string
  /** What an archive's SHA-256 must be, 64 hexadecimal digits. Default: the official wheel's. */
  readonly sha256?: string
  /** What says so, for messages. */
  readonly name: string
}

/** What the environment says, else the official wheel. */
export function sourceOf(env: NodeJS.ProcessEnv = process.env): Source {
  const from = env.TORCH_LEARNER_LIBTORCH_URL
  return {
    from: from || WHEEL.url,
    sha256: env.TORCH_LEARNER_LIBTORCH_SHA256 || undefined,
    name: from ? 'TORCH_LEARNER_LIBTORCH_URL' : 'the official archive',
  }
}

/** What a source turns out to be. */
export type Place = { kind: 'url'; url: URL } | { kind: 'file'; path: string } | { kind: 'folder'; path: string }

/** Looks at a source without opening it. @throws Error when it is neither a URL nor here */
export function placeOf({ from, name }: Source): Place {
  const url = URL.canParse(from) ? new URL(from) : null
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return { kind: 'url', url }
  const path = url?.protocol === 'file:' ? fileURLToPath(url) : resolve(from)
  const stat = statSync(path, { throwIfNoEntry: false })
  if (!stat || (url && url.protocol !== 'file:')) {
    throw new Error(
      `${name} is ${JSON.stringify(from)}, expected an https:, http: or file: URL, or a file or folder that exists`,
    )
  }
  if (!stat.isDirectory()) return { kind: 'file', path }
  // as `pip download` fills one
  const wheel = join(path, WHEEL.file)
  return existsSync(wheel) ? { kind: 'file', path: wheel } : { kind: 'folder', path }
}

/** Fetches, checks and unpacks. The caller holds the target's lock. */
export async function fromSource(source: Source, target: string, headers: boolean): Promise<void> {
  const place = placeOf(source)
  const isOfficial = source.from === WHEEL.url
  if (isOfficial && `${process.platform}-${process.arch}` !== PLATFORM) {
    throw new Error(`no official archive is known for ${process.platform}-${process.arch}, only for ${PLATFORM}`)
  }
  if (place.kind === 'folder') return await fromFolder(place.path, target, headers)
  const expected = source.sha256 ?? WHEEL.sha256
  if (!/^[\da-f]{64}$/i.test(expected)) {
    throw new Error(`the SHA-256 for ${source.name} is ${JSON.stringify(expected)}, expected 64 hexadecimal digits`)
  }
  if (place.kind === 'file') {
    await verify(place.path, expected, place.path)
    return await unpack(place.path, { target, source: place.path, headers })
  }
  await fromUrl(place.url, expected, { target, headers, isOfficial })
}

async function fromUrl(
  url: URL,
  expected: string,
  { target, headers, isOfficial }: { target: string; headers: boolean; isOfficial: boolean },
): Promise<void> {
  const { discard, download } = await import('../fetch/download.js')
  const variable = 'TORCH_LEARNER_CACHE'
  const key = createHash('sha256').update(`${url.href}\n${expected}`).digest('hex').slice(0, 16)
  const part = join(cacheFolder(), `${key}.part`)
  try {
    if (isOfficial) {
      const here = statSync(part, { throwIfNoEntry: false })?.size ?? 0
      const unpacked = SIZES.libraries + (headers ? SIZES.headers : 0)
      checkRoom(cacheFolder(), Math.max(0, SIZES.archive - here) + unpacked, 'libtorch', variable)
    }
    console.error(`torch-learner: downloading libtorch ${VERSION} from ${url.host}`)
    await download(url, part, expected, { title: 'libtorch', variable })
    await unpack(part, { target, source: shown(url), headers })
  } catch (error) {
    if (isFull(error)) discard(part)
    throw error
  }
  discard(part)
}

async function fromFolder(folder: string, target: string, headers: boolean): Promise<void> {
  const seen = inspect(folder)
  if (!seen.ok) throw new Error(`no libtorch: ${seen.reason}, nor is ${WHEEL.file} in it`)
  if (headers && !seen.include) throw new Error(`${folder} has no headers in include/, which --dev and building need`)
  await copy(seen, { target, source: folder, headers })
}
