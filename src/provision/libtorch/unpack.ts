// Takes out of an official archive (wheel: torch/..., zip: libtorch/...) what the addon needs, and nothing else: a
// third of the files, none of the Python.
import { createWriteStream } from 'node:fs'
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import yauzl from 'yauzl'
import { inspect, STAMP } from './find.js'
import { baseVersion, VERSION } from './release.js'

const WANTED = [
  /^lib\/lib(c10|torch|torch_cpu|c10_cuda|torch_cuda|torch_cuda_linalg)\.so$/,
  // newer wheels give their own libraries a hash in the name
  /^lib\/libgomp[^/]*\.so[^/]*$/,
  /^include\//,
  /^(version\.py|build-version|build-hash|LICENSE|NOTICE)$/,
]

/** Where an entry goes, or null to leave it out. @param name in the archive */
export function targetOf(name: string): string | null {
  if (name.endsWith('/')) return null
  const licence = /^torch-[^/]+\.dist-info\/(?:licenses\/)?((?:LICENSE|NOTICE|third_party\/).*)$/.exec(name)?.[1]
  if (licence) return join('licenses', licence)
  const inside = /^(?:torch|libtorch)\/(.*)$/.exec(name)?.[1]
  return inside && WANTED.some(pattern => pattern.test(inside)) ? inside : null
}

async function extract(archive: string, folder: string): Promise<void> {
  const zip = await yauzl.openPromise(archive)
  const made = new Set<string>()
  for await (const entry of zip.eachEntry()) {
    const target = targetOf(entry.fileName)
    if (target === null) continue
    const path = join(folder, target)
    if (!made.has(dirname(path))) await mkdir(dirname(path), { recursive: true })
    made.add(dirname(path))
    await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(path))
  }
}

/**
 * Unpacks beside the target and renames at the end, so that the target is whole or absent. The caller holds the lock.
 * @param target folder
 * @param source for the stamp: where the archive came from
 */
export async function unpack(archive: string, target: string, source: string): Promise<void> {
  const aside = `${target}.unpacking-${process.pid}`
  await removeLeftovers(target)
  await mkdir(aside, { recursive: true })
  try {
    await extract(archive, aside)
    const seen = inspect(aside)
    if (!seen.ok) throw new Error(`${source} is not a libtorch archive: ${seen.reason.replaceAll(aside, 'it')}`)
    if (baseVersion(seen.version) !== VERSION) {
      throw new Error(`${source} holds libtorch ${seen.version}, not ${VERSION}`)
    }
    const files = await sizes(join(aside, 'lib'), 'lib')
    await writeFile(join(aside, STAMP), `${JSON.stringify({ version: seen.version, source, files }, null, 2)}\n`)
    await rm(target, { recursive: true, force: true })
    await rename(aside, target)
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
}

async function sizes(folder: string, prefix: string): Promise<Record<string, number>> {
  const result: Record<string, number> = {}
  for (const name of await readdir(folder)) result[`${prefix}/${name}`] = (await stat(join(folder, name))).size
  return result
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
