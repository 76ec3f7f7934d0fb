import { execFileSync } from 'node:child_process'
import type { ExecutionContext } from 'ava'
import { folderFor } from './package-copy.js'

/**
 * A disk of its own with room for so many bytes, mounted for the test.
 *
 * @returns its folder; undefined where this process may not mount, which the test's log says
 */
export function smallDisk(t: ExecutionContext, bytes: number): string | undefined {
  const folder = folderFor(t)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder], { stdio: 'pipe' })
  } catch {
    t.log('skipped: mounting is not permitted here')
    t.pass()
    return undefined
  }
  // before the folder itself goes
  t.teardown(() => execFileSync('umount', ['--lazy', folder]))
  return folder
}
