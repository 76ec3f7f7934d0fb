// @ts-check
// The package of libtorch: the libraries that the addon needs at run time, without the symbols that only debuggers read.
import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { baseVersion, provision } from '../../dist/provision/index.js'
import { sizesAndHashes } from './binary.mjs'
import { packageOf } from './debian.mjs'
import { filesIn, OUT, pack, readJson, sha256, stage, tarballName, writeJson } from './files.mjs'
import { LIBTORCH_PACKAGE, libtorchManifest, libtorchVersion } from './manifests.mjs'
import { sbom } from './sbom.mjs'

/** In the order in which they are opened. libtorch.so is not among them: it is empty and refers to libtorch_cpu.so. */
const NEEDED = [/^libgomp.*\.so/, /^libc10\.so$/, /^libtorch_cpu\.so$/]

const NOTICE = `This package holds the CPU libraries of PyTorch as the PyTorch project builds them, without their symbols for debuggers
(strip --strip-unneeded), and GCC's libgomp, which comes with them.

PyTorch is under the licence in licences/LICENSE; what is built into it, under those in licences/third_party. Its build for
x64 also has Intel's oneMKL linked in, under the Intel Simplified Software License.
libgomp is part of GCC, under the GNU General Public License, version 3, with the GCC Runtime Library Exception, version 3.1; its
source is in GCC's releases (gcc.gnu.org).
`

/** Packs libtorch, unless that has been done; returns the tarball. */
export async function packLibtorch() {
  const libtorch = await provision()
  const version = baseVersion(libtorch.version)
  const tarball = join(OUT, tarballName(LIBTORCH_PACKAGE, libtorchVersion(version)))
  const made = `${tarball}.json`
  const source = await Promise.all(libraries(libtorch.lib).map(name => sha256(join(libtorch.lib, name))))
  const recipe = await Promise.all(
    ['libtorch', 'manifests', 'sbom'].map(name => sha256(new URL(`${name}.mjs`, import.meta.url).pathname)),
  )
  const inputs = [...source, ...recipe].join('\n')
  if (existsSync(tarball) && existsSync(made) && readJson(made) === inputs) {
    console.log(`torch-learner: ${tarball} is up to date`)
    return tarball
  }
  const folder = await stageLibtorch(libtorch, version)
  const packed = pack(folder)
  writeJson(made, inputs)
  return packed
}

/** @param {string} lib */
function libraries(lib) {
  const names = readdirSync(lib)
  return NEEDED.map(pattern => {
    const name = names.find(found => pattern.test(found))
    if (name) return name
    throw new Error(`${lib} has no ${pattern.source}`)
  })
}

/** @param {{ root: string, lib: string }} libtorch @param {string} version */
async function stageLibtorch({ root, lib }, version) {
  const folder = stage('libtorch')
  mkdirSync(join(folder, 'lib'))
  for (const name of libraries(lib)) {
    const target = join(folder, 'lib', name)
    copyFileSync(join(lib, name), target)
    execFileSync('strip', ['--strip-unneeded', target])
  }
  const licences = join(root, 'licenses')
  if (!existsSync(licences)) throw new Error(`${root} has no licenses/, which must go with the libraries`)
  cpSync(licences, join(folder, 'licences'), { recursive: true })
  copyFileSync('/usr/share/common-licenses/GPL-3', join(folder, 'licences', 'GPL-3.txt'))
  // of GCC's runtime libraries, with the exception's text; the libgomp that is packed is of the same kind
  copyFileSync(
    packageOf(execFileSync('gcc', ['-print-file-name=libgomp.so.1'], { encoding: 'utf8' }).trim()).copyright,
    join(folder, 'licences', 'libgomp.txt'),
  )
  writeFileSync(join(folder, 'NOTICE'), NOTICE)
  writeFileSync(join(folder, 'build-version'), `${version}\n`)

  const files = await sizesAndHashes(folder, filesIn(folder))
  writeJson(join(folder, 'sha256.json'), files)
  const manifest = libtorchManifest(version, [
    'lib',
    'licences',
    'NOTICE',
    'build-version',
    'sha256.json',
    'sbom.cdx.json',
  ])
  writeJson(join(folder, 'sbom.cdx.json'), sbom(manifest, components(folder, version), librariesOnly(files)))
  writeJson(join(folder, 'package.json'), manifest)
  return folder
}

/** @template T @param {Record<string, T>} files @returns {Record<string, T>} */
const librariesOnly = files => Object.fromEntries(Object.entries(files).filter(([name]) => name.startsWith('lib/')))

/** PyTorch, what it says is in it by the folders of its licences, and what else NOTICE tells of. @param {string} folder @param {string} version */
function components(folder, version) {
  const parts = readdirSync(join(folder, 'licences', 'third_party')).map(name => ({ name }))
  const others = ['libgomp', ...(process.arch === 'x64' ? ['oneMKL'] : [])].map(name => ({ name }))
  return [{ name: 'pytorch', version, licence: 'BSD-3-Clause' }, ...parts, ...others]
}
