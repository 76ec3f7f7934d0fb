// The threads that decode pictures: how many, when they end, and what they leave behind.
import { readdir, stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import test, { type ExecutionContext } from 'ava'
import {
  Callback,
  CancelFit,
  DataLoader,
  getImageFiles,
  ImageDataLoaders,
  ItemTransform,
  Learner,
  mark,
  memoryStats,
  nn,
  openImage,
  Resize,
  type RgbPicture,
  verifyImages,
} from 'torch-learner'
import { native } from '../dist/native/index.js'
import { decodeInto } from '../dist/vision/decode/decode.js'
import { underWayBySharp } from '../dist/vision/decode/sharp.js'
import { runProgram } from './helpers/child.js'
import { noneLeft } from './helpers/memory.js'
import { classFolders, picture, temporaryFolder, writeFiles } from './helpers/pictures.js'

const squish = { width: 32, height: 32, method: 'squish', padMode: 'zeros', random: false } as const
const request = { steps: [squish], maxPixels: 1e8 }

/** Pictures that take some milliseconds each. */
async function largePictures(t: ExecutionContext<unknown>, count: number): Promise<string> {
  const folder = await temporaryFolder(t)
  const large = await picture(1500, 1000).png({ compressionLevel: 1 }).toBuffer()
  const names = Array.from({ length: count }, (_, i) => `train/${i % 2}/${String(i).padStart(3, '0')}.png`)
  await writeFiles(folder, Object.fromEntries([...names, 'valid/0/a.png', 'valid/1/a.png'].map(name => [name, large])))
  return folder
}

const counts = (n: number) => Array.from({ length: n }, (_, i) => i)

async function settled(): Promise<void> {
  while (native.imageThreads().waiting > 0 || underWayBySharp() > 0) await pause(2)
}

test.serial('as many threads as asked for, and none when there is nothing to do', async t => {
  const files = await getImageFiles(await largePictures(t, 12))
  const out = new Uint8Array(files.length * 32 * 32 * 3)
  const decode = async (threads: number) => {
    const done = decodeInto(files, new Float64Array(), out, counts(files.length), request, { threads })
    t.true(native.imageThreads().threads <= Math.max(3, threads))
    await done
  }
  await decode(3)
  t.is(native.imageThreads().threads, 3)
  t.is(native.imageThreads().waiting, 0)
  await decode(1)
  t.is(native.imageThreads().threads, 3)
  for (let i = 0; i < 100 && native.imageThreads().threads > 0; i++) await pause(100)
  t.is(native.imageThreads().threads, 0)
  await decode(1)
  t.is(native.imageThreads().threads, 1)
})

test.serial('pictures opened side by side are decoded side by side', async t => {
  while (native.imageThreads().threads > 0) await pause(100)
  const files = await getImageFiles(await largePictures(t, 8))
  await Promise.all(files.map(file => openImage(file)))
  const { threads } = native.imageThreads()
  t.true(threads <= 4 && threads >= Math.min(2, availableParallelism()), `${threads} threads`)
  while (native.imageThreads().threads > 0) await pause(100)
  await verifyImages([...files, ...files, ...files], { numWorkers: 2 })
  t.is(native.imageThreads().threads, 2)
})

test.serial('files and names are not kept waiting by pictures', async t => {
  const files = await getImageFiles(await largePictures(t, 60))
  const out = new Uint8Array(files.length * 32 * 32 * 3)
  let decoded = false
  const done = decodeInto(files, new Float64Array(), out, counts(files.length), request, { threads: 4 }).then(() => {
    decoded = true
  })
  for (let i = 0; i < 4; i++) await stat(files[i])
  const first = !decoded
  await done
  t.true(first)
})

test.serial('what nobody wants any more is left out at once', async t => {
  const files = await getImageFiles(await largePictures(t, 60))
  const abort = new AbortController()
  const out = new Uint8Array(files.length * 32 * 32 * 3)
  const options = { threads: 2, signal: abort.signal }
  const done = decodeInto(files, new Float64Array(), out, counts(files.length), request, options)
  t.true(native.imageThreads().waiting > 2)
  abort.abort()
  t.true(native.imageThreads().waiting <= 2, 'only what is under way')
  await done
  t.true(
    out.subarray(-3072).every(value => value === 0),
    'the last was never begun',
  )
  await decodeInto(files, new Float64Array(), out, counts(files.length), request, options)
  t.true(
    out.subarray(-3072).every(value => value === 0),
    'aborted before it began',
  )
})

const openFiles = async () => (process.platform === 'linux' ? (await readdir('/proc/self/fd')).length : 0)

/** Without codecs of its own the addon leaves the reading to Node, whose files are closed a moment later. */
async function noMoreFiles(t: ExecutionContext<unknown>, before: number): Promise<void> {
  for (let i = 0; i < 300 && (await openFiles()) > before; i++) await pause(10)
  t.true((await openFiles()) <= before)
}

test.serial('a pass that ends early leaves no picture, file or tensor', async t => {
  const folder = await largePictures(t, 48)
  const dls = await ImageDataLoaders.fromFolder(folder, { bs: 8, itemTfms: new Resize(64), prefetch: 4 })
  await dls.oneBatch().then(batch => {
    for (const tensor of batch) tensor.dispose()
  })
  await settled()
  await mark()
  const [files, tensors] = [await openFiles(), memoryStats().tensors]
  const leave: (() => Promise<void>)[] = [
    async () => {
      for await (const batch of dls.train) {
        for (const tensor of batch) tensor.dispose()
        break
      }
    },
    async () => {
      for await (const batch of dls.train) {
        for (const tensor of batch) tensor.dispose()
        throw new Error('enough')
      }
    },
    async () => {
      if (!(dls.train instanceof DataLoader)) throw new Error('no DataLoader')
      const pass = dls.train[Symbol.asyncIterator]()
      const first = pass.next()
      await pass.return()
      await first
    },
  ]
  for (const end of leave) {
    await end().catch((error: Error) => t.is(error.message, 'enough'))
    t.true(native.imageThreads().waiting <= 4, 'only what is under way')
    await settled()
    await mark()
    noneLeft(t, tensors)
    await noMoreFiles(t, files)
  }
})

class Nothing extends ItemTransform {
  override encodes(given: RgbPicture) {
    return given
  }
}

test.serial('batches use the same memory again', async t => {
  const folder = await temporaryFolder(t)
  await classFolders(folder, { 'train/a': 40, 'train/b': 40, 'valid/a': 1, 'valid/b': 1 }, 64)
  for (const own of [[], [new Nothing()]]) {
    const itemTfms = [new Resize(256), ...own]
    const dls = await ImageDataLoaders.fromFolder(folder, { bs: 16, itemTfms })
    const pass = async () => {
      for await (const batch of dls.train) for (const tensor of batch) tensor.dispose()
      await mark()
    }
    for (let i = 0; i < 3; i++) await pass()
    globalThis.gc?.()
    const before = process.memoryUsage().rss
    for (let i = 0; i < 25; i++) await pass() // 125 batches of 12 MB as float32
    globalThis.gc?.()
    const grown = (process.memoryUsage().rss - before) / 2 ** 20
    t.true(grown < 100, `${grown} MB`)
  }
})

test('the process ends in the middle of decoding', async t => {
  const folder = await largePictures(t, 24)
  const program = (ending: string) => `
    const dls = await tl.ImageDataLoaders.fromFolder(${JSON.stringify(folder)}, { bs: 8, itemTfms: new tl.Resize(64), numWorkers: 4 })
    dls.oneBatch().catch(() => undefined)
    await new Promise(resolve => setTimeout(resolve, 5))
    ${ending}`
  for (const [ending, code] of [
    ['process.exit(3)', 3],
    ["setImmediate(() => { throw new Error('out') })", 1],
    ['', 0],
  ] as const) {
    const outcome = await runProgram(program(ending))
    t.deepEqual([outcome.code, outcome.signal], [code, null], outcome.stderr)
  }
})

test('many workers decode side by side and end by themselves or by force', async t => {
  const folder = await largePictures(t, 8)
  const run = async (terminate: boolean) => {
    const source = `
      const { workerData, parentPort } = require('node:worker_threads')
      import(workerData.url).then(async tl => {
        const dls = await tl.ImageDataLoaders.fromFolder(workerData.folder, { bs: 4, itemTfms: new tl.Resize(32), seed: 1 })
        parentPort.postMessage('begun')
        const [x] = await dls.oneBatch()
        parentPort.postMessage(Number(await x.sum().item()))
      })`
    const url = new URL('../dist/index.js', import.meta.url).href
    const worker = new Worker(source, { eval: true, workerData: { url, folder } })
    return await new Promise<unknown>((resolve, reject) => {
      let last: unknown
      worker.on('message', message => {
        last = message
        if (terminate) void worker.terminate()
      })
      worker.on('error', reject)
      worker.on('exit', () => resolve(last))
    })
  }
  const results = await Promise.all([run(false), run(true), run(false), run(true), run(false)])
  t.is(typeof results[0], 'number')
  t.deepEqual([results[2], results[4]], [results[0], results[0]])
})

test.serial('fits that end early leave no picture, file or tensor', async t => {
  const folder = await largePictures(t, 24)
  const dls = await ImageDataLoaders.fromFolder(folder, { bs: 4, itemTfms: new Resize(16), prefetch: 3 })
  const model = new nn.Sequential(new nn.Flatten(), new nn.Linear(3 * 16 * 16, 2))
  const learn = new Learner(dls, model)
  learn.silent = true
  const end = async (what: 'abort' | 'cancel' | 'error') => {
    const abort = new AbortController()
    class Stop extends Callback {
      afterBatch() {
        if (this.learn.iter === 0) return
        if (what === 'abort') abort.abort()
        else if (what === 'cancel') throw new CancelFit()
        else throw new Error('enough')
      }
    }
    await learn
      .fit(1, { cbs: new Stop(), signal: abort.signal })
      .catch((error: Error) => t.not(what, 'cancel', error.message))
    t.true(native.imageThreads().waiting <= 4, 'only what is under way')
    await settled()
    await mark()
  }
  await end('cancel')
  const [files, tensors] = [await openFiles(), memoryStats().tensors]
  for (const what of ['abort', 'cancel', 'error', 'cancel'] as const) await end(what)
  await noMoreFiles(t, files)
  noneLeft(t, tensors)
})
