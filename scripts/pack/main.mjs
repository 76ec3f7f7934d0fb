// @ts-check
// The main package: JavaScript as a few files, types, documents, and the sources of the addon for `torch-learner build`. No source
// maps, which would be half of it, and no scripts.
import { cpSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { programs } from '../../dist/provision/programs.js'
import { bundle } from './bundle.mjs'
import { filesIn, ROOT, stage, writeJson } from './files.mjs'
import { CHECKOUT, mainManifest } from './manifests.mjs'

/** What npm takes from a package whatever its manifest says. */
const ALWAYS = ['README.md', 'LICENSE']

/** Puts the package together; returns its folder. @param {Record<string, string>} optionalDependencies */
export async function stageMain(optionalDependencies) {
  const folder = stage('main')
  const manifest = mainManifest(optionalDependencies)
  const left = manifest.files
    .filter((/** @type {string} */ name) => name.startsWith('!'))
    .map((/** @type {string} */ name) => name.slice(1))
  for (const name of [...manifest.files, ...ALWAYS]) {
    if (name.startsWith('!') || !existsSync(join(ROOT, name))) continue
    cpSync(join(ROOT, name), join(folder, name), {
      recursive: true,
      filter: source => !source.endsWith('.map') && !left.includes(source.slice(ROOT.length)),
    })
  }
  await bundle(join(folder, 'dist'), programs)
  writeJson(join(folder, 'package.json'), manifest)
  refuse(filesIn(folder))
  return folder
}

/** What would make an install compile or run something, or is too much. @param {string[]} files */
function refuse(files) {
  const gyp = files.find(name => name.endsWith('.gyp'))
  // npm runs node-gyp for it, whatever `gypfile` says
  if (gyp) throw new Error(`${gyp} would make npm compile`)
  const needed = [
    'dist/index.js',
    'dist/index.d.ts',
    'dist/cli/main.js',
    'CMakeLists.txt',
    'binding/core/addon.cc',
    'README.md',
    'LICENSE',
  ]
  const missing = needed.filter(name => !files.includes(name))
  if (missing.length > 0) throw new Error(`${CHECKOUT.name} lacks ${missing.join(', ')}`)
}
