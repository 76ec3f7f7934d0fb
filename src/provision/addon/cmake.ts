// CMake through cmake-js, which knows where Node's headers are. Both it and node-addon-api are development dependencies here, and
// optional for users, who rarely compile.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { codeOf } from '../../check/index.js'
import { packageRoot } from '../root.js'
import { codecAdvice } from './toolchain.js'

/** Where a package of npm's lies that only building needs: seen from here, or from where the command was given. */
function find(request: string): string | null {
  for (const from of [import.meta.url, join(process.cwd(), 'package.json')]) {
    try {
      return createRequire(from).resolve(request)
    } catch (error) {
      if (!codeOf(error)?.endsWith('MODULE_NOT_FOUND')) throw error
    }
  }
  return null
}

/** One sentence when the packages that build are not installed, else null. */
export function missingPackages(): string | null {
  const missing = Object.entries({ 'cmake-js': CMAKE_JS, 'node-addon-api': ADDON_API })
    .filter(([, request]) => find(request) === null)
    .map(([name]) => name)
  if (missing.length === 0) return null
  return `Building the native addon needs the packages ${missing.join(' and ')}: run \`npm install --save-dev cmake-js node-addon-api\``
}

const CMAKE_JS = 'cmake-js/bin/cmake-js'
const ADDON_API = 'node-addon-api/package.json'

function required(request: string): string {
  const path = find(request)
  if (path === null) throw new Error(missingPackages() ?? `${request} is not installed`)
  return path
}

/** The folder of node-addon-api's headers, from the package's own folder, where CMake runs. */
export const addonApiFolder = (): string => relative(packageRoot(), dirname(required(ADDON_API)))

/** The version of node-addon-api. */
export const addonApiVersion = (): string => JSON.parse(readFileSync(required(ADDON_API), 'utf8')).version

/** Runs CMake in a build folder. @param command `configure` or `build`, and options of cmake-js */
export function cmakeJs(out: string, command: readonly string[]): Promise<void> {
  const options = ['--config', 'Release', '--directory', packageRoot(), '--out', out]
  const program = required(CMAKE_JS)
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...command, ...options], { stdio: 'inherit', cwd: packageRoot() })
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(`cmake-js ${command[0]} ended with ${signal ?? `code ${code}`}: see its output above`))
    })
  })
}

/** Configures a build folder, unless it is configured so already. */
export async function configure(out: string, args: readonly string[]): Promise<void> {
  // `build` alone configures only once and would keep the libtorch of last time
  if (!needsConfigure(out, args)) return
  await cmakeJs(out, ['configure', ...args])
  writeFileSync(join(out, CONFIGURED), args.join('\n'))
}

const CACHE = 'CMakeCache.txt'
const CONFIGURED = 'configured.txt'

function needsConfigure(out: string, args: readonly string[]): boolean {
  if (!existsSync(join(out, CACHE))) return true
  const home = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(readFileSync(join(out, CACHE), 'utf8'))?.[1]
  if (home !== undefined && join(home, '/') === join(packageRoot(), '/')) {
    // CMake looks again for what it has not found
    if (codecAdvice(nativeCodecs(out)) !== null) return true
    const configured = join(out, CONFIGURED)
    return !existsSync(configured) || readFileSync(configured, 'utf8') !== args.join('\n')
  }
  // CMake refuses a cache that was made elsewhere, as after a folder has been moved
  for (const name of [CACHE, 'CMakeFiles']) rmSync(join(out, name), { recursive: true, force: true })
  return true
}

/** Which formats the addon decodes by itself besides BMP and the like, as CMake has found. */
export function nativeCodecs(out: string): string[] {
  const found = /^TORCH_LEARNER_NATIVE_CODECS:INTERNAL=(.*)$/m.exec(readFileSync(join(out, CACHE), 'utf8'))?.[1]
  return found ? found.split(';') : []
}
