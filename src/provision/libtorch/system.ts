// The distribution's own libtorch-dev. Last, because a distribution's release is rarely the one that we need.
import { inspect, type Libtorch } from './find.js'
import { baseVersion, SUPPORTED } from './release.js'

const PREFIXES = ['/usr/local', '/usr', '/opt/homebrew', '/opt/libtorch']

/** @param prefixes where to look */
export function systemLibtorch(prefixes: readonly string[] = PREFIXES): Libtorch {
  for (const prefix of prefixes) {
    const seen = inspect(prefix)
    if (!seen.ok) continue
    if (SUPPORTED.test(baseVersion(seen.version))) return seen
    throw new Error(`${seen.lib} holds libtorch ${seen.version}, which is too old or too new to build with`)
  }
  throw new Error('no libtorch-dev is installed')
}
