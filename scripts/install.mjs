// @ts-check
// npm's install step: makes sure that there is an addon and the libtorch it needs. Does nothing when both are there.
import { buildAddon, isUpToDate, lacksCodecs, readAddonStamp } from './addon/build.mjs'
import { prebuiltLibtorch } from './addon/prebuilt.mjs'
import { missingTools } from './addon/toolchain.mjs'
import { findLibtorch } from './libtorch/find.mjs'
import { provision } from './libtorch/provision.mjs'
import { baseVersion } from './libtorch/release.mjs'
import { fail } from './libtorch/report.mjs'

async function install() {
  if (process.env.TORCH_LEARNER_SKIP_INSTALL === '1') {
    console.log('torch-learner: TORCH_LEARNER_SKIP_INSTALL is set, so nothing is fetched or built')
    return
  }
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
  await install()
} catch (error) {
  fail(error)
}
