// Decodes pictures until it is terminated.
import { parentPort, workerData } from 'node:worker_threads'
import { ImageDataLoaders, Resize } from 'torch-learner'

const dls = await ImageDataLoaders.fromFolder(workerData, { bs: 8, itemTfms: new Resize(512), prefetch: 6 })
for (;;) {
  for await (const batch of dls.train) {
    for (const tensor of batch) tensor.dispose()
    parentPort?.postMessage('batch')
  }
}
