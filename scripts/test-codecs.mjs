// @ts-check
// npm run test:codecs [files]: the tests of pictures against an addon without libspng and libjpeg-turbo, as it is built on a
// machine that has neither. `npm test` runs them against the addon as it was built here.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { packageRoot } from '../dist/provision/index.js'
import { fail } from './report.mjs'
import { buildVariant } from './variants.mjs'

const PICTURES = [
  'test/70-*',
  'test/71-*',
  'test/73-*',
  'test/74-*',
  'test/76-more-*',
  'test/77-*',
  'test/90-quickstart*',
]

try {
  const variant = await buildVariant('nocodecs')
  const ava = join(packageRoot(), 'node_modules', 'ava', 'entrypoints', 'cli.mjs')
  const files = process.argv.length > 2 ? process.argv.slice(2) : PICTURES
  const env = { ...process.env, ...variant }
  const { status, signal } = spawnSync(process.execPath, [ava, ...files], { cwd: packageRoot(), env, stdio: 'inherit' })
  if (signal) throw new Error(`the tests ended with ${signal}`)
  process.exitCode = status ?? 1
} catch (error) {
  fail(error)
}
