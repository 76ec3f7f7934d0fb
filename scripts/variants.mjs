// @ts-check
// Other builds of the addon, for tests: the targets of CMakeLists.txt that share most of its objects.
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { buildAddon, builtAddon, builtStamp, provision, recordFiles } from '../dist/provision/index.js'

/**
 * Builds the addon, and beside it the variant `name` of it in a folder of its own.
 * @param {'nocodecs' | 'asan'} name
 * @returns {Promise<{ TORCH_LEARNER_PREBUILD: string }>} what the environment must say for the variant to be loaded
 */
export async function buildVariant(name) {
  await buildAddon(await provision({ headers: true }), `torch_learner_${name}`)
  const root = join(dirname(builtAddon()), '..', name)
  const folder = join(root, 'build', 'Release')
  copyFileSync(join(dirname(builtAddon()), 'torch_learner_preload.so'), join(folder, 'torch_learner_preload.so'))
  const stamp = JSON.parse(readFileSync(builtStamp(), 'utf8'))
  if (name === 'nocodecs') stamp.codecs = []
  stamp.files = recordFiles(folder, Object.keys(stamp.files))
  writeFileSync(join(folder, 'torch_learner.json'), `${JSON.stringify(stamp, null, 2)}\n`)
  return { TORCH_LEARNER_PREBUILD: root }
}
