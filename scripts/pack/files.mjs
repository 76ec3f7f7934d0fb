// @ts-check
// What the packing scripts share: folders, hashes, and npm's own `pack` on a staged folder.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The checkout. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Where the tarballs go. */
export const OUT = join(ROOT, 'npm')

export const PLATFORM = `${process.platform}-${process.arch}`

/** @param {string} file */
export const readJson = file => JSON.parse(readFileSync(file, 'utf8'))

/** @param {string} file @param {unknown} value */
export const writeJson = (file, value) => writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`)

/** An empty folder to put a package together in. @param {string} name */
export function stage(name) {
  const folder = join(ROOT, 'build', 'pack', name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  return folder
}

/** Every file below a folder, as paths from there, sorted. @param {string} folder @returns {string[]} */
export function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => relative(folder, join(entry.parentPath ?? entry.path, entry.name)))
    .sort()
}

/** @param {string} file @returns {Promise<string>} */
export async function sha256(file) {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file)) hash.update(chunk)
  return hash.digest('hex')
}

/** Packs a staged folder and returns the tarball's path. @param {string} folder @param {string} [target] */
export function pack(folder, target = OUT) {
  mkdirSync(target, { recursive: true })
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', target]
  const said = execFileSync('npm', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  // npm 12 lists by name what earlier ones list in order
  const report = JSON.parse(said)
  const { filename } = /** @type {{ filename: string }} */ (Object.values(report)[0])
  const tarball = join(target, filename)
  const { name, version } = readJson(join(folder, 'package.json'))
  console.log(`torch-learner: ${megabytes(statSync(tarball).size)} ${name}@${version}`)
  return tarball
}

/** @param {number} bytes */
export const megabytes = bytes => `${(bytes / 1e6).toFixed(1)} MB`.padStart(9)

/** The name of the tarball that npm makes of a package. @param {string} name @param {string} version */
export const tarballName = (name, version) => `${name.replace('@', '').replace('/', '-')}-${version}.tgz`
