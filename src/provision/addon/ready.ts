// What a checkout needs before anything runs: an addon of the present sources, and the libtorch for it.
import { existsSync, rmSync } from 'node:fs'
import { findLibtorch } from '../libtorch/find.js'
import { provision } from '../libtorch/provision.js'
import { baseVersion } from '../libtorch/release.js'
import { buildAddon, builtAddon, builtStamp, checkTools, isUpToDate, lacksCodecs, readAddonStamp } from './build.js'
import { prebuiltAddon } from './prebuilt.js'
import { sourcesHash } from './stamp.js'
import { missingTools } from './toolchain.js'

/**
 * Makes a checkout ready. Does nothing when it is. What is asked first is what costs least: the addon that is built, a binary of the
 * same sources, then compilers, and only with these a download.
 *
 * @returns what is ready, as a sentence
 */
export async function makeReady(): Promise<string> {
  const built = readAddonStamp()
  // a libtorch without headers is enough to run what was built before
  const here = built ? findLibtorch({ version: baseVersion(built.libtorch), cuda: built.cuda }).libtorch : null
  // codecs may have been installed since: a build that finds none changes nothing
  const mayImprove = built && lacksCodecs(built) && here?.include && missingTools() === null
  if (here && isUpToDate(here) && !mayImprove) {
    return `the addon is up to date, libtorch ${here.version} in ${here.root}`
  }
  const prebuilt = prebuiltAddon(sourcesHash())
  if (prebuilt) {
    const libtorch = await provision({ version: baseVersion(prebuilt.stamp.libtorch), cuda: prebuilt.stamp.cuda })
    // one of older sources would be loaded before it
    if (existsSync(builtAddon())) for (const file of [builtAddon(), builtStamp()]) rmSync(file, { force: true })
    return `the addon in ${prebuilt.folder} is of these sources, libtorch ${libtorch.version} in ${libtorch.root}`
  }
  checkTools()
  const libtorch = await provision({ headers: true })
  console.log(`torch-learner: building the addon with libtorch ${libtorch.version} in ${libtorch.root}`)
  await buildAddon(libtorch)
  return `the addon is built, libtorch ${libtorch.version} in ${libtorch.root}`
}
