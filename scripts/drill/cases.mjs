// @ts-check
// What the drill tries: package managers by Nodes, and the ways in which programs come to the package.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MANAGERS } from './managers.mjs'
import { withProject } from './projects.mjs'

/** @typedef {{ registry: string, tools: ReturnType<typeof import('./tools.mjs').toolbox>, quick: boolean, report: Report, skip: (name: string, why: string) => void }} Drill */
/** @typedef {(name: string, result: Promise<import('./projects.mjs').Outcome>, installed?: number) => Promise<void>} Report */

const NODES = ['20', '22', '24', '26']

/** Every package manager, its tree used by every Node. @param {Drill} drill @param {RegExp} only */
export async function managers(drill, only) {
  for (const manager of MANAGERS.filter(({ name, quick }) => only.test(name) && (quick || !drill.quick))) {
    const nodes = drill.quick ? [manager.node] : NODES
    const used = withProject(drill, manager, {}, async ({ installed, train }) => {
      for (const node of nodes) {
        await drill.report(`${manager.name}, Node ${node}`, train(['esm.mjs'], { node }), installed)
      }
      await drill.report(`${manager.name}, CommonJS`, train(['cjs.cjs']), installed)
    })
    await used.catch(error => drill.report(manager.name, Promise.reject(error)))
  }
}

const RUNNERS = {
  tsx: '^4',
  esbuild: '^0.28.0',
  jest: '^30',
  vitest: '^5',
  sharp: '^0.35.0',
  'torch-learner-again': 'npm:torch-learner',
}

const bin = (/** @type {string} */ path) => join('node_modules', path)

/** @type {Record<string, { command: string[], before?: string[], nodes?: boolean }>} */
const WAYS = {
  CommonJS: { command: ['cjs.cjs'], nodes: true },
  tsx: { command: ['--import=tsx', 'typescript.ts'], nodes: true },
  'three workers': { command: ['workers.mjs'], nodes: true },
  'two copies': { command: ['copies.mjs'] },
  'beside sharp': { command: ['sharp.mjs'], nodes: true },
  esbuild: {
    before: ['bundle.mjs', 'plain'],
    command: ['bundled-plain.mjs'],
  },
  'esbuild minified': {
    before: ['bundle.mjs', 'minified'],
    command: ['bundled-minified.mjs'],
  },
  Jest: {
    command: ['--experimental-vm-modules', bin('jest/bin/jest.js'), '--config', 'jest.config.mjs', '--silent=false'],
  },
  vitest: { command: [bin('vitest/vitest.mjs'), 'run', 'fit.test.mjs', '--reporter=verbose'] },
}

/** The ways to the package, in one tree of npm 11. @param {Drill} drill @param {RegExp} only */
export async function ways(drill, only) {
  const chosen = Object.entries(WAYS).filter(([name]) => only.test(name))
  const [npm] = MANAGERS
  if (chosen.length === 0 || !npm) return
  const used = withProject(drill, npm, RUNNERS, async ({ folder, installed, train }) => {
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
    for (const [name, { nodes, ...way }] of chosen) {
      for (const node of nodes && !drill.quick ? NODES : ['20']) {
        const { command, before } = way
        await drill.report(`${name}, Node ${node}`, train(command, { node, ...(before ? { before } : {}) }), installed)
      }
    }
  })
  await used.catch(error => drill.report('a tree with tools', Promise.reject(error)))
}
