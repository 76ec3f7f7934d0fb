// @ts-check
// npm run build:native: compiles the addon against the libtorch that is found, fetching one when none is.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

// what builds is TypeScript itself
const root = fileURLToPath(new URL('..', import.meta.url))
if (!existsSync(new URL('../dist/provision/index.js', import.meta.url)))
  execFileSync('npm', ['run', '--silent', 'build:ts'], { cwd: root, stdio: 'inherit' })

const { buildAddon, builtAddon, checkTools, provision } = await import('../dist/provision/index.js')
const { fail } = await import('./report.mjs')
try {
  checkTools()
  const libtorch = await provision({ headers: true })
  console.log(`torch-learner: building with libtorch ${libtorch.version} in ${libtorch.root}`)
  await buildAddon(libtorch)
  console.log(`torch-learner: built ${builtAddon()}`)
} catch (error) {
  fail(error)
}
