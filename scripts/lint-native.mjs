// @ts-check
// clang-format over binding/. Where it isn't installed this says so and passes: .ci/run installs it.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { which } from '../dist/provision/index.js'

const binding = fileURLToPath(new URL('../binding', import.meta.url))
const files = readdirSync(binding, { recursive: true, encoding: 'utf8' })
  .filter(name => /\.(c|cc|cpp|cu|h)$/.test(name))
  .map(name => join(binding, name))

if (!which('clang-format')) {
  console.log('clang-format is not installed, so binding/ is not checked')
} else {
  const mode = process.argv.includes('--fix') ? ['-i'] : ['--dry-run', '-Werror']
  const { status } = spawnSync('clang-format', [...mode, ...files], { stdio: 'inherit' })
  process.exitCode = status ?? 1
}
