// @ts-check
// npm run prebuilds: prebuilds/<platform>/ with the addon, the preload module and the stamp, checked for the oldest glibc
// that it must run on.
//
// The codecs are linked in statically: libjpeg-turbo and zlib from the archives of their -dev packages, libspng, which has
// none, from its source, of which TORCH_LEARNER_SPNG_SOURCE names the folder. Without that, `apt-get source` is asked
// (it needs a deb-src line in APT's sources); when that fails too, the shared libraries go beside the addon.
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf } from '../dist/check/index.js'
import { builtStamp, packageRoot } from '../dist/provision/index.js'
import { fail } from './report.mjs'

/** libtorch itself needs these; Debian's shared libspng adds one function of glibc 2.29. */
const FLOOR = { GLIBC: '2.28', GLIBCXX: '3.4.22' }

const require = createRequire(import.meta.url)
const folder = join(packageRoot(), 'prebuilds', `${process.platform}-${process.arch}`)

function prebuildify() {
  const program = join(dirname(require.resolve('prebuildify')), 'bin.js')
  const shim = fileURLToPath(new URL('node-gyp-shim.mjs', import.meta.url))
  const args = [program, '--napi', '--strip', '--name', 'torch-learner', '--node-gyp', shim]
  execFileSync(process.execPath, args, { cwd: packageRoot(), stdio: 'inherit' })
  // where libtorch lay on this machine is nobody's business on another
  const stamp = { ...JSON.parse(readFileSync(builtStamp(), 'utf8')), root: null }
  writeFileSync(join(folder, 'torch_learner.json'), `${JSON.stringify(stamp, null, 2)}\n`)
}

/**
 * libspng's source as Debian has it, unpacked in a folder; null without APT or its deb-src lines.
 * @param {string} target
 */
function fetchSpng(target) {
  try {
    execFileSync('apt-get', ['source', '--download-only', 'libspng'], {
      cwd: target,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const archive = readdirSync(target).find(name => name.endsWith('.orig.tar.gz'))
    execFileSync('tar', ['xzf', String(archive), '--strip-components=1'], { cwd: target, stdio: 'inherit' })
    return join(target, 'spng')
  } catch (error) {
    console.error(`torch-learner: no source of libspng: ${messageOf(error)}`)
    return null
  }
}

/**
 * Decides how the codecs are linked, in the environment that the build reads. Returns the folder of libspng's source.
 * @param {string} temporary
 */
function chooseCodecs(temporary) {
  const source = process.env.TORCH_LEARNER_SPNG_SOURCE || fetchSpng(temporary)
  process.env.TORCH_LEARNER_STATIC_CODECS = source ? '1' : '0'
  process.env.TORCH_LEARNER_SPNG_SOURCE = source ?? ''
  console.log(`torch-learner: codecs ${source ? 'linked in' : 'beside the addon'}`)
  return source
}

const DOC = '/usr/share/doc'

/** What is shipped along must name its makers. @param {Record<string, string>} files by name */
function copyLicences(files) {
  const target = join(folder, 'licences')
  mkdirSync(target, { recursive: true })
  for (const [name, file] of Object.entries(files)) {
    if (!existsSync(file)) throw new Error(`the licence of ${name} isn't at ${file}`)
    copyFileSync(file, join(target, `${name}.txt`))
  }
}

/** @param {string} spng */
const licencesLinkedIn = spng => ({
  libspng: join(spng, '..', 'LICENSE'),
  'libjpeg-turbo': join(DOC, 'libjpeg62-turbo-dev', 'copyright'),
  zlib: join(DOC, 'zlib1g-dev', 'copyright'),
})

const licencesBeside = () => ({
  libspng: join(DOC, 'libspng0', 'copyright'),
  'libjpeg-turbo': join(DOC, 'libjpeg62-turbo', 'copyright'),
})

/** The codecs go beside the addon, where its $ORIGIN finds them. */
function copyCodecs() {
  FLOOR.GLIBC = '2.29'
  const addon = join(folder, 'torch-learner.node')
  const needed = execFileSync('ldd', [addon], { encoding: 'utf8' })
  for (const [, name, path] of needed.matchAll(/(lib(?:spng|jpeg)\.so\S*) => (\/\S+)/g)) {
    copyFileSync(String(path), join(folder, String(name)))
  }
}

/** @param {string} a @param {string} b */
const isNewer = (a, b) => a.localeCompare(b, 'en', { numeric: true }) > 0

/** Symbol versions above the floor, as `pthread_create@GLIBC_2.34`. @param {string} file */
function aboveFloor(file) {
  const symbols = execFileSync('objdump', ['-T', file], { encoding: 'utf8' })
  return [...symbols.matchAll(/\((GLIBC|GLIBCXX)_([\d.]+)\)\s+(\S+)/g)]
    .filter(([, family, version]) => isNewer(String(version), FLOOR[/** @type {keyof typeof FLOOR} */ (family)]))
    .map(([, family, version, name]) => `${name}@${family}_${version}`)
}

const temporary = mkdtempSync(join(tmpdir(), 'torch-learner-spng-'))
process.once('exit', () => rmSync(temporary, { recursive: true }))
try {
  const spng = process.platform === 'linux' ? chooseCodecs(temporary) : null
  prebuildify()
  if (spng) copyLicences(licencesLinkedIn(spng))
  else if (process.platform === 'linux') {
    copyCodecs()
    copyLicences(licencesBeside())
  }
  for (const name of readdirSync(folder).filter(file => /\.(node|so)\b/.test(file))) {
    const bad = process.platform === 'linux' ? aboveFloor(join(folder, name)) : []
    if (bad.length > 0) throw new Error(`${name} needs a newer system than libtorch itself does: ${bad.join(', ')}`)
  }
  console.log(`torch-learner: prebuilt in ${folder}`)
} catch (error) {
  fail(error)
}
