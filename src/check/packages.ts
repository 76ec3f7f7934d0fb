import { messageOf, TorchLearnerError } from './errors.js'
import { codeOf } from './kinds.js'

/**
 * Imports a package that may not be installed, or whose part for this platform may not be.
 *
 * @param load the `import()`
 * @param name of the package
 * @param purpose what it is needed for, as the sentence goes on after `is needed to`: `draw PNG figures`
 * @throws TorchLearnerError `ERR_PACKAGE_MISSING`, naming what is missing; when something is there and would not load, with the
 * reason
 */
export async function importPackage<T>(load: () => Promise<T>, name: string, purpose: string): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    const missing = missingPackage(cause)
    const message =
      missing === null
        ? `The package ${name}, which is needed to ${purpose}, is installed and would not load: ${messageOf(cause)}`
        : `The package ${missing}, which is needed to ${purpose}, is not installed. ${remedyFor(missing, name)}`
    throw new TorchLearnerError('ERR_PACKAGE_MISSING', message, { cause })
  }
}

function remedyFor(missing: string, name: string): string {
  if (missing === name) return `Run \`npm install ${name}\``
  return (
    `It is an optional dependency of ${name}: install those too (\`npm install --include=optional\`, without --omit=optional ` +
    `or --no-optional), or run \`npm install ${missing}\``
  )
}

/** What an import did not find; null when it found all and something else is wrong. */
function missingPackage(error: unknown): string | null {
  const text = messageOf(error)
  // sharp tells of what else than absence went wrong before its solutions
  const runtime = /^Could not load the "sharp" module using the (\S+) runtime\s+Possible solutions/.exec(text)?.[1]
  if (runtime !== undefined) return `@img/sharp-${runtime}`
  if (!codeOf(error)?.endsWith('MODULE_NOT_FOUND')) return null
  const request = /Cannot find (?:package|module) '([^']+)'/.exec(text)?.[1]
  return /^(?:@[^/]+\/)?[^/.][^/]*/.exec(request ?? '')?.[0] ?? null
}
