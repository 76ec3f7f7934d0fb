// @ts-check
// Packs the package as npm would publish it, and asks publint and are-the-types-wrong what a user would stumble over.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packageRoot } from '../dist/provision/index.js'
import { fail } from './report.mjs'

/** Without these a user's install can't build, run or be typed. */
const NEEDED = [
  ...['package/dist/index.js', 'package/dist/index.d.ts', 'package/dist/cli/main.js', 'package/CMakeLists.txt'],
  ...['package/binding/core/addon.cc', 'package/dist/provision/programs/fetch-file.js'],
  ...['package/LICENSE', 'package/README.md'],
]

/** @param {string} command of a development dependency @param {string[]} args */
const run = (command, args) =>
  execFileSync(join(packageRoot(), 'node_modules', '.bin', command), args, { cwd: packageRoot(), stdio: 'inherit' })

const folder = mkdtempSync(join(tmpdir(), 'torch-learner-pack-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
try {
  execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder], { cwd: packageRoot() })
  const tarball = join(folder, readdirSync(folder)[0] ?? '')
  const content = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).split('\n')
  const missing = NEEDED.filter(file => !content.includes(file))
  if (missing.length > 0) throw new Error(`the package lacks ${missing.join(', ')}`)
  run('publint', ['run', tarball, '--strict'])
  run('attw', [tarball, '--profile', 'esm-only'])
} catch (error) {
  fail(error)
}
