// @ts-check
// npm run ready: in a checkout, makes sure that there is an addon and the libtorch it needs. Does nothing when both are there.
import {
  baseVersion,
  buildAddon,
  findLibtorch,
  isUpToDate,
  lacksCodecs,
  missingTools,
  prebuiltLibtorch,
  provision,
  readAddonStamp,
} from '../dist/provision/index.js'
import { fail } from './report.mjs'

async function ready() {
  const prebuilt = prebuiltLibtorch()
  if (prebuilt) {
    const libtorch = await provision({ version: prebuilt })
    console.log(`torch-learner: prebuilt addon, libtorch ${libtorch.version} in ${libtorch.root}`)
    return
  }
  // a libtorch without headers is enough to run what was built before
  const built = readAddonStamp()
  const here = built ? findLibtorch({ version: baseVersion(built.libtorch), cuda: built.cuda }).libtorch : null
  // codecs may have been installed since: a build that finds none changes nothing
  const mayImprove = built && lacksCodecs(built) && here?.include && missingTools() === null
  if (here && isUpToDate(here) && !mayImprove) {
    console.log(`torch-learner: the addon is up to date, libtorch ${here.version} in ${here.root}`)
    return
  }
  const libtorch = await provision({ headers: true })
  console.log(`torch-learner: building the addon with libtorch ${libtorch.version} in ${libtorch.root}`)
  await buildAddon(libtorch)
}

try {
  await ready()
} catch (error) {
  fail(error)
}
