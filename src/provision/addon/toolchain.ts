// Is there something to compile with, and if not: the command that installs it here.
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { hasCode } from '../../check/index.js'

/** Full path of a program on PATH, or null. */
export function which(program: string, env: NodeJS.ProcessEnv = process.env): string | null {
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    const path = join(folder, program)
    if (folder !== '' && isExecutable(path)) return path
  }
  return null
}

function isExecutable(path: string): boolean {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return false
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch (error) {
    if (hasCode(error, 'EACCES')) return false
    throw error
  }
}

/** Of each package manager: what it is called with, the packages to build with, and the codecs. */
const INSTALL = [
  {
    manager: 'apt-get',
    install: 'sudo apt-get install -y',
    tools: 'cmake ninja-build g++',
    codecs: 'libspng-dev libjpeg-dev',
  },
  {
    manager: 'dnf',
    install: 'sudo dnf install -y',
    tools: 'cmake ninja-build gcc-c++',
    codecs: 'libspng-devel libjpeg-turbo-devel',
  },
  { manager: 'apk', install: 'sudo apk add', tools: 'cmake samurai g++', codecs: 'libspng-dev libjpeg-turbo-dev' },
  { manager: 'pacman', install: 'sudo pacman -S', tools: 'cmake ninja gcc', codecs: 'libspng libjpeg-turbo' },
  {
    manager: 'zypper',
    install: 'sudo zypper install',
    tools: 'cmake ninja gcc-c++',
    codecs: 'libspng-devel libjpeg8-devel',
  },
  { manager: 'brew', install: 'brew install', tools: 'cmake ninja', codecs: 'libspng jpeg-turbo' },
]

/** One sentence that says what is missing and which command brings it, or null when nothing is. */
export function missingTools(env: NodeJS.ProcessEnv = process.env): string | null {
  const has = (program: string) => which(program, env) !== null
  const missing: string[] = []
  if (!has('cmake')) missing.push('cmake (3.20 or newer)')
  if (!env.CXX && !['c++', 'g++', 'clang++'].some(has)) missing.push('a C++20 compiler')
  if (!['ninja', 'make'].some(has)) missing.push('ninja or make')
  if (missing.length === 0) return null
  const here = INSTALL.find(({ manager }) => has(manager))
  const hint = here
    ? `install with \`${here.install} ${here.tools}\`, then run \`npm rebuild torch-learner\``
    : 'install it and retry'
  return `Building the native addon needs ${missing.join(' and ')}, not found on PATH: ${hint}`
}

/**
 * One sentence for an addon that decodes PNG or JPEG by sharp, which takes several times as long: which, and the commands that
 * change it. Null when it decodes both natively.
 * @param codecs what the addon decodes by itself
 */
export function codecAdvice(codecs: readonly string[], env: NodeJS.ProcessEnv = process.env): string | null {
  const missing = ['png', 'jpeg'].filter(name => !codecs.includes(name))
  if (missing.length === 0) return null
  const libraries = missing.map(name => (name === 'png' ? 'libspng' : 'libjpeg-turbo')).join(' and ')
  const formats = missing.map(name => name.toUpperCase()).join(' and ')
  const here = INSTALL.find(({ manager }) => which(manager, env) !== null)
  const first = here ? `run \`${here.install} ${here.codecs}\`` : 'install their development packages'
  return (
    `built without ${libraries}, so ${formats} files are decoded by sharp, several times slower than natively. ` +
    `To change that, ${first} and then \`npm rebuild torch-learner\` (in a checkout of the project: \`npm run build:native\`)`
  )
}

/** Compilers here take up to 2 GB each; more of them than fit in memory only swap. */
export const parallelJobs = (cpus: number, bytes: number): number =>
  Math.max(1, Math.min(cpus, Math.floor(bytes / 2 ** 31)))
