// What is published is a bundle of dist/: it is the same package, in a few files, and loads nothing that it doesn't need.
import { existsSync, symlinkSync } from 'node:fs'
import { cp, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { programs } from '../dist/provision/programs.js'
import { packageRoot } from '../dist/provision/root.js'
import { bundle } from '../scripts/pack/bundle.mjs'
import { runNode } from './helpers/child.js'
import { temporaryFolder } from './helpers/pictures.js'

const root = packageRoot()

async function bundled(t: ExecutionContext) {
  const folder = await temporaryFolder(t)
  await cp(join(root, 'package.json'), join(folder, 'package.json'))
  for (const name of ['build', 'prebuilds', 'node_modules']) {
    if (existsSync(join(root, name))) symlinkSync(join(root, name), join(folder, name))
  }
  const dist = join(folder, 'dist')
  await mkdir(dist)
  return { dist, made: await bundle(dist, programs) }
}

test('every program is a file of its own under its own name; all else is in a few', async t => {
  const { dist } = await bundled(t)
  const files = await readdir(dist, { recursive: true })
  for (const name of programs) t.true(files.includes(name), name)
  t.true(programs.includes('cli/main.js'))
  t.true(files.filter(name => name.endsWith('.js')).length <= 10 + programs.length, String(files))
})

test('an import loads Node’s own modules only: other packages come at their first use', async t => {
  const { made } = await bundled(t)
  const external = Object.values(made.outputs).flatMap(({ imports }) => imports.filter(one => one.external))
  const atOnce = external.filter(({ kind }) => kind === 'import-statement').map(({ path }) => path)
  t.deepEqual(
    atOnce.filter(path => !path.startsWith('node:')),
    [],
  )
  for (const name of ['sharp', '@resvg/resvg-js', 'tar', 'yauzl']) {
    t.true(
      external.some(({ kind, path }) => kind === 'dynamic-import' && path === name),
      name,
    )
  }
})

test('it has the exports of the checkout’s, classes by the same names, and zod from the first check on', async t => {
  const { dist } = await bundled(t)
  const source = `
    import { createRequire } from 'node:module'
    const isThere = () => Object.keys(createRequire(import.meta.url).cache).some(file => /[\\\\/]zod[\\\\/]/.test(file))
    const lib = await import(${JSON.stringify(pathToFileURL(join(dist, 'index.js')).href)})
    const before = isThere()
    const linear = new lib.nn.Linear(2, 3, { bias: false })
    let message
    try { new lib.MixUp({ alhpa: 1 }) } catch (error) { message = error.message }
    const names = all => Object.entries(all).filter(([, value]) => typeof value === 'function').map(([name, value]) => [name, value.name])
    console.log(JSON.stringify({ before, after: isThere(), message, repr: String(linear), keys: Object.keys(lib).sort(),
      names: [...names(lib), ...names(lib.nn)], sum: await lib.tensor([1, 2]).sum().item() }))
  `
  const { code, stdout, stderr } = await runNode(['--input-type=module', '-e', source])
  t.is(code, 0, stderr)
  const said = JSON.parse(stdout)
  const own = await import('torch-learner')
  const names = (all: object) => {
    return Object.entries(all).flatMap(([name, value]) => (typeof value === 'function' ? [[name, value.name]] : []))
  }
  t.false(said.before)
  t.true(said.after)
  t.is(said.sum, 3)
  t.regex(said.message, /^Expected only alpha, .* for MixUp's options but received "alhpa"/)
  t.is(said.repr, String(new own.nn.Linear(2, 3, { bias: false })))
  t.deepEqual(said.keys, Object.keys(own).sort())
  t.deepEqual(said.names, [...names(own), ...names(own.nn)])
})
