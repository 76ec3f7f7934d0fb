// @ts-check
// Is there something to compile with, and if not: the command that installs it here.
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Full path of a program on PATH, or null. @param {string} program @param {NodeJS.ProcessEnv} [env] */
export function which(program, env = process.env) {
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    const path = join(folder, program)
    if (folder !== '' && isExecutable(path)) return path
  }
  return null
}

/** @param {string} path */
function isExecutable(path) {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return false
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EACCES') return false
    throw error
  }
}

const INSTALL = [
  ['apt-get', 'sudo apt-get install -y cmake ninja-build g++'],
  ['dnf', 'sudo dnf install -y cmake ninja-build gcc-c++'],
  ['apk', 'sudo apk add cmake samurai g++'],
  ['pacman', 'sudo pacman -S cmake ninja gcc'],
  ['zypper', 'sudo zypper install cmake ninja gcc-c++'],
  ['brew', 'brew install cmake ninja'],
]

/**
 * One sentence that says what is missing and which command brings it, or null when nothing is.
 * @param {NodeJS.ProcessEnv} [env]
 */
export function missingTools(env = process.env) {
  /** @param {string} program */
  const has = program => which(program, env) !== null
  const missing = []
  if (!has('cmake')) missing.push('cmake (3.20 or newer)')
  if (!env.CXX && !['c++', 'g++', 'clang++'].some(has)) missing.push('a C++20 compiler')
  if (!['ninja', 'make'].some(has)) missing.push('ninja or make')
  if (missing.length === 0) return null
  const command = INSTALL.find(([manager]) => manager && has(manager))?.[1]
  const hint = command ? `install with \`${command}\`, then run \`npm rebuild torch-learner\`` : 'install it and retry'
  return `Building the native addon needs ${missing.join(' and ')}, not found on PATH: ${hint}`
}

/** Compilers here take up to 2 GB each; more of them than fit in memory only swap. @param {number} cpus @param {number} bytes */
export const parallelJobs = (cpus, bytes) => Math.max(1, Math.min(cpus, Math.floor(bytes / 2 ** 31)))
