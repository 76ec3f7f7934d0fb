// @ts-check
// npm run prebuilds: prebuilds/<platform>/ with the addon, the preload module and the stamp, checked for the oldest glibc
// that it must run on.
import { execFileSync } from 'node:child_process'
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ADDON_STAMP, ROOT } from './addon/build.mjs'
import { fail } from './libtorch/report.mjs'

/** libtorch itself needs glibc 2.28 and GLIBCXX_3.4.22; Debian's libspng adds one function of glibc 2.29. */
const FLOOR = { GLIBC: '2.29', GLIBCXX: '3.4.22' }

const require = createRequire(import.meta.url)
const folder = join(ROOT, 'prebuilds', `${process.platform}-${process.arch}`)

function prebuildify() {
  const program = join(dirname(require.resolve('prebuildify')), 'bin.js')
  const shim = fileURLToPath(new URL('node-gyp-shim.mjs', import.meta.url))
  const args = [program, '--napi', '--strip', '--name', 'torch-learner', '--node-gyp', shim]
  execFileSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' })
  // where libtorch lay on this machine is nobody's business on another
  const stamp = { ...JSON.parse(readFileSync(ADDON_STAMP, 'utf8')), root: null }
  writeFileSync(join(folder, 'torch_learner.json'), `${JSON.stringify(stamp, null, 2)}\n`)
}

/** The codecs go beside the addon, where its $ORIGIN finds them. */
function copyCodecs() {
  const addon = join(folder, 'torch-learner.node')
  const needed = execFileSync('ldd', [addon], { encoding: 'utf8' })
  for (const [, name, path] of needed.matchAll(/(lib(?:spng|turbojpeg)\.so\S*) => (\/\S+)/g)) {
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

try {
  prebuildify()
  if (process.platform === 'linux') copyCodecs()
  for (const name of readdirSync(folder).filter(file => /\.(node|so)\b/.test(file))) {
    const bad = process.platform === 'linux' ? aboveFloor(join(folder, name)) : []
    if (bad.length > 0) throw new Error(`${name} needs a newer system than libtorch itself does: ${bad.join(', ')}`)
  }
  console.log(`torch-learner: prebuilt in ${folder}`)
} catch (error) {
  fail(error)
}
