// @ts-check
// The distribution's own libtorch-dev. Last, because a distribution's release is rarely the one that we need.
import { inspect } from './find.mjs'
import { baseVersion, SUPPORTED } from './release.mjs'

/**
 * @param {string[]} [prefixes] where to look
 * @returns {import('./find.mjs').Libtorch}
 */
export function systemLibtorch(prefixes = ['/usr/local', '/usr', '/opt/homebrew', '/opt/libtorch']) {
  for (const prefix of prefixes) {
    const seen = inspect(prefix)
    if (!seen.ok) continue
    if (SUPPORTED.test(baseVersion(seen.version))) return seen
    throw new Error(`${seen.lib} holds libtorch ${seen.version}, which is too old or too new to build with`)
  }
  throw new Error('no libtorch-dev is installed')
}
