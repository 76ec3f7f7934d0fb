// 500 damaged picture files of every format: errors or pixels, never a crash, a hang, or a memory that grows.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { runNode } from './helpers/child.js'
import { temporaryFolder } from './helpers/pictures.js'

interface Outcome {
  read: number
  refused: number
  verified: number
  batches: number
  wrong: [string, string][]
  megabytes: number
}

const FILES = 500

for (const seed of [1, 2]) {
  test.serial(`${FILES} mutated files (seed ${seed})`, async t => {
    const folder = await temporaryFolder(t)
    const log = join(folder, 'log')
    const { code, signal, stdout, stderr } = await runNode(
      ['--no-warnings', 'test/helpers/mutate.mjs', String(seed), String(FILES), folder, log],
      { seconds: 300 },
    )
    const file = (await readFile(log, 'utf8')).trim()
    t.is(signal, null, `${signal} in file ${file}`)
    t.is(code, 0, `${file}\n${stderr.slice(-2000)}`)
    const { read, refused, verified, batches, wrong, megabytes } = JSON.parse(stdout) as Outcome
    t.log(`${read} read, ${refused} refused, ${batches} batches of the rest, ${Math.round(megabytes)} MB`)
    t.deepEqual(wrong, [], 'all errors have a code and a message of one line')
    t.is(read + refused, FILES)
    t.is(verified, refused, 'verifyImages finds what openImage refuses')
    t.true(read > FILES / 10 && refused > FILES / 10 && batches > FILES / 100)
    t.true(megabytes < 1000, `${megabytes} MB`)
  })
}
