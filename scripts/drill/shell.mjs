// @ts-check
// Programs as on a machine that has Node and nothing else: no compiler, no CMake, no Python on PATH, no home with caches.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../pack/files.mjs'

/** Everything that the drill writes. The registry's copies and the tools are kept for next time. */
export const DRILL = join(ROOT, 'build', 'drill')

/** What shell scripts of package managers call. */
const PROGRAMS =
  'sh env uname dirname basename sed cat ls mkdir rm cp mv ln readlink realpath tr grep chmod cygpath'.split(' ')

/** A folder for PATH with one Node and the programs above. @param {string} node its executable @param {string} name */
export function pathWith(node, name) {
  const folder = join(DRILL, 'bin', name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  symlinkSync(node, join(folder, 'node'))
  for (const program of PROGRAMS) {
    const found = ['/usr/bin', '/bin'].map(bin => join(bin, program)).find(file => existsSync(file))
    if (found) symlinkSync(found, join(folder, program))
  }
  return folder
}

/**
 * The environment of a case: nothing of ours but this.
 * @param {string} path @param {string} home @param {string} registry
 * @returns {NodeJS.ProcessEnv}
 */
export const cleanEnv = (path, home, registry) => ({
  PATH: path,
  HOME: home,
  LANG: 'C.UTF-8',
  CI: 'true',
  NO_COLOR: '1',
  npm_config_registry: `${registry}/`,
  pnpm_config_registry: `${registry}/`,
  npm_config_cache: join(home, 'npm-cache'),
  npm_config_fund: 'false',
  npm_config_audit: 'false',
  npm_config_update_notifier: 'false',
  YARN_NPM_REGISTRY_SERVER: registry,
  YARN_UNSAFE_HTTP_WHITELIST: '127.0.0.1',
  YARN_ENABLE_TELEMETRY: '0',
  YARN_ENABLE_GLOBAL_CACHE: 'false',
  YARN_ENABLE_IMMUTABLE_INSTALLS: 'false',
  COREPACK_ENABLE_STRICT: '0',
})

/**
 * Runs a program to its end.
 * @param {string[]} command
 * @param {{ cwd: string, env: NodeJS.ProcessEnv, seconds?: number, onOutput?: (child: import('node:child_process').ChildProcess, text: string) => void }} options
 * @returns {Promise<{ code: number | null, signal: string | null, output: string, ms: number }>}
 */
export function run([program = '', ...args], { cwd, env, seconds = 300, onOutput }) {
  const started = performance.now()
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    const timer = setTimeout(() => child.kill('SIGKILL'), seconds * 1000)
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', text => {
        output += text
        onOutput?.(child, output)
      })
    }
    child.once('error', reject)
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, output, ms: performance.now() - started })
    })
  })
}

/** Fails with the end of what a program printed. @param {string[]} command @param {Parameters<typeof run>[1]} options */
export async function mustRun(command, options) {
  const outcome = await run(command, options)
  if (outcome.code === 0) return outcome
  const end = outcome.output.trim().split('\n').slice(-12).join('\n')
  throw new Error(`${command.slice(0, 4).join(' ')} ended with ${outcome.signal ?? outcome.code}:\n${end}`)
}
