import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import * as tensors from '../dist/tensor/index.js'
import { runNode } from './helpers/child.js'

const CALLS = 3000

for (const seed of [1, 2]) {
  test.serial(`${CALLS} random calls with random arguments only throw (seed ${seed})`, async t => {
    const folder = await mkdtemp(join(tmpdir(), 'torch-learner-fuzz-'))
    const log = join(folder, 'call')
    const { code, signal, stdout, stderr } = await runNode(
      ['test/helpers/fuzz.mjs', String(seed), String(CALLS), log],
      { seconds: 400 },
    )
    const call = (await readFile(log, 'utf8')).trim()
    t.is(signal, null, `${signal} in call ${call}`)
    t.is(code, 0, `${call}\n${stderr.slice(-2000)}`)
    const { returned, coded, uncoded } = JSON.parse(stdout) as Record<'returned' | 'coded', number> & {
      uncoded: [string, string][]
    }
    t.log(`${returned} returned, ${coded} coded errors, other errors of ${uncoded.map(([name]) => name).join(', ')}`)
    t.true(returned > CALLS / 20)
    const ours = uncoded.filter(([name]) => /::|^Tensor\.|^unhandled/.test(name) || name in tensors)
    t.deepEqual(ours, [], 'operators, methods and functions of tensors throw coded errors only')
    await rm(folder, { recursive: true })
  })
}
