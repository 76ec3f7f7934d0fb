// @ts-check
// npm run prebuilds: the binary that is published, in prebuilds/<platform>/ of this checkout, where it is used instead of compiling.
import { join } from 'node:path'
import { prebuild } from './pack/binary.mjs'
import { PLATFORM, ROOT } from './pack/files.mjs'
import { fail } from './report.mjs'

try {
  const folder = join(ROOT, 'prebuilds', PLATFORM)
  await prebuild(folder)
  console.log(`torch-learner: prebuilt in ${folder}`)
} catch (error) {
  fail(error)
}
