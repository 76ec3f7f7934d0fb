import { type SpawnSyncReturns, type StdioOptions, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { packageRoot } from './root.js'

/** Files that run in processes of their own, all of them; where they lie in dist/. */
const FILES = {
  /**
   * Fetches one file: URL, file, SHA-256, title, variable that moves the folder. Its progress goes to stderr, what went wrong to
   * stdout.
   */
  fetchFile: 'provision/programs/fetch-file.js',
  /** The command line. */
  cli: 'cli/main.js',
} as const

/** All of them, as paths from dist/: a bundle of the package has each as a file of its own. */
export const programs: readonly string[] = Object.values(FILES)

/** Runs a program and waits for it by blocking. What the user has set for Node itself doesn't count for it. */
export function runProgram(
  name: keyof typeof FILES,
  args: readonly string[],
  { stdio, env = {} }: { stdio: StdioOptions; env?: NodeJS.ProcessEnv },
): SpawnSyncReturns<string> {
  const file = join(packageRoot(), 'dist', ...FILES[name].split('/'))
  // except under Yarn's Plug'n'Play, where it is how packages are found
  const NODE_OPTIONS = process.versions.pnp ? process.env.NODE_OPTIONS : ''
  return spawnSync(process.execPath, [file, ...args], {
    stdio,
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS, ELECTRON_RUN_AS_NODE: '1', ...env },
  })
}
