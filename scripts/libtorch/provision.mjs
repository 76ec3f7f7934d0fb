import { findLibtorch } from './find.mjs'
import { baseVersion, SUPPORTED } from './release.mjs'
/** @param {{headers?: boolean}} [options] */
export async function provision(options = {}) {
  const found = findLibtorch({ headers: options.headers })
  if (!found.libtorch) throw new Error(JSON.stringify(found.steps))
  if (!SUPPORTED.test(baseVersion(found.libtorch.version))) throw new Error('version')
  return found.libtorch
}
