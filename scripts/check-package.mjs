// @ts-check
// Packs the main package as it is published, and asks publint and are-the-types-wrong what a user would stumble over.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pack, ROOT } from './pack/files.mjs'
import { stageMain } from './pack/main.mjs'
import { fail } from './report.mjs'

/** @param {string} command of a development dependency @param {string[]} args */
const run = (command, args) =>
  execFileSync(join(ROOT, 'node_modules', '.bin', command), args, { cwd: ROOT, stdio: 'inherit' })

const folder = mkdtempSync(join(tmpdir(), 'torch-learner-pack-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
try {
  const tarball = pack(await stageMain({}), folder)
  run('publint', ['run', tarball, '--strict'])
  run('attw', [tarball, '--profile', 'esm-only'])
} catch (error) {
  fail(error)
}
