// What a build or a package says of its own files, so that damage is found: by size whenever they are used, by hash when asked.
import { createHash } from 'node:crypto'
import { createReadStream, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

export interface FileRecord {
  readonly size: number
  /** SHA-256, hexadecimal. Stamps of older releases know sizes only. */
  readonly sha256?: string
}

/** By path within the folder that they are about. */
export type FileRecords = Readonly<Record<string, FileRecord>>

/** For a stamp: the sizes and hashes of small files of a folder. */
export function recordFiles(folder: string, names: readonly string[]): FileRecords {
  return Object.fromEntries(
    names.map(name => {
      const bytes = readFileSync(join(folder, name))
      return [name, { size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }]
    }),
  )
}

/** The first file that isn't there or has another size, in words; null when none is. */
export function wrongSize(folder: string, records: FileRecords): string | null {
  for (const [name, { size }] of Object.entries(records)) {
    const path = join(folder, name)
    const actual = statSync(path, { throwIfNoEntry: false })?.size
    if (actual === undefined) return `${path} is missing`
    if (actual !== size) return `${path} has ${actual} bytes instead of ${size}`
  }
  return null
}

/** Whether small files are what they were, byte for byte. */
export function isIntact(folder: string, records: FileRecords): boolean {
  if (wrongSize(folder, records) !== null) return false
  const now = recordFiles(folder, Object.keys(records))
  return Object.entries(records).every(([name, { sha256 }]) => sha256 === undefined || sha256 === now[name]?.sha256)
}

/** The files whose content isn't what was recorded, and how many hashes were compared. Reads all of them. */
export async function wrongHashes(
  folder: string,
  records: FileRecords,
): Promise<{ wrong: string[]; compared: number }> {
  const wrong: string[] = []
  let compared = 0
  for (const [name, { sha256 }] of Object.entries(records)) {
    if (sha256 === undefined) continue
    compared++
    const path = join(folder, name)
    if ((await hashOf(path)) !== sha256) wrong.push(path)
  }
  return { wrong, compared }
}

/** SHA-256, hexadecimal. */
export async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk)
  return hash.digest('hex')
}
