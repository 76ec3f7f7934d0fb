// What brings a machine to where the addon runs: libtorch, the compiled addon, files that are fetched. What the other folders
// of src/ and the scripts of developers may use; nothing here loads the addon.

export {
  buildAddon,
  buildIntoCache,
  buildRelease,
  builtAddon,
  builtStamp,
  cachedAddon,
  checkTools,
  isUpToDate,
} from './addon/build.js'
export { anyAddon } from './addon/installed.js'
export { ADDON_PACKAGE, prebuiltAddon } from './addon/prebuilt.js'
export { makeReady } from './addon/ready.js'
export { type BuildStamp, sourcesHash } from './addon/stamp.js'
export { codecAdvice, which } from './addon/toolchain.js'
export { withAutoSetup } from './auto-setup.js'
export { type CacheEntry, cacheEntries, KINDS, removeEntry } from './cache.js'
export { buildCommand, isCheckout, setupCommand } from './commands.js'
export { fetchFile } from './fetch/fetch-file.js'
export { freeBytes } from './fetch/room.js'
export { datasetsFolder, weightsFolder } from './folders.js'
export { mappedFiles, processLibc, refuseMusl } from './libc.js'
export {
  cachedLibtorch,
  cacheFolder,
  findLibtorch,
  type Libtorch,
  type LibtorchPlace,
  type Step,
} from './libtorch/find.js'
export { provision } from './libtorch/provision.js'
export { libtorchRecords } from './libtorch/records.js'
export { baseVersion, SIZES, VERSION } from './libtorch/release.js'
export { placeOf, type Source, sourceOf } from './libtorch/source.js'
export { isAlive, withLock } from './lock.js'
export { ABSENT, obstacle, obstacleToWriting } from './obstacle.js'
export { runProgram } from './programs.js'
export { type FileRecords, recordFiles, wrongHashes, wrongSize } from './records.js'
export { packageRoot, packageVersion } from './root.js'
export { unzip, type ZipEntry } from './unzip.js'
