// @ts-check
// npm run release:check [-- --quick]: all that must hold of the packages in npm/ before they are published, apart from the tests,
// which CI has run. Goes through all of it and tells at the end what is wrong.
import { spawnSync } from 'node:child_process'
import { messageOf } from '../../dist/check/index.js'
import { ROOT } from '../pack/files.mjs'
import { CHECKOUT } from '../pack/manifests.mjs'
import { fail } from '../report.mjs'
import { checkChangelog } from './changelog.mjs'
import { checkTarballs } from './tarballs.mjs'

const quick = process.argv.includes('--quick') ? ['--', '--quick'] : []

/** @param {string[]} command of npm @returns {string[]} */
function npm(...command) {
  const { status } = spawnSync('npm', ['run', ...command], { cwd: ROOT, stdio: 'inherit' })
  return status === 0 ? [] : [`npm run ${command.join(' ')} has failed: see its output above`]
}

/** @type {[name: string, check: () => string[] | Promise<string[]>][]} */
const CHECKS = [
  ['changelog', () => checkChangelog(CHECKOUT.version)],
  ['lint', () => npm('lint')],
  ['publint and are-the-types-wrong', () => npm('check:package')],
  ['tarballs: sizes, manifests, hashes, licences, glibc, paths', checkTarballs],
  ['drill', () => npm('drill', ...quick)],
]

try {
  /** @type {string[]} */
  const wrong = []
  for (const [name, check] of CHECKS) {
    console.log(`\n== ${name}`)
    try {
      wrong.push(...(await check()))
    } catch (error) {
      wrong.push(messageOf(error))
    }
  }
  if (wrong.length > 0) throw new Error(`not ready to be released:\n  ${wrong.join('\n  ')}`)
  console.log('\ntorch-learner: the packages in npm/ are ready to be published')
} catch (error) {
  fail(error)
}
