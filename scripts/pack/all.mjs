// @ts-check
// npm run pack:all: the three packages of this platform as tarballs in npm/, in the order in which they are to be published.
import { fail } from '../report.mjs'
import { stageBinary } from './binary.mjs'
import { pack } from './files.mjs'
import { packLibtorch } from './libtorch.mjs'
import { stageMain } from './main.mjs'
import { ADDON_PACKAGE, CHECKOUT, LIBTORCH_PACKAGE, libtorchVersion } from './manifests.mjs'

try {
  const { folder, libtorch } = await stageBinary()
  await packLibtorch()
  pack(folder)
  pack(await stageMain({ [ADDON_PACKAGE]: CHECKOUT.version, [LIBTORCH_PACKAGE]: libtorchVersion(libtorch) }))
} catch (error) {
  fail(error)
}
