// @ts-check
// The Nodes and package managers that the drill runs, each from its npm package, in build/drill/tools.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PLATFORM, readJson } from '../pack/files.mjs'
import { cleanEnv, DRILL, mustRun, pathWith } from './shell.mjs'

const npmHere = join(process.execPath, '..', '..', 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js')

/** @param {string} registry */
export function toolbox(registry) {
  const home = join(DRILL, 'home')
  const env = cleanEnv(pathWith(process.execPath, 'here'), home, registry)

  /** Installs `name@range` once; returns the package's folder. @param {string} name @param {string} range @param {boolean} [scripts] */
  async function tool(name, range, scripts = false) {
    const folder = join(DRILL, 'tools', `${name.replace('/', '-')}-${range}`)
    const target = join(folder, 'node_modules', name)
    if (existsSync(join(folder, 'whole'))) return target
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{}\n')
    const flags = ['--no-save', ...(scripts ? [] : ['--ignore-scripts'])]
    await mustRun([process.execPath, npmCli(), 'install', ...flags, `${name}@${range}`], { cwd: folder, env })
    writeFileSync(join(folder, 'whole'), '')
    return target
  }

  return {
    /** The executable of a Node. @param {string} major or 'here' */
    async node(major) {
      if (major === 'here' || process.versions.node.startsWith(`${major}.`)) return process.execPath
      return join(await tool(`node-${PLATFORM}`, major), 'bin', 'node')
    },
    /** The program of a package manager, as a script for Node. @param {string} name @param {string} range @param {string} command */
    async manager(name, range, command) {
      const folder = await tool(name, range, true)
      const { bin } = readJson(join(folder, 'package.json'))
      return join(folder, typeof bin === 'string' ? bin : bin[command])
    },
  }
}

/** npm's own program: as a script, so that any Node can run it. */
function npmCli() {
  const cli = process.env.npm_execpath?.endsWith('npm-cli.js') ? process.env.npm_execpath : npmHere
  if (existsSync(cli)) return cli
  throw new Error(`npm's program is not at ${cli}: run this as \`npm run drill\``)
}
