// @ts-check
// The published JavaScript as a few files: loading 300 of them took most of an import's time. Types stay a file each, as tsc made them.
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { filesIn, ROOT } from './files.mjs'

/** Where chunks that several entries share lie in dist/, and what is loaded at its first use. */
const CHUNKS = 'shared'

/**
 * Bundles the checkout's dist/ into another. Every program that runs in a process of its own is an entry under its own name, as
 * `src/provision/programs.ts` lists them; packages stay what they are.
 *
 * @param {string} dist the folder, with the types and the files that are to be replaced
 * @param {readonly string[]} programs the entries besides index.js, as paths from dist/
 * @returns esbuild's account of what imports what
 */
export async function bundle(dist, programs) {
  const entries = ['index.js', ...programs]
  for (const name of filesIn(dist)) if (name.endsWith('.js')) rmSync(join(dist, name))
  const { metafile } = await build({
    entryPoints: entries.map(name => join(ROOT, 'dist', name)),
    outbase: join(ROOT, 'dist'),
    outdir: dist,
    bundle: true,
    splitting: true,
    chunkNames: `${CHUNKS}/[name]-[hash]`,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    packages: 'external',
    // classes are known by their names: callbacks and layers in messages and tables, optimizers in checkpoints
    keepNames: true,
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'warning',
    metafile: true,
  })
  withoutEmptyFolders(dist)
  const missing = entries.filter(name => !existsSync(join(dist, name)))
  if (missing.length > 0) throw new Error(`The bundle lacks ${missing.join(', ')}`)
  return metafile
}

/** @param {string} folder */
function withoutEmptyFolders(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) withoutEmptyFolders(join(folder, entry.name))
  }
  if (readdirSync(folder).length === 0) rmdirSync(folder)
}
