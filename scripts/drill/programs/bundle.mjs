import { build } from 'esbuild'

const [how] = process.argv.slice(2)
await build({
  entryPoints: ['esm.mjs'],
  outfile: `bundled-${how}.mjs`,
  bundle: true,
  format: 'esm',
  platform: 'node',
  external: ['torch-learner'],
  minify: how === 'minified',
})
