// @ts-check
// libspng's source, for linking it into the binary: no distribution has an archive of it that can be linked.
//
// TORCH_LEARNER_SPNG_SOURCE names a folder with spng.c and spng.h. Else it is Debian's source package, which APT fetches
// through a list of sources of its own, derived from the machine's: a deb-src line need not be there.
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ROOT, sha256 } from './files.mjs'

/** The release that Debian 12 has; what is linked in is decided here, not by the machine. */
const RELEASE = {
  version: '0.7.3',
  sha256: 'a50cadbe808ffda1a7fab17d145f52a23b163f34b3eb3696c7ecb5a52340fc1d',
}

/**
 * The folder with spng.c, and beside it LICENSE.
 * @returns {Promise<string>}
 */
export async function spngSource() {
  const given = process.env.TORCH_LEARNER_SPNG_SOURCE
  if (given) {
    if (existsSync(join(given, 'spng.c'))) return given
    throw new Error(`TORCH_LEARNER_SPNG_SOURCE is ${given}, where there is no spng.c`)
  }
  const kept = join(ROOT, 'build', `libspng-${RELEASE.version}`)
  if (!existsSync(kept)) await fetchTo(kept)
  return join(kept, 'spng')
}

/** @param {string} kept */
async function fetchTo(kept) {
  const temporary = mkdtempSync(join(tmpdir(), 'torch-learner-spng-'))
  try {
    const archive = fromApt(temporary)
    const found = await sha256(archive)
    if (found !== RELEASE.sha256) {
      throw new Error(
        `APT's source of libspng is not release ${RELEASE.version}: its sha256 is ${found}, expected ${RELEASE.sha256}. ` +
          'Set TORCH_LEARNER_SPNG_SOURCE to the folder spng/ of that release',
      )
    }
    const unpacked = join(temporary, 'unpacked')
    mkdirSync(unpacked)
    execFileSync('tar', ['xzf', archive, '--strip-components=1', '-C', unpacked])
    mkdirSync(join(ROOT, 'build'), { recursive: true })
    // a folder that is there is whole
    const partial = `${kept}.${process.pid}`
    cpSync(unpacked, partial, { recursive: true })
    renameSync(partial, kept)
  } finally {
    rmSync(temporary, { recursive: true })
  }
}

/** Downloads the source package into a folder. @param {string} folder @returns {string} its archive */
function fromApt(folder) {
  for (const name of ['lists/partial', 'cache/archives/partial', 'sources.d']) {
    mkdirSync(join(folder, name), { recursive: true })
  }
  writeSourceLists(join(folder, 'sources.d'))
  const options = [
    'Dir::Etc::sourcelist=/dev/null',
    `Dir::Etc::sourceparts=${join(folder, 'sources.d')}`,
    `Dir::State::lists=${join(folder, 'lists')}`,
    `Dir::Cache=${join(folder, 'cache')}`,
    'APT::Sandbox::User=root',
  ].flatMap(option => ['-o', option])
  try {
    apt([...options, 'update'], folder)
    apt([...options, 'source', '--download-only', `libspng=${RELEASE.version}-3`], folder)
  } catch (error) {
    const { message } = /** @type {Error} */ (error)
    throw new Error(
      `no source of libspng ${RELEASE.version} (set TORCH_LEARNER_SPNG_SOURCE to the folder spng/ of that release): ${message}`,
    )
  }
  const archive = readdirSync(folder).find(name => name.endsWith('.orig.tar.gz'))
  if (archive) return join(folder, archive)
  throw new Error(`APT's source package of libspng ${RELEASE.version} has no .orig.tar.gz`)
}

/** @param {string[]} args @param {string} cwd */
const apt = (args, cwd) => execFileSync('apt-get', args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] })

/** The machine's own lists with sources in place of binaries. @param {string} target */
function writeSourceLists(target) {
  const parts = '/etc/apt/sources.list.d'
  const files = existsSync(parts) ? readdirSync(parts).map(name => join(parts, name)) : []
  for (const [index, file] of ['/etc/apt/sources.list', ...files].entries()) {
    if (!existsSync(file)) continue
    const text = readFileSync(file, 'utf8')
    if (file.endsWith('.sources')) {
      const sources = text.replace(/^Types:.*$/gm, 'Types: deb-src')
      writeFileSync(join(target, `${index}.sources`), sources)
    } else if (file.endsWith('.list')) {
      const sources = text.replace(/^deb-src\s.*$/gm, '').replace(/^deb\s/gm, 'deb-src ')
      writeFileSync(join(target, `${index}.list`), sources)
    }
  }
}

// Run by itself it says where the source is: `TORCH_LEARNER_SPNG_SOURCE=$(node scripts/pack/spng.mjs)`
if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await spngSource())
