import { buildCommand, setupCommand } from '../provision/index.js'

/** The commands as sentences have them. */
export const setup = (): string => `\`${setupCommand()}\``
export const build = (): string => `\`${buildCommand()}\``

/** What helps against damage in something that a package manager has installed. */
export const reinstall = (folder: string): string => `Delete ${folder} and install your packages again`

/** For a package that is an optional dependency. @param name with its version */
export const installOptional = (name: string): string =>
  'Install the optional dependencies too (`npm install --include=optional`, without --omit=optional or --no-optional), or run ' +
  `\`npm install ${name}\``
