import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { runNode } from './helpers/child.js'

const CALLS = 5000

for (const seed of [1, 2]) {
  test.serial(`${CALLS} random calls with random arguments only throw coded errors (seed ${seed})`, async t => {
    const folder = await mkdtemp(join(tmpdir(), 'torch-learner-fuzz-'))
    const log = join(folder, 'call')
    const { code, signal, stdout, stderr } = await runNode(
      ['test/helpers/fuzz.mjs', String(seed), String(CALLS), log],
      { seconds: 400 },
    )
    const call = (await readFile(log, 'utf8')).trim()
    t.is(signal, null, `${signal} in call ${call}`)
    t.is(code, 0, `${call}\n${stderr.slice(-2000)}`)
    const { returned, coded, names, wrong } = JSON.parse(stdout) as Record<'returned' | 'coded' | 'names', number> & {
      wrong: [string, string][]
    }
    t.log(`${returned} returned, ${coded} coded errors; ${names} public functions, classes and methods`)
    t.true(returned > CALLS / 20)
    t.true(CALLS > 2 * names, 'each of them is called')
    t.deepEqual(wrong, [], 'all errors have a code and a message of one line')
    await rm(folder, { recursive: true })
  })
}
