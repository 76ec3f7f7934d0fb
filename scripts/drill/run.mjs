// @ts-check
// npm run drill [-- --quick] [-- --only <words>]: installs the tarballs in npm/ as users do, in empty folders, by every package
// manager, with a PATH on which there is Node and no compiler, and trains. Prints one table.
import { parseArgs } from 'node:util'
import { messageOf } from '../../dist/check/index.js'
import { fail } from '../report.mjs'
import { managers, ways } from './cases.mjs'
import { debian } from './debian.mjs'
import { exits } from './exits.mjs'
import { removeLeftovers } from './projects.mjs'
import { startRegistry } from './registry.mjs'
import { compareLosses, table } from './table.mjs'
import { toolbox } from './tools.mjs'

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string', default: '' } },
})

/** @type {import('./table.mjs').Row[]} */
const rows = []

/** @type {import('./cases.mjs').Report} */
async function report(name, result, installed) {
  try {
    const { import: loaded, loss, ms } = await result
    rows.push({ name, installed, loaded, loss, ms, error: null })
  } catch (error) {
    rows.push({ name, installed, error: messageOf(error) })
  }
  const last = rows.at(-1)
  console.log(last?.error ? `FAILED ${name}: ${last.error}` : `ok ${name}`)
}

/** @param {string} name @param {string} why */
function skip(name, why) {
  rows.push({ name, error: null, skipped: why })
  console.log(`skipped ${name}: ${why}`)
}

try {
  removeLeftovers()
  const registry = await startRegistry()
  const only = new RegExp(values.only, 'i')
  const drill = { registry: registry.url, tools: toolbox(registry.url), quick: values.quick, report, skip }
  await managers(drill, only)
  await ways(drill, only)
  await exits(drill, only)
  await debian(drill, only)
  registry.close()
  compareLosses(rows)
  console.log(`\n${table(rows)}`)
  const failed = rows.filter(({ error }) => error !== null).length
  const skipped = rows.filter(row => row.skipped).length
  console.log(`\n${rows.length - failed - skipped} passed, ${failed} failed, ${skipped} skipped`)
  process.exitCode = failed === 0 && rows.length > 0 ? 0 : 1
} catch (error) {
  fail(error)
}
