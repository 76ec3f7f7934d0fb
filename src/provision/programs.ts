import { join } from 'node:path'
import { packageRoot } from './root.js'

/** Files that run in processes of their own, all of them; where they lie in dist/. */
const FILES = {
  /** Fetches one file: URL, file, SHA-256, title, variable that moves the folder. Its progress goes to stderr, what went wrong to stdout. */
  fetchFile: 'provision/programs/fetch-file.js',
  /** The command line. */
  cli: 'cli/main.js',
} as const

/** The path of a program, to be run with `process.execPath`. */
export function program(name: keyof typeof FILES): string {
  return join(packageRoot(), 'dist', ...FILES[name].split('/'))
}
