// @ts-check
// npm run build:native: compiles the addon against the libtorch that is found, fetching one when none is.
import { ADDON, buildAddon } from './addon/build.mjs'
import { provision } from './libtorch/provision.mjs'
import { fail } from './libtorch/report.mjs'

try {
  const libtorch = await provision({ headers: true })
  console.log(`torch-learner: building with libtorch ${libtorch.version} in ${libtorch.root}`)
  await buildAddon(libtorch)
  console.log(`torch-learner: built ${ADDON}`)
} catch (error) {
  fail(error)
}
