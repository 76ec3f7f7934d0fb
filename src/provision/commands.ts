import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from './root.js'

/** Whether this is the project itself, and not a package that was installed. */
export const isCheckout = (): boolean => existsSync(join(packageRoot(), 'tsconfig.json'))

/** The command that brings what is missing. */
export const setupCommand = (): string => (isCheckout() ? 'npm run ready' : 'npx torch-learner setup')

/** The command that compiles the addon. */
export const buildCommand = (): string => (isCheckout() ? 'npm run ready' : 'npx torch-learner build')
