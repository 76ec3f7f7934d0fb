// @ts-check
// Whether the tarballs in npm/ are what a release is made of: sizes, manifests, hashes, licences, and what the binaries ask of
// and say about machines.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { complaints, floorOf } from '../pack/elf.mjs'
import { filesIn, megabytes, OUT, ROOT, readJson, sha256, stage, tarballName } from '../pack/files.mjs'
import { ADDON_PACKAGE, CHECKOUT, LIBTORCH_PACKAGE } from '../pack/manifests.mjs'

/** Megabytes at most, packed. npm's registry takes tarballs of about 200. */
const LIMITS = { main: 2, addon: 5, libtorch: 150 }

/** Unpacks a tarball. @param {string} kind @param {string} name @param {string} version */
function unpack(kind, name, version) {
  const tarball = join(OUT, tarballName(name, version))
  if (!existsSync(tarball)) throw new Error(`${tarball} is not there: run \`npm run pack:all\` first`)
  const folder = stage(`check-${kind}`)
  mkdirSync(folder, { recursive: true })
  execFileSync('tar', ['xzf', tarball, '--strip-components=1', '-C', folder])
  return { folder, tarball, manifest: readJson(join(folder, 'package.json')), files: filesIn(folder) }
}

/** @typedef {ReturnType<typeof unpack>} Unpacked */

/** @param {keyof typeof LIMITS} kind @param {Unpacked} unpacked @returns {string[]} */
function checkSize(kind, { tarball, manifest }) {
  const { size } = statSync(tarball)
  console.log(`${megabytes(size)}  ${manifest.name}@${manifest.version}`)
  return size > LIMITS[kind] * 1e6 ? [`${manifest.name} is ${megabytes(size).trim()}, allowed are ${LIMITS[kind]}`] : []
}

/** @param {Unpacked} main @returns {string[]} */
function checkMain({ manifest, files }) {
  const wrong = []
  for (const key of ['scripts', 'devDependencies']) if (manifest[key]) wrong.push(`the manifest has ${key}`)
  const loose = Object.entries(manifest.optionalDependencies ?? {}).filter(([, range]) => !/^\d/.test(range))
  if (loose.length > 0) wrong.push(`${loose.map(([name]) => name).join(', ')}: not an exact version`)
  const unwanted = files.filter(name => /\.(map|gyp|node|so|tsbuildinfo)$/.test(name))
  if (unwanted.length > 0) wrong.push(`it holds ${unwanted.slice(0, 5).join(', ')}`)
  return wrong
}

/** Files that differ from what a record says of them. @param {string} folder @param {Record<string, { sha256: string }>} record */
async function changed(folder, record) {
  const wrong = []
  for (const [name, { sha256: expected }] of Object.entries(record)) {
    const file = join(folder, name)
    if (!existsSync(file) || (await sha256(file)) !== expected) wrong.push(`${name} is not the one that was recorded`)
  }
  return wrong
}

/** What a package of binaries must hold. @param {Unpacked} unpacked @returns {string[]} */
function checkBinaries({ folder, files, manifest }) {
  const wrong = []
  if (!files.some(name => name.startsWith('licences/'))) wrong.push('it has no licences')
  if (!files.includes('sbom.cdx.json')) wrong.push('it has no list of contents')
  for (const key of ['os', 'cpu']) if (!manifest[key]) wrong.push(`the manifest has no ${key}`)
  if (process.platform !== 'linux') return wrong
  for (const name of files.filter(file => /\.(node|so)(\.\d+)*$/.test(file))) {
    const floor = Object.entries(floorOf(join(folder, name))).map(([family, version]) => `${family}_${version}`)
    console.log(`           ${name} needs ${floor.join(', ')}`)
  }
  return wrong
}

/** @returns {Promise<string[]>} what is wrong, as sentences */
export async function checkTarballs() {
  const main = unpack('main', CHECKOUT.name, CHECKOUT.version)
  const wanted = main.manifest.optionalDependencies ?? {}
  for (const name of [ADDON_PACKAGE, LIBTORCH_PACKAGE]) {
    if (!wanted[name]) return [`${CHECKOUT.name} does not depend on ${name}: it was not made by \`npm run pack:all\``]
  }
  const addon = unpack('addon', ADDON_PACKAGE, wanted[ADDON_PACKAGE])
  const libtorch = unpack('libtorch', LIBTORCH_PACKAGE, wanted[LIBTORCH_PACKAGE])
  const own = addon.files.filter(name => /\.(node|so)$/.test(name))
  return [
    ...checkSize('main', main),
    ...checkMain(main),
    ...checkSize('addon', addon),
    ...checkBinaries(addon),
    ...(await changed(addon.folder, readJson(join(addon.folder, 'torch_learner.json')).files)),
    ...own.flatMap(name => complaints(join(addon.folder, name), [ROOT, dirname(process.execPath)].filter(isTelling))),
    ...checkSize('libtorch', libtorch),
    ...checkBinaries(libtorch),
    ...(await changed(libtorch.folder, readJson(join(libtorch.folder, 'sha256.json')))),
  ]
}

/** /usr/bin and the like are everybody's. @param {string} folder */
const isTelling = folder => !folder.startsWith('/usr')
