import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** How the reading of a file went. */
export interface Reading {
  name: string
  /** Of the error, or `read`. */
  code: string
  message: string
  ms: number
  /** How far the process's memory grew beyond what it had ever been. */
  mb: number
}

const program = fileURLToPath(new URL('read-weights.mjs', import.meta.url))

/**
 * Reads files in a process of its own, which has 4 GB of memory for data (where the system keeps to such limits) and two
 * minutes.
 *
 * @param mode `--plain`, or `count:seed` for damaged copies
 */
export async function readWeights(mode: string, files: readonly string[]): Promise<Reading[]> {
  const limited = `ulimit -d 4000000 2>/dev/null; exec "$0" "$@"`
  const args = ['-c', limited, process.execPath, program, mode, ...files]
  const { stdout } = await promisify(execFile)('sh', args, { timeout: 120_000, maxBuffer: 2 ** 28 })
  return stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
}
