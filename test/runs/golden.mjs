// @ts-check
// Runs the golden tests, the files that read a recording, with another environment, and says how they did.
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** @returns {string[]} the test files that compare with test/golden, or with numbers of a PyTorch that they name, but for `except` */
export function goldenFiles(except = /** @type {string[]} */ ([])) {
  const names = readdirSync(join(ROOT, 'test')).filter(name => name.endsWith('.test.ts'))
  const reads = names.filter(name =>
    /\bgolden(<|\()|PyTorch 2\.\d/.test(readFileSync(join(ROOT, 'test', name), 'utf8')),
  )
  return reads.filter(name => !except.some(start => name.startsWith(start))).map(name => `test/${name}`)
}

/**
 * @typedef {object} Outcome
 * @property {number} passed tests
 * @property {string[]} failed titles, each with what ava says about it
 * @property {boolean} isWhole whether ava ended by itself, with tests
 * @property {string} output
 */

/**
 * @param {string[]} files
 * @param {Record<string, string>} env
 * @returns {Promise<Outcome>}
 */
export async function runTests(files, env) {
  const ava = join(ROOT, 'node_modules', '.bin', 'ava')
  const child = spawn(ava, ['--tap', ...files], { cwd: ROOT, env: { ...process.env, ...env } })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', text => (output += text))
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
  const passed = output.match(/^ok \d+/gm)?.length ?? 0
  const failed = output.split(/^(?=(?:not )?ok \d+)/m).flatMap(part => {
    const [, title] = /^not ok \d+ - (.*)/.exec(part) ?? []
    const [, message] = /^ {4}message: (.*)/m.exec(part) ?? []
    return title === undefined ? [] : [message === undefined ? title : `${title}: ${message}`]
  })
  return { passed, failed, isWhole: passed > 0 && (code === 0 || failed.length > 0), output }
}

/**
 * One line about a run, and one about each failure.
 *
 * @param {string} label
 * @param {Outcome} outcome
 * @param {number} started by `performance.now()`
 * @returns {boolean} whether all is well
 */
export function tell(label, { passed, failed, isWhole, output }, started) {
  const seconds = Math.round((performance.now() - started) / 1000)
  const isWell = isWhole && failed.length === 0
  console.log(`${isWell ? '✔' : '✘'} ${label}: ${passed} passed, ${failed.length} failed (${seconds} s)`)
  for (const line of failed) console.log(`    ${line}`)
  if (!isWhole) console.log(output)
  return isWell
}
