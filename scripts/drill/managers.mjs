// @ts-check
// How each package manager installs packages into an empty folder, and in which environment programs run there.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeJson } from '../pack/files.mjs'

/**
 * @typedef {object} Manager
 * @property {string} name in the table
 * @property {[name: string, range: string, command: string]} tool
 * @property {string} node the oldest of our Nodes that it runs on
 * @property {string} [yarnrc] its .yarnrc.yml
 * @property {string[]} install its arguments
 * @property {boolean} [quick] `--quick` tries it, too
 * @property {Record<string, string>} [env] in which programs run
 */

/** @type {Manager[]} */
export const MANAGERS = [
  { name: 'npm 11', tool: ['npm', '11', 'npm'], node: '20', install: ['install'], quick: true },
  {
    name: 'npm 12 strict',
    tool: ['npm', '12', 'npm'],
    node: '22',
    install: ['install', '--strict-allow-scripts'],
    quick: true,
  },
  { name: 'pnpm 9', tool: ['pnpm', '9', 'pnpm'], node: '20', install: ['install', '--no-frozen-lockfile'] },
  { name: 'pnpm 10', tool: ['pnpm', '10', 'pnpm'], node: '20', install: ['install', '--no-frozen-lockfile'] },
  {
    name: 'pnpm 12',
    tool: ['pnpm', '12', 'pnpm'],
    node: '20',
    install: ['install', '--no-frozen-lockfile'],
    quick: true,
  },
  {
    name: 'yarn 4 modules',
    tool: ['@yarnpkg/cli-dist', '4', 'yarn'],
    node: '20',
    yarnrc: 'nodeLinker: node-modules\n',
    install: ['install'],
  },
  {
    name: 'yarn 4 PnP',
    tool: ['@yarnpkg/cli-dist', '4', 'yarn'],
    node: '20',
    yarnrc: 'nodeLinker: pnp\n',
    install: ['install'],
    quick: true,
    env: { NODE_OPTIONS: '--require ./.pnp.cjs --experimental-loader ./.pnp.loader.mjs --no-warnings' },
  },
]

/**
 * Writes an empty project that depends on packages.
 * @param {string} folder @param {Manager} manager @param {Record<string, string>} dependencies
 */
export function writeProject(folder, manager, dependencies) {
  writeJson(join(folder, 'package.json'), { name: 'drill', version: '1.0.0', private: true, dependencies })
  if (!manager.yarnrc) return
  writeFileSync(join(folder, '.yarnrc.yml'), manager.yarnrc)
  // else Yarn takes the folder for a part of a project further up
  writeFileSync(join(folder, 'yarn.lock'), '')
}

/** The command that starts a manager's program with a Node. @param {string} node @param {string} program */
export const start = (node, program) => (/\.[cm]?js$/.test(program) ? [node, program] : [program])
