// Is there something to compile with, and if not: the command that installs it here.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { hasCode } from '../../check/index.js'
import { buildCommand } from '../commands.js'

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

interface PackageManager {
  readonly program: string
  readonly install: string
  /** Wants to be run as root. */
  readonly root: boolean
  /** The packages to build with. */
  readonly tools: string
  readonly codecs: string
}

const MANAGERS: readonly PackageManager[] = [
  {
    program: 'apt-get',
    install: 'apt-get install -y',
    root: true,
    tools: 'cmake ninja-build g++',
    codecs: 'libspng-dev libjpeg-dev',
  },
  {
    program: 'dnf',
    install: 'dnf install -y',
    root: true,
    tools: 'cmake ninja-build gcc-c++',
    codecs: 'libspng-devel libjpeg-turbo-devel',
  },
  {
    program: 'apk',
    install: 'apk add',
    root: true,
    tools: 'cmake samurai g++',
    codecs: 'libspng-dev libjpeg-turbo-dev',
  },
  {
    program: 'pacman',
    install: 'pacman -S',
    root: true,
    tools: 'cmake ninja gcc',
    codecs: 'libspng libjpeg-turbo',
  },
  {
    program: 'zypper',
    install: 'zypper install',
    root: true,
    tools: 'cmake ninja gcc-c++',
    codecs: 'libspng-devel libjpeg8-devel',
  },
  { program: 'brew', install: 'brew install', root: false, tools: 'cmake ninja', codecs: 'libspng jpeg-turbo' },
]

/** A machine as the advice needs it. */
export interface Machine {
  readonly env?: NodeJS.ProcessEnv
  /** Whether this process may install packages. */
  readonly isRoot?: boolean
}

/** The whole command that installs packages here, or null where no package manager is known. */
function installCommand(
  packages: (manager: PackageManager) => string,
  { env = process.env, isRoot = process.getuid?.() === 0 }: Machine,
): string | null {
  const manager = MANAGERS.find(({ program }) => which(program, env) !== null)
  if (!manager) return null
  const command = `${manager.install} ${packages(manager)}`
  if (!manager.root || isRoot) return `\`${command}\``
  return which('sudo', env) ? `\`sudo ${command}\`` : `\`${command}\` as root`
}

/** The first release of CMake that CMakeLists.txt can be read by. */
const CMAKE = '3.20'

/** What is wrong with the CMake of this machine, or null. */
function cmakeProblem(env: NodeJS.ProcessEnv): string | null {
  const path = which('cmake', env)
  if (!path) return `cmake (${CMAKE} or newer)`
  const { stdout } = spawnSync(path, ['--version'], { env, encoding: 'utf8', timeout: 10_000 })
  const version = /cmake version (\d+\.\d+)/.exec(stdout ?? '')?.[1]
  // one that doesn't say is left to the build
  if (version === undefined || version.localeCompare(CMAKE, 'en', { numeric: true }) >= 0) return null
  return `cmake (${CMAKE} or newer; ${path} is ${version})`
}

/**
 * One sentence that says what is missing and which command brings it, or null when nothing is. The command has the codecs too:
 * a build without them works, and decodes PNG and JPEG slowly.
 */
export function missingTools(machine: Machine = {}): string | null {
  const { env = process.env } = machine
  const has = (program: string) => which(program, env) !== null
  const missing: string[] = []
  const cmake = cmakeProblem(env)
  if (cmake) missing.push(cmake)
  if (!env.CXX && !['c++', 'g++', 'clang++'].some(has)) missing.push('a C++20 compiler')
  if (!['ninja', 'make'].some(has)) missing.push('ninja or make')
  if (missing.length === 0) return null
  const install = installCommand(({ tools, codecs }) => `${tools} ${codecs}`, machine)
  const first = install ? `Install them with ${install}` : 'Install them'
  return (
    `Building the native addon needs ${missing.join(' and ')}, not found on PATH. ${first}, ` +
    `then run \`${buildCommand()}\``
  )
}

/**
 * One sentence for an addon that decodes PNG or JPEG by sharp, which takes several times as long: which, and the commands that
 * change it. Null when it decodes both natively.
 *
 * @param codecs what the addon decodes by itself
 */
export function codecAdvice(codecs: readonly string[], machine: Machine = {}): string | null {
  const missing = ['png', 'jpeg'].filter(name => !codecs.includes(name))
  if (missing.length === 0) return null
  const libraries = missing.map(name => (name === 'png' ? 'libspng' : 'libjpeg-turbo')).join(' and ')
  const formats = missing.map(name => name.toUpperCase()).join(' and ')
  const install = installCommand(manager => manager.codecs, machine)
  const first = install ? `run ${install}` : 'install their development packages'
  return (
    `built without ${libraries}, so ${formats} files are decoded by sharp, several times slower than natively. ` +
    `To change that, ${first} and then \`${buildCommand()}\``
  )
}

/** Compilers here take up to 2 GB each; more of them than fit in memory only swap. */
export const parallelJobs = (cpus: number, bytes: number): number =>
  Math.max(1, Math.min(cpus, Math.floor(bytes / 2 ** 31)))
