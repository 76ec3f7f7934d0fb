// Which addon the loader would take, for commands that provide what it lacks. src/native/locate.ts, which loads it, is
// stricter and says what is wrong.

import { join, resolve } from 'node:path'
import { packageRoot } from '../root.js'
import { cachedAddon } from './build.js'
import { type Prebuilt, prebuiltAddon } from './prebuilt.js'
import { stampIn } from './stamp.js'

/** The addon that is here, wherever it came from; null without one. */
export function anyAddon(env: NodeJS.ProcessEnv = process.env): Prebuilt | null {
  const roots = env.TORCH_LEARNER_PREBUILD ? [resolve(env.TORCH_LEARNER_PREBUILD)] : [packageRoot()]
  const platform = `${process.platform}-${process.arch}`
  const folders = roots.flatMap(root => [join(root, 'build', 'Release'), join(root, 'prebuilds', platform)])
  for (const folder of folders) {
    const stamp = stampIn(folder)
    if (stamp) return { folder, stamp }
  }
  if (env.TORCH_LEARNER_PREBUILD) return null
  const prebuilt = prebuiltAddon()
  if (prebuilt) return prebuilt
  const stamp = stampIn(cachedAddon())
  return stamp && { folder: cachedAddon(), stamp }
}
