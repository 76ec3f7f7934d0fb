// Gets a libtorch: one that is here (find.ts), else downloaded, else through pip, else the system's own.

import { accessSync, constants, mkdirSync } from 'node:fs'
import { messageOf } from '../../check/index.js'
import { setupCommand } from '../commands.js'
import { verify } from '../fetch/hash.js'
import { checkRoom, isFull } from '../fetch/room.js'
import { refuseMusl } from '../libc.js'
import { type Owner, withLock } from '../lock.js'
import { cachedLibtorch, cacheFolder, findLibtorch, inspect, type Libtorch, type Step } from './find.js'
import { pipDownload } from './pip.js'
import { baseVersion, PLATFORM, SIZES, SUPPORTED, VERSION, WHEEL } from './release.js'
import { fromSource, type Source, sourceOf } from './source.js'
import { systemLibtorch } from './system.js'
import { unpack } from './unpack.js'

const say = (text: string): void => console.error(`torch-learner: ${text}`)

/** What a libtorch is needed for. */
export interface Need {
  /** To build with. */
  readonly headers?: boolean
  /** Exactly this one, to run a prebuilt addon with. */
  readonly version?: string
  readonly cuda?: boolean
  /** Where it is to come from when it isn't here. Default: what the environment says, else the official wheel. */
  readonly source?: Source
}

/** Makes sure that there is a libtorch. */
export async function provision(need: Need = {}): Promise<Libtorch> {
  refuseMusl()
  const found = findLibtorch(need)
  if (found.libtorch) return supported(found.libtorch, found.explicit)
  const { steps } = found
  if (found.explicit) throw allFailed([...steps, ...NOT_TRIED])

  const target = cachedLibtorch()
  const headers = need.headers ?? false
  const fetchers: [step: string, fetch: () => Promise<void>][] = need.source
    ? [[need.source.name, () => fromSource(need.source ?? sourceOf(), target, headers)]]
    : [
        ['download', () => fromSource(sourceOf(), target, headers)],
        ['pip download', () => fromPip(target, headers)],
      ]
  for (const [step, fetch] of fetchers) {
    try {
      await inCache(target, headers, fetch)
      return fetched(target)
    } catch (error) {
      // nor would the next way find any
      if (isFull(error)) throw error
      steps.push({ step, reason: messageOf(error) })
      say(`${step} failed: ${messageOf(error)}`)
    }
  }
  if (need.source) throw allFailed(steps)
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
      'or connect to the network (https_proxy is honoured) ' +
      `and run \`${setupCommand()}\``,
  )
}

async function inCache(target: string, headers: boolean, fetch: () => Promise<void>): Promise<void> {
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
  const work = async () => {
    const seen = inspect(target, { stamped: true })
    if (!seen.ok || (headers && !seen.include)) await fetch()
  }
  await withLock(`${target}.lock`, work, { onWait })
}

function fetched(target: string): Libtorch {
  const seen = inspect(target)
  if (!seen.ok) throw new Error(seen.reason)
  say(`libtorch ${seen.version} is in ${target}`)
  return seen
}

async function fromPip(target: string, headers: boolean): Promise<void> {
  if (`${process.platform}-${process.arch}` !== PLATFORM) throw new Error(`the wheel is for ${PLATFORM} only`)
  say('trying pip download')
  checkRoom(cacheFolder(), SIZES.archive + SIZES.libraries, 'libtorch', 'TORCH_LEARNER_CACHE')
  const { archive, remove } = await pipDownload(target)
  try {
    await verify(archive, WHEEL.sha256, WHEEL.file)
    await unpack(archive, { target, source: WHEEL.file, headers })
  } finally {
    remove()
  }
}
