// @ts-check
// The package of the binary: the addon as a release build with its codecs linked in, the preload module and the stamp.
// Refused: one that needs a newer system than libtorch does, or a codec of the machine, or names files of this machine.
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { baseVersion, buildRelease, provision } from '../../dist/provision/index.js'
import { packageOf } from './debian.mjs'
import { complaints } from './elf.mjs'
import { filesIn, ROOT, readJson, sha256, stage, writeJson } from './files.mjs'
import { ADDON_PACKAGE, addonManifest, CHECKOUT } from './manifests.mjs'
import { sbom } from './sbom.mjs'
import { spngSource } from './spng.mjs'

const BINARIES = ['torch_learner.node', 'torch_learner_preload.so']
const STAMP = 'torch_learner.json'

const require = createRequire(import.meta.url)

/** Compiles the release build if need be and lays it into a folder. @param {string} folder */
export async function prebuild(folder) {
  const spng = process.platform === 'linux' ? await spngSource() : ''
  // read by the build; set here alone, so that no binary for others is made without its codecs
  process.env.TORCH_LEARNER_STATIC_CODECS = '1'
  process.env.TORCH_LEARNER_SPNG_SOURCE = spng
  const libtorch = await provision({ headers: true })
  const built = await buildRelease(libtorch)

  rmSync(folder, { recursive: true, force: true })
  mkdirSync(join(folder, 'licences'), { recursive: true })
  for (const name of BINARIES) {
    copyFileSync(join(built, name), join(folder, name))
    execFileSync('strip', [process.platform === 'darwin' ? '-x' : '--strip-unneeded', join(folder, name)])
  }
  await writeStamp(built, folder)
  await writeContents(built, folder, spng)
  check(folder, [ROOT, libtorch.root, spng])
}

/** Where libtorch lay on this machine is nobody's business on another. @param {string} built @param {string} folder */
async function writeStamp(built, folder) {
  const stamp = readJson(join(built, STAMP))
  for (const codec of ['png', 'jpeg']) {
    if (!stamp.codecs?.includes(codec)) throw new Error(`the release build decodes no ${codec.toUpperCase()} by itself`)
  }
  writeJson(join(folder, STAMP), { ...stamp, root: null, files: await sizesAndHashes(folder, BINARIES) })
}

/** @param {string} folder @param {string[]} names */
export async function sizesAndHashes(folder, names) {
  /** @type {Record<string, { size: number, sha256: string }>} */
  const files = {}
  for (const name of names) {
    const file = join(folder, name)
    files[name] = { size: statSync(file).size, sha256: await sha256(file) }
  }
  return files
}

/** What is linked in: its licences, and the list of contents. @param {string} built @param {string} folder @param {string} spng */
async function writeContents(built, folder, spng) {
  copyFileSync(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'))
  /** @param {string} name @param {string} file */
  const licence = (name, file) => copyFileSync(file, join(folder, 'licences', `${name}.txt`))
  const addonApi = dirname(require.resolve('node-addon-api/package.json'))
  licence('node-addon-api', join(addonApi, 'LICENSE.md'))
  const components = [
    { name: 'node-addon-api', version: readJson(join(addonApi, 'package.json')).version, licence: 'MIT' },
  ]
  if (process.platform === 'linux') {
    licence('libspng', join(spng, '..', 'LICENSE'))
    components.push({ name: 'libspng', version: spngVersion(spng), licence: 'BSD-2-Clause' })
    for (const [name, key, id] of /** @type {const} */ ([
      ['libjpeg-turbo', 'JPEG', 'IJG'],
      ['zlib', 'z', 'Zlib'],
    ])) {
      const { version, copyright } = packageOf(archive(built, key))
      licence(name, copyright)
      components.push({ name, version, licence: id })
    }
  }
  const files = await sizesAndHashes(folder, BINARIES)
  const manifest = { name: ADDON_PACKAGE, version: CHECKOUT.version }
  writeJson(join(folder, 'sbom.cdx.json'), sbom(manifest, components, files))
}

/** @param {string} spng */
function spngVersion(spng) {
  const header = readFileSync(join(spng, 'spng.h'), 'utf8')
  return ['MAJOR', 'MINOR', 'PATCH'].map(part => new RegExp(`SPNG_VERSION_${part} (\\d+)`).exec(header)?.[1]).join('.')
}

/** The static library that CMake has found. @param {string} built @param {string} key */
function archive(built, key) {
  const cache = readFileSync(join(built, '..', 'CMakeCache.txt'), 'utf8')
  const found = new RegExp(`^TORCH_LEARNER_${key}_STATIC:FILEPATH=(.*)$`, 'mi').exec(cache)?.[1]
  if (found && existsSync(found)) return found
  throw new Error(`the release build links no static ${key}`)
}

/** @param {string} folder @param {string[]} folders of this machine */
function check(folder, folders) {
  if (process.platform !== 'linux') return
  for (const name of BINARIES) {
    const wrong = complaints(join(folder, name), folders)
    if (wrong.length > 0) throw new Error(`${name} is not fit for others: it ${wrong.join('; it ')}`)
  }
}

/** Puts the package together. @returns {Promise<{ folder: string, libtorch: string }>} the libtorch that it needs */
export async function stageBinary() {
  const folder = stage('addon')
  await prebuild(folder)
  writeJson(join(folder, 'package.json'), addonManifest(filesIn(folder)))
  return { folder, libtorch: baseVersion(readJson(join(folder, STAMP)).libtorch) }
}
