// What brings a machine to where the addon runs: libtorch, the compiled addon, files that are fetched. What the other folders
// of src/ and the scripts of developers may use; nothing here loads the addon.

export { buildAddon, builtAddon, builtStamp, isUpToDate, lacksCodecs, readAddonStamp } from './addon/build.js'
export { prebuiltLibtorch } from './addon/prebuilt.js'
export { codecAdvice, missingTools, which } from './addon/toolchain.js'
export { fetchFile } from './fetch/fetch-file.js'
export { cachedLibtorch, cacheFolder, findLibtorch, type Libtorch } from './libtorch/find.js'
export { provision } from './libtorch/provision.js'
export { baseVersion, VERSION } from './libtorch/release.js'
export { withLock } from './lock.js'
export { program } from './programs.js'
export { packageRoot, packageVersion } from './root.js'
export { unzip, type ZipEntry } from './unzip.js'
