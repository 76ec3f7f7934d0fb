// Workers that are terminated in the middle of decoding leave the process alone.
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import test from 'ava'
import { classFolders, temporaryFolder } from './helpers/pictures.js'

test('terminated while pictures are being decoded', async t => {
  const folder = await temporaryFolder(t)
  await classFolders(folder, { 'train/a': 8, 'train/b': 8, 'valid/a': 1, 'valid/b': 1 }, 300)
  const workers = Array.from({ length: 3 }, () => {
    return new Worker(new URL('./helpers/decoding-worker.mjs', import.meta.url), { workerData: folder })
  })
  for (const [i, worker] of workers.entries()) {
    await once(worker, 'message')
    await pause(7 * i)
    t.is(await worker.terminate(), 1)
  }
})
