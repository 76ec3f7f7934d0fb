// A binary that came with the package, if it fits this machine.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { baseVersion } from '../libtorch/release.js'
import { packageRoot } from '../root.js'

/** The libtorch version that the prebuilt addon needs, or null without one. */
export function prebuiltLibtorch(): string | null {
  const folder = join(packageRoot(), 'prebuilds', `${process.platform}-${process.arch}`)
  const stamp = join(folder, 'torch_learner.json')
  if (!existsSync(stamp) || !readdirSync(folder).some(name => name.endsWith('.node'))) return null
  // prebuilt against glibc: musl has neither its symbols nor its loader
  if (process.platform === 'linux' && !usesGlibc()) return null
  return baseVersion(JSON.parse(readFileSync(stamp, 'utf8')).libtorch)
}

function usesGlibc(): boolean {
  const report: { header?: { glibcVersionRuntime?: string } } = process.report.getReport()
  return report.header?.glibcVersionRuntime !== undefined
}
