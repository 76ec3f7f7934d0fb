// Fetches one file with its hash checked. What has arrived stays in a .part file, so that the next attempt - in this
// run or in the next - goes on from there.
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { dirname } from 'node:path'
import { hasCode } from '../../check/index.js'
import { fits, sha256, verify } from './hash.js'
import { progress } from './progress.js'
import { get, type RequestOptions } from './request.js'
import { checkRoom, isFull, ranFull } from './room.js'
import { shown } from './shown.js'

/** What a download reports, and how long it waits. */
export interface DownloadOptions extends RequestOptions {
  /** What the progress line calls it. Default: the address. */
  readonly title?: string
  /** Called with the bytes so far and of all bytes (null when the server doesn't say), instead of stderr. */
  readonly onProgress?: (bytes: number, total: number | null) => void
  /** The environment variable that puts the file elsewhere, for the message that there is no room for it. */
  readonly variable?: string
}

/** A SHA-256, or its first digits (8 at least), as PyTorch puts them into the names of files; or a check that throws. */
export type Expected = string | ((file: string) => Promise<void>)

/** A line that is cut goes on where it was, but not for ever. */
const MAX_ATTEMPTS = 20
/** ... and so many in a row that bring nothing. */
const MAX_FRUITLESS = 3

/**
 * Fills a file. When the disk has no room for it, nothing of it is left there.
 *
 * @param url http: or https:
 * @param part file to fill; what is in it already is the beginning of what is wanted, or all of it
 */
export async function download(
  url: URL,
  part: string,
  expected: Expected,
  options: DownloadOptions = {},
): Promise<void> {
  const resumed = existsSync(part)
  // all of it may be here, as after an unpacking that failed: then the network isn't needed
  if (resumed && typeof expected === 'string' && fits(await sha256(part), expected)) return
  await fill(url, part, options)
  if (sizeOf(part) === 0) {
    discard(part)
    throw new Error(`${shown(url)} is empty: the server sent no bytes`)
  }
  try {
    await (typeof expected === 'string' ? verify(part, expected, shown(url)) : expected(part))
  } catch (error) {
    discard(part)
    // What was there before may have been the rest of another file: one attempt from the first byte
    if (!resumed) throw error
    await download(url, part, expected, options)
  }
}

/** Removes a part and what stands beside it. */
export function discard(part: string): void {
  rmSync(part, { force: true })
  rmSync(tagFile(part), { force: true })
}

/** Beside the part: the server's name for this version of the file. */
const tagFile = (part: string) => `${part}.etag`

const sizeOf = (file: string) => statSync(file, { throwIfNoEntry: false })?.size ?? 0

async function fill(url: URL, part: string, options: DownloadOptions): Promise<void> {
  let fruitless = 0
  for (let left = MAX_ATTEMPTS; ; left--) {
    const before = sizeOf(part)
    try {
      if (await attempt(url, part, before, options)) return
    } catch (error) {
      if (isFull(error)) {
        discard(part)
        throw error
      }
      fruitless = sizeOf(part) > before ? 0 : fruitless + 1
      // Nothing came: a line that was cut is worth another try, which may come to more. Without a line to the server
      // trying again would only take longer to say so.
      const wasCut = hasCode(error, 'ECONNRESET')
      if (left === 1 || (fruitless > 0 && !(wasCut && fruitless < MAX_FRUITLESS))) throw error
    }
    if (left === 1) throw new Error(`${shown(url)} did not arrive whole in ${MAX_ATTEMPTS} attempts`)
  }
}

/** One request, from where the part ends. True when the file is complete. */
async function attempt(url: URL, part: string, from: number, options: DownloadOptions): Promise<boolean> {
  const tag = existsSync(tagFile(part)) ? readFileSync(tagFile(part), 'utf8') : ''
  const range = from > 0 ? { range: `bytes=${from}-`, ...(tag ? { 'if-range': tag } : {}) } : {}
  const response = await get(url, { ...options, headers: { 'accept-encoding': 'identity', ...range } })
  const { statusCode, headers } = response

  if (statusCode === 416) {
    response.resume()
    // complete, if the server's size is what is here; else the part is of another file
    if (headers['content-range'] === `bytes */${from}`) return true
    discard(part)
    return false
  }
  const start = statusCode === 206 ? rangeStart(headers['content-range']) : 0
  if (start !== 0 && start !== from) {
    response.destroy()
    discard(part)
    return false
  }
  const strong = headers.etag?.startsWith('W/') ? undefined : headers.etag
  const version = strong ?? headers['last-modified']
  if (version) writeFileSync(tagFile(part), version)
  else rmSync(tagFile(part), { force: true })
  const length = Number(headers['content-length'] ?? Number.NaN)
  const total = Number.isFinite(length) ? start + length : null
  const what = options.title ?? shown(url)
  try {
    if (total !== null) checkRoom(dirname(part), total - start, what, options.variable)
    await save(response, part, start, total, url, options)
  } catch (error) {
    response.destroy()
    if (!isFull(error)) throw error
    throw ranFull(error, { folder: dirname(part), what, needed: total ?? undefined, variable: options.variable })
  }
  return total === null || sizeOf(part) === total
}

const rangeStart = (header: string | undefined) => Number(/^bytes (\d+)-/.exec(header ?? '')?.[1] ?? Number.NaN)

async function save(
  response: IncomingMessage,
  part: string,
  start: number,
  total: number | null,
  url: URL,
  { title = shown(url), onProgress }: DownloadOptions,
): Promise<void> {
  const bar = onProgress
    ? { update: (bytes: number) => onProgress(bytes, total), end: () => undefined }
    : progress(title, total)
  const file = await open(part, start > 0 ? 'a' : 'w')
  let bytes = start
  try {
    // Chunk by chunk instead of pipeline(): that one drops what it holds when the line is cut, and resuming needs it
    for await (const chunk of response) {
      await file.writeFile(chunk)
      bytes += chunk.length
      bar.update(bytes)
    }
  } finally {
    bar.end()
    await file.close()
  }
}
