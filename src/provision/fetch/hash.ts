import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'

export async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk)
  return hash.digest('hex')
}

/** Whether a SHA-256 is the expected one, or begins with its digits, of which there must be 8. */
export const fits = (actual: string, expected: string) =>
  expected.length >= 8 && actual.startsWith(expected.toLowerCase())

/** Throws when a file isn't the expected one. @param source what the message calls it */
export async function verify(file: string, expected: string, source: string): Promise<void> {
  const actual = await sha256(file)
  if (fits(actual, expected)) return
  throw new Error(`the SHA-256 of ${source} is ${actual}, expected ${expected}`)
}
