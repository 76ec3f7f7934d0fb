// @ts-check
// Which Debian package a file of this machine is from: its version goes into the list of contents, its copyright into the
// licences.
import { execFileSync } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { join } from 'node:path'

/**
 * @param {string} file
 * @returns {{ name: string, version: string, copyright: string }}
 */
export function packageOf(file) {
  for (const path of new Set([file, file.replace(/^\/usr\/lib\//, '/lib/'), realpathSync(file)])) {
    const name = owner(path)
    if (name === null) continue
    const version = dpkg(['--show', `--showformat=$\{Version}`, name])
    const copyright = join('/usr/share/doc', name.split(':')[0] ?? '', 'copyright')
    if (!existsSync(copyright)) throw new Error(`the licence of ${name} is not at ${copyright}`)
    return { name, version, copyright }
  }
  throw new Error(`no Debian package has ${file}: binaries for others are made on Debian, where its licence is known`)
}

/** @param {string} path */
function owner(path) {
  try {
    return dpkg(['--search', path]).split(': ')[0] ?? null
  } catch (error) {
    // 1: no package has it
    if (/** @type {{ status?: number }} */ (error).status === 1) return null
    throw error
  }
}

/** @param {string[]} args */
const dpkg = args => execFileSync('dpkg-query', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
