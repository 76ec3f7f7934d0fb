// Three workers train at once.
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { tell, train } from './train.mjs'

if (isMainThread) {
  const started = performance.now()
  const results = await Promise.all(
    [1, 2, 3].map(
      () =>
        new Promise((resolve, reject) => {
          const worker = new Worker(new URL(import.meta.url))
          worker.once('message', resolve).once('error', reject)
        }),
    ),
  )
  const losses = results.map(({ loss }) => loss)
  if (!losses.every(Number.isFinite)) throw new Error(`losses ${losses.join(', ')}`)
  // libtorch's generator is one for the process, so that the workers draw from one stream: no loss to compare
  tell({ import: Math.round(performance.now() - started), loss: null })
} else {
  parentPort.postMessage(await train(await import('torch-learner'), performance.now()))
}
