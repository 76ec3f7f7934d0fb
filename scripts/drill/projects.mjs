// @ts-check
// Empty folders in which the packages are installed, and programs run as a user's.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CHECKOUT } from '../pack/manifests.mjs'
import { start, writeProject } from './managers.mjs'
import { cleanEnv, DRILL, mustRun, pathWith, run } from './shell.mjs'

const PROGRAMS = fileURLToPath(new URL('programs', import.meta.url))

/** Removes what a drill that was interrupted has left: each project is 370 MB. */
export function removeLeftovers() {
  if (!existsSync(DRILL)) return
  for (const name of readdirSync(DRILL).filter(entry => /^(project|home)-/.test(entry))) {
    rmSync(join(DRILL, name), { recursive: true, force: true })
  }
}

/** What every project depends on. @returns {Record<string, string>} */
export const ours = () => ({ [CHECKOUT.name]: CHECKOUT.version })

/**
 * @typedef {object} Project
 * @property {string} folder
 * @property {number} installed milliseconds
 * @property {(program: string[], options?: ProgramOptions) => ReturnType<typeof run>} runProgram
 * @property {(program: string[], options?: ProgramOptions) => Promise<Outcome>} train a program that prints its outcome
 */
/** @typedef {{ node?: string, before?: string[], seconds?: number, onOutput?: Parameters<typeof run>[1]['onOutput'] }} ProgramOptions */
/** @typedef {{ import: number | undefined, loss: number | null, ms: number }} Outcome */

/**
 * Installs torch-learner and `others` by a package manager, calls `use`, and removes all.
 * @template T
 * @param {{ registry: string, tools: ReturnType<typeof import('./tools.mjs').toolbox> }} drill
 * @param {import('./managers.mjs').Manager} manager
 * @param {Record<string, string>} others
 * @param {(project: Project) => Promise<T>} use
 */
export async function withProject({ registry, tools }, manager, others, use) {
  mkdirSync(DRILL, { recursive: true })
  const folder = mkdtempSync(join(DRILL, 'project-'))
  const home = mkdtempSync(join(DRILL, 'home-'))
  try {
    const node = await tools.node(manager.node)
    const program = await tools.manager(...manager.tool)
    const env = cleanEnv(pathWith(node, manager.node), home, registry)
    writeProject(folder, manager, { ...ours(), ...others })
    const { ms } = await mustRun([...start(node, program), ...manager.install], { cwd: folder, env })
    cpSync(PROGRAMS, folder, { recursive: true })

    /** @type {Project['runProgram']} */
    const runProgram = async (command, options = {}) => {
      const major = options.node ?? manager.node
      const executable = await tools.node(major)
      const own = { ...cleanEnv(pathWith(executable, major), home, registry), ...manager.env }
      const { before, seconds = 120, onOutput } = options
      const settings = { cwd: folder, env: own, seconds, ...(onOutput ? { onOutput } : {}) }
      if (before) await mustRun([executable, ...before], settings)
      return run([executable, ...command], settings)
    }
    /** @type {Project['train']} */
    const train = async (command, options) => readOutcome(await runProgram(command, options))
    return await use({ folder, installed: ms, runProgram, train })
  } finally {
    for (const path of [folder, home]) rmSync(path, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** @param {Awaited<ReturnType<typeof run>>} ran @returns {Outcome} */
export function readOutcome({ code, signal, output, ms }) {
  const line = /^.*DRILL (\{.*\})/m.exec(output)?.[1]
  if (code === 0 && line) return { ...JSON.parse(line), ms }
  const end = output.trim().split('\n').slice(-8).join('\n')
  throw new Error(`ended with ${signal ?? code}: ${end}`)
}
