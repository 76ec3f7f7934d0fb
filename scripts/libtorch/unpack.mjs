// @ts-check
// Takes out of an official archive (wheel: torch/..., zip: libtorch/...) what the addon needs, and nothing else: a
// third of the files, none of the Python.
import { createWriteStream } from 'node:fs'
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import yauzl from 'yauzl'
import { inspect, STAMP } from './find.mjs'
import { baseVersion, VERSION } from './release.mjs'

const WANTED = [
  /^lib\/lib(c10|torch|torch_cpu|c10_cuda|torch_cuda|torch_cuda_linalg)\.so$/,
  // newer wheels give their own libraries a hash in the name
  /^lib\/libgomp[^/]*\.so[^/]*$/,
  /^include\//,
  /^(version\.py|build-version|build-hash|LICENSE|NOTICE)$/,
]

/**
 * Where an entry goes, or null to leave it out.
 * @param {string} name in the archive
 */
export function targetOf(name) {
  if (name.endsWith('/')) return null
  const licence = /^torch-[^/]+\.dist-info\/(?:licenses\/)?((?:LICENSE|NOTICE|third_party\/).*)$/.exec(name)?.[1]
  if (licence) return join('licenses', licence)
  const inside = /^(?:torch|libtorch)\/(.*)$/.exec(name)?.[1]
  return inside && WANTED.some(pattern => pattern.test(inside)) ? inside : null
}

/** @param {string} archive @param {string} folder */
async function extract(archive, folder) {
  const zip = await yauzl.openPromise(archive)
  const made = new Set()
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
 * @param {string} archive
 * @param {string} target folder
 * @param {string} source for the stamp: where the archive came from
 */
export async function unpack(archive, target, source) {
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

/** @param {string} folder @param {string} prefix */
async function sizes(folder, prefix) {
  /** @type {Record<string, number>} */
  const result = {}
  for (const name of await readdir(folder)) result[`${prefix}/${name}`] = (await stat(join(folder, name))).size
  return result
}

/** What installs left that were killed while they unpacked. @param {string} target */
async function removeLeftovers(target) {
  const parent = dirname(target)
  await mkdir(parent, { recursive: true })
  const prefix = `${target.slice(parent.length + 1)}.unpacking-`
  for (const name of await readdir(parent)) {
    if (name.startsWith(prefix)) await rm(join(parent, name), { recursive: true, force: true })
  }
}
