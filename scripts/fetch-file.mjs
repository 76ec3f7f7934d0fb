// @ts-check
// Fetches a file into a folder that others may use at the same time: it appears there whole and checked, or not at all.
// As a program: node fetch-file.mjs URL FILE SHA256 (or its first digits).
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf } from './errors.mjs'
import { discard, download } from './libtorch/download.mjs'
import { withLock } from './libtorch/lock.mjs'

/**
 * Does nothing if the file is there. What has arrived of a broken download stays beside it, for the next attempt.
 *
 * @param {string} url http: or https:
 * @param {string} file
 * @param {string | ((file: string) => Promise<void>)} expected SHA-256, or its first digits (8 at least), or a check that
 * throws
 * @param {import('./libtorch/download.mjs').DownloadOptions} [options]
 */
export async function fetchFile(url, file, expected, options = {}) {
  mkdirSync(dirname(file), { recursive: true })
  const part = `${file}.part`
  await withLock(`${file}.lock`, async () => {
    if (existsSync(file)) return
    await download(new URL(url), part, expected, options)
    renameSync(part, file)
    discard(part)
  })
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [, , url, file, expected, title] = process.argv
  // not `await`: a module that awaits at its top can't be loaded by require()
  fetchFile(url, file, expected, { title }).catch(error => {
    process.stdout.write(messageOf(error))
    process.exitCode = 1
  })
}
