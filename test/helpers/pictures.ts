import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { ExecutionContext } from 'ava'
import sharp from 'sharp'
import { TorchLearnerError } from 'torch-learner'

/** A folder that goes with the test. */
export async function temporaryFolder(t: ExecutionContext<unknown>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'torch-learner-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Writes files by their paths below a folder, making the folders between. */
export async function writeFiles(folder: string, files: Record<string, Uint8Array | string>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const file = join(folder, name)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, content)
  }
}

/** Pixels that differ from place to place, smooth enough for JPEG. */
export function pattern(width: number, height: number, channels: number, shift = 0): Uint8Array {
  return Uint8Array.from({ length: width * height * channels }, (_, i) => {
    const [c, x, y] = [i % channels, Math.floor(i / channels) % width, Math.floor(i / channels / width)]
    return 128 + 100 * Math.sin((x * (c + 2) + shift) / 9) * Math.cos((y * (c + 1)) / 7)
  })
}

/** A patterned picture, ready to be encoded. */
export function picture(width: number, height: number, channels: 1 | 2 | 3 | 4 = 3, shift = 0) {
  return sharp(pattern(width, height, channels, shift), { raw: { width, height, channels } })
}

/** A folder of class folders with so many PNG files each: `folder/<part>/<class>/<i>.png`. */
export async function classFolders(folder: string, counts: Record<string, number>, size = 8): Promise<void> {
  for (const [name, count] of Object.entries(counts)) {
    for (let i = 0; i < count; i++) {
      const png = await picture(size, size, 3, i * 3)
        .png()
        .toBuffer()
      await writeFiles(folder, { [`${name}/${String(i).padStart(3, '0')}.png`]: png })
    }
  }
}

/** The error that `body` must end with, and its code. */
export async function coded(
  t: ExecutionContext<unknown>,
  body: () => unknown,
  code: string,
  message: RegExp,
): Promise<void> {
  const error = await t.throwsAsync(async () => await body())
  t.true(error instanceof TorchLearnerError, `a TorchLearnerError, but it is ${error?.stack}`)
  t.is(error instanceof TorchLearnerError ? error.code : '', code, error?.message)
  t.regex(error?.message ?? '', message)
  t.false(error?.message.includes('\n'), 'one line')
}
