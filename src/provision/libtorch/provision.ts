// Gets a libtorch: one that is here (find.ts), else downloaded, else through pip, else the system's own.

import { createHash } from 'node:crypto'
import { accessSync, constants, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf } from '../../check/index.js'
import { discard, download, verify } from '../fetch/download.js'
import { type Owner, withLock } from '../lock.js'
import { cachedLibtorch, cacheFolder, findLibtorch, inspect, type Libtorch, type Step } from './find.js'
import { pipDownload } from './pip.js'
import { baseVersion, PLATFORM, SUPPORTED, VERSION, WHEEL } from './release.js'
import { systemLibtorch } from './system.js'
import { unpack } from './unpack.js'

const say = (text: string) => console.error(`torch-learner: ${text}`)

/** What a libtorch is needed for. */
export interface Need {
  /** To build with. */
  readonly headers?: boolean
  /** Exactly this one, to run a prebuilt addon with. */
  readonly version?: string
  readonly cuda?: boolean
}

/** Makes sure that there is a libtorch. */
export async function provision(need: Need = {}): Promise<Libtorch> {
  const found = findLibtorch(need)
  if (found.libtorch) return supported(found.libtorch, found.explicit)
  const { steps } = found
  if (found.explicit) throw allFailed([...steps, ...NOT_TRIED])

  const target = cachedLibtorch()
  const fetchers: [step: string, fetch: () => Promise<void>][] = [
    ['download', () => fromUrl(target)],
    ['pip download', () => fromPip(target)],
  ]
  for (const [step, fetch] of fetchers) {
    try {
      await inCache(target, fetch)
      return fetched(target)
    } catch (error) {
      steps.push({ step, reason: messageOf(error) })
      say(`${step} failed: ${messageOf(error)}`)
    }
  }
  try {
    const libtorch = systemLibtorch()
    say(
      `warning: using the system's libtorch ${libtorch.version} in ${libtorch.lib}: results may differ from ${VERSION}'s`,
    )
    return libtorch
  } catch (error) {
    steps.push({ step: 'system libtorch-dev', reason: messageOf(error) })
  }
  throw allFailed(steps)
}

/** LIBTORCH is the user's word; going past it in silence would build with something else than was asked for. */
const NOT_TRIED = ['platform package', 'cache', 'download', 'pip download', 'system libtorch-dev'].map(step => ({
  step,
  reason: 'not tried, because LIBTORCH is set: unset it to go on to here',
}))

function supported(libtorch: Libtorch, explicit: boolean): Libtorch {
  if (SUPPORTED.test(baseVersion(libtorch.version))) return libtorch
  const reason = `${libtorch.root} is libtorch ${libtorch.version}, and this release needs ${VERSION}`
  throw allFailed([{ step: explicit ? 'LIBTORCH' : 'platform package', reason }, ...(explicit ? NOT_TRIED : [])])
}

function allFailed(steps: readonly Step[]): Error {
  const list = steps.map(({ step, reason }, index) => `  ${index + 1}. ${step}: ${reason}`).join('\n')
  return new Error(
    `no libtorch ${VERSION} could be had. Tried, in this order:\n${list}\n` +
      'Any one of these fixes it: set LIBTORCH to a folder with lib/ and include/ of libtorch ' +
      `${VERSION}; set TORCH_LEARNER_LIBTORCH_URL to a mirror (https, http or file) of ${WHEEL.file}; ` +
      'or connect to the network (https_proxy is honoured) and run `npm rebuild torch-learner`',
  )
}

async function inCache(target: string, fetch: () => Promise<void>): Promise<void> {
  const folder = cacheFolder()
  try {
    mkdirSync(folder, { recursive: true })
    accessSync(folder, constants.W_OK)
  } catch (error) {
    throw new Error(`the cache folder can't be written (TORCH_LEARNER_CACHE sets another): ${messageOf(error)}`)
  }
  const onWait = (owner: Owner | null) =>
    say(`waiting for another install (process ${owner?.pid ?? 'unknown'}) to unpack libtorch`)
  // while we waited, the other one may have done it
  await withLock(`${target}.lock`, async () => (inspect(target, { stamped: true }).ok ? undefined : fetch()), {
    onWait,
  })
}

function fetched(target: string): Libtorch {
  const seen = inspect(target)
  if (!seen.ok) throw new Error(seen.reason)
  say(`libtorch ${seen.version} is in ${target}`)
  return seen
}

async function fromUrl(target: string): Promise<void> {
  const override = process.env.TORCH_LEARNER_LIBTORCH_URL
  if (!override && `${process.platform}-${process.arch}` !== PLATFORM) {
    throw new Error(`no official archive is known for ${process.platform}-${process.arch}, only for ${PLATFORM}`)
  }
  const url = parseUrl(override || WHEEL.url)
  const expected = process.env.TORCH_LEARNER_LIBTORCH_SHA256 || WHEEL.sha256
  if (!/^[\da-f]{64}$/i.test(expected)) throw new Error('TORCH_LEARNER_LIBTORCH_SHA256 is not 64 hexadecimal digits')
  if (url.protocol === 'file:') {
    const file = fileURLToPath(url)
    await verify(file, expected, url.href)
    return unpack(file, target, url.href)
  }
  const key = createHash('sha256').update(`${url.href}\n${expected}`).digest('hex').slice(0, 16)
  const part = join(cacheFolder(), `${key}.part`)
  say(`downloading libtorch ${VERSION} from ${url.host}`)
  await download(url, part, expected, { title: 'libtorch' })
  await unpack(part, target, url.href)
  discard(part)
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url && ['https:', 'http:', 'file:'].includes(url.protocol)) return url
  throw new Error(`TORCH_LEARNER_LIBTORCH_URL is ${JSON.stringify(text)}, expected an https:, http: or file: URL`)
}

async function fromPip(target: string): Promise<void> {
  if (`${process.platform}-${process.arch}` !== PLATFORM) throw new Error(`the wheel is for ${PLATFORM} only`)
  say('trying pip download')
  const { archive, remove } = await pipDownload(target)
  try {
    await verify(archive, WHEEL.sha256, WHEEL.file)
    await unpack(archive, target, WHEEL.file)
  } finally {
    remove()
  }
}
