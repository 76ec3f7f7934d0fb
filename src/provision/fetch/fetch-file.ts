// Fetches a file into a folder that others may use at the same time: it appears there whole and checked, or not at all.
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { withLock } from '../lock.js'
import type { DownloadOptions, Expected } from './download.js'

/**
 * Does nothing if the file is there. What has arrived of a broken download stays beside it, for the next attempt.
 *
 * @param url http: or https:
 */
export async function fetchFile(
  url: string,
  file: string,
  expected: Expected,
  options: DownloadOptions = {},
): Promise<void> {
  mkdirSync(dirname(file), { recursive: true })
  const part = `${file}.part`
  await withLock(`${file}.lock`, async () => {
    if (existsSync(file)) return
    // http and its like are loaded when something is fetched, not when the package is imported
    const { discard, download } = await import('./download.js')
    await download(new URL(url), part, expected, options)
    renameSync(part, file)
    discard(part)
  })
}
