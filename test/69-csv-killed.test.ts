// The table that CSVLogger writes, after kills at every place where it and a checkpoint could differ.
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { Callback, Checkpoint, CSVLogger } from 'torch-learner'
import { folder, learner } from './helpers/checkpoints.js'
import { runNode } from './helpers/child.js'

const program = fileURLToPath(new URL('helpers/logged.mjs', import.meta.url))
/** Times differ from run to run. */
const rowsOf = async (path: string) =>
  (await readFile(join(path, 'history.csv'), 'utf8')).split('\n').map(line => line.replace(/,[^,]*$/, ''))

// before the row is noted, before the checkpoint, after it, and when the row is there
const places = ['afterBatch', '59/afterEpoch', '999/afterEpoch', '1001/afterEpoch', '61/beforeEpoch', '1001/afterFit']
const all = [0, 1].flatMap(fit =>
  [0, 1].flatMap(epoch => places.map(place => `${fit}/${epoch}/${place.includes('/') ? place : `2000/${place}`}`)),
)

for (const append of ['no', 'yes']) {
  test.serial(`append: ${append}; killed wherever it could matter`, async t => {
    t.timeout(240_000)
    const start = 'epoch,train_loss,valid_loss,accuracy,time\n0,9,9,0.5,00:00\n'
    const alone = await mkdtemp(join(tmpdir(), 'csv-'))
    const killed = await mkdtemp(join(tmpdir(), 'csv-'))
    for (const path of [alone, killed]) await writeFile(join(path, 'history.csv'), start)
    await runNode([program, alone, append, ''])
    let runs = 0
    for (; runs < all.length + 1; runs++) {
      const { signal, stdout, stderr } = await runNode([program, killed, append, all.join(',')])
      if (signal !== 'SIGKILL') {
        t.regex(stdout, /finished/, stderr)
        break
      }
    }
    t.true(runs > 16, `${runs} kills`)
    t.deepEqual(await rowsOf(killed), await rowsOf(alone))
    t.is((await rowsOf(alone)).length, append === 'yes' ? 7 : 4)
    await runNode([program, killed, append, all.join(',')])
    t.deepEqual(await rowsOf(killed), await rowsOf(alone), 'also when all is done and run again')
  })
}

test.serial('a row of an epoch that has no checkpoint comes once', async t => {
  const path = await folder()
  const cbs = () => [new CSVLogger({ append: true }), new Checkpoint({ resume: true })]
  const full = new Callback({
    order: 999,
    afterEpoch: ({ learn }) => {
      if (learn.epoch === 1) throw new Error('no space')
    },
  })
  await t.throwsAsync(learner(path).fit(3, { cbs: [...cbs(), full] }), { message: /no space/ })
  t.is((await rowsOf(path)).length, 3)
  await learner(path).fit(3, { cbs: cbs() })
  t.deepEqual(
    (await rowsOf(path)).map(row => row.split(',')[0]),
    ['epoch', '0', '1', '2', ''],
  )
})

test.serial('without a checkpoint the rows of a fit that fails are there', async t => {
  const path = await folder()
  const fail = new Callback({
    order: 999,
    afterEpoch: ({ learn }) => {
      if (learn.epoch === 1) throw new Error('enough')
    },
  })
  await t.throwsAsync(learner(path).fit(3, { cbs: [new CSVLogger(), fail] }), { message: /enough/ })
  t.is((await rowsOf(path)).length, 4)
})
