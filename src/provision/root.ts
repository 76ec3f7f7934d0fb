import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { TorchLearnerError } from '../check/index.js'

const NAME = 'torch-learner'

let found: string | undefined

/**
 * The package's own folder, wherever in it this code has come to lie.
 *
 * @throws TorchLearnerError `ERR_ADDON_MISSING` when the code was taken out of the package, as bundlers do
 */
export function packageRoot(): string {
  found ??= rootAbove(dirname(fileURLToPath(import.meta.url)))
  return found
}

function rootAbove(start: string): string {
  for (let folder = start; ; folder = dirname(folder)) {
    if (nameIn(join(folder, 'package.json')) === NAME) return folder
    if (folder !== dirname(folder)) continue
    throw new TorchLearnerError(
      'ERR_ADDON_MISSING',
      `${start} is in no folder of the package ${NAME}, so that its native addon can't be found: ` +
        `tell your bundler to leave ${NAME} out (esbuild: --external:${NAME})`,
    )
  }
}

function nameIn(manifest: string): string | undefined {
  if (!existsSync(manifest)) return undefined
  const { name }: { name?: string } = JSON.parse(readFileSync(manifest, 'utf8'))
  return name
}

/** The package's version. */
export function packageVersion(): string {
  const manifest: { version: string } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8'))
  return manifest.version
}
