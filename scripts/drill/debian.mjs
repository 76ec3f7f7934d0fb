// @ts-check
// Bare Debian systems: a chroot with the smallest set of packages, and Node and npm from their npm packages.
import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { which } from '../../dist/provision/index.js'
import { MANAGERS, writeProject } from './managers.mjs'
import { ours, readOutcome } from './projects.mjs'
import { cleanEnv, DRILL, mustRun, run } from './shell.mjs'

/** @type {[name: string, suite: string][]} */
const RELEASES = [
  ['Debian 11', 'bullseye'],
  ['Debian 12', 'bookworm'],
]

/** Why no chroot can be made here, or null. */
function obstacle() {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux'
  const missing = ['debootstrap', 'unshare', 'chroot'].filter(program => which(program) === null)
  return missing.length > 0 ? `needs ${missing.join(', ')}` : null
}

/** @param {import('./cases.mjs').Drill} drill @param {RegExp} only */
export async function debian(drill, only) {
  for (const [name, suite] of RELEASES.filter(([release]) => only.test(release))) {
    const why = drill.quick ? 'left out by --quick' : obstacle()
    if (why !== null) drill.skip(name, why)
    else await inChroot(drill, name, suite).catch(error => drill.report(name, Promise.reject(error)))
  }
}

/** The system's folder: made once, and used as a new one whenever what the drill puts there has been removed. @param {string} suite */
async function system(suite) {
  const root = join(DRILL, 'tools', `debian-${suite}`)
  if (existsSync(root)) return root
  const partial = `${root}.partial`
  rmSync(partial, { recursive: true, force: true })
  mkdirSync(dirname(root), { recursive: true })
  const env = { PATH: process.env.PATH, DEBIAN_FRONTEND: 'noninteractive' }
  await mustRun(['debootstrap', '--variant=minbase', suite, partial], { cwd: DRILL, env, seconds: 900 })
  renameSync(partial, root)
  return root
}

/** @param {import('./cases.mjs').Drill} drill @param {string} name @param {string} suite */
async function inChroot({ registry, tools, report }, name, suite) {
  const root = await system(suite)
  const inside = join(root, 'drill')
  const [npm] = MANAGERS
  if (!npm) throw new Error('no package manager')
  try {
    rmSync(inside, { recursive: true, force: true })
    for (const folder of ['bin', 'project', 'home']) mkdirSync(join(inside, folder), { recursive: true })
    cpSync(await tools.node('22'), join(inside, 'bin', 'node'))
    const program = await tools.manager(...npm.tool)
    cpSync(join(dirname(program), '..'), join(inside, 'npm'), { recursive: true })
    writeProject(join(inside, 'project'), npm, ours())
    const env = cleanEnv('/drill/bin:/usr/bin:/bin', '/drill/home', registry)
    /** @param {string} command */
    const enter = command => {
      const mounts = ['proc', 'dev'].map(mount => `mount --bind /${mount} '${root}/${mount}'`).join(' && ')
      const script = `${mounts} && exec chroot '${root}' /usr/bin/env -i "$@" /bin/sh -c 'cd /drill/project && exec ${command}'`
      const variables = Object.entries(env).map(([key, value]) => `${key}=${value}`)
      return ['unshare', '--mount', 'sh', '-c', script, 'sh', ...variables]
    }
    const here = { cwd: root, env: { PATH: process.env.PATH } }
    const { ms } = await mustRun(enter('node /drill/npm/bin/npm-cli.js install'), here)
    cpSync(fileURLToPath(new URL('programs', import.meta.url)), join(inside, 'project'), { recursive: true })
    await report(`${name}, npm 11, Node 22`, run(enter('node esm.mjs'), here).then(readOutcome), ms)
  } finally {
    rmSync(inside, { recursive: true, force: true })
  }
}
