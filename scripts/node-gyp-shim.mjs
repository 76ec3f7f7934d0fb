#!/usr/bin/env node
// prebuildify runs `node-gyp rebuild --target=... --arch=... --release` and takes what is in build/Release. It knows
// nothing of cmake-js, so this stands in for node-gyp: the release build.
import { buildAddon, provision } from '../dist/provision/index.js'
import { fail } from './report.mjs'

try {
  const arch = process.argv.find(argument => argument.startsWith('--arch='))?.slice('--arch='.length)
  if (arch && arch !== process.arch) throw new Error(`can't prebuild for ${arch} on ${process.arch}`)
  await buildAddon(await provision({ headers: true }))
} catch (error) {
  fail(error)
}
