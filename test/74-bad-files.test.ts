// Files that can't be used: every kind, as an error and left out.
import { chmod, mkdir, rename, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { crc32 } from 'node:zlib'
import test from 'ava'
import sharp from 'sharp'
import {
  type Callback,
  Checkpoint,
  CrossEntropyLossFlat,
  getImageFiles,
  ImageDataLoaders,
  type ImageDataLoadersOptions,
  Learner,
  manualSeed,
  nn,
  Resize,
} from 'torch-learner'
import { failAt } from './helpers/checkpoints.js'
import { runProgram } from './helpers/child.js'
import { weightsOf } from './helpers/learning.js'
import { classFolders, coded, picture, temporaryFolder, writeFiles } from './helpers/pictures.js'

/** A PNG file of a few bytes that says it has 50,000 x 50,000 pixels. */
async function bomb(): Promise<Buffer> {
  const png = Buffer.from(await picture(2, 2).png().toBuffer())
  png.writeUInt32BE(50_000, 16)
  png.writeUInt32BE(50_000, 20)
  png.writeUInt32BE(crc32(png.subarray(12, 29)), 29)
  return png
}

/** What is wrong with each, by its name. */
const REASONS: Record<string, RegExp> = {
  'bomb.png': /2500000000 pixels, more than the 100000000 allowed/,
  'cut.jpg': /damaged or cut off|premature/i,
  'cut.png': /damaged or cut off/,
  'empty.jpg': /the file is empty/,
  'folder.jpg': /it is a folder/,
  'loop.jpg': /symbolic links/,
  'text.jpg': /isn't a picture in a format known here/,
  'gone.jpg': /there is no such file/,
}

async function badFiles(folder: string): Promise<string[]> {
  const [jpeg, png] = [await picture(64, 64).jpeg().toBuffer(), await picture(64, 64).png().toBuffer()]
  await writeFiles(folder, {
    'bomb.png': await bomb(),
    'cut.jpg': jpeg.subarray(0, jpeg.length >> 1),
    'cut.png': png.subarray(0, png.length >> 1),
    'empty.jpg': '',
    'text.jpg': 'no picture at all',
  })
  await mkdir(join(folder, 'folder.jpg'))
  await symlink('loop.jpg', join(folder, 'loop.jpg'))
  return Object.keys(REASONS).map(name => join(folder, name))
}

/** Good pictures, all of one colour each, so that they can be told apart: 10 times their number. */
async function goodFiles(folder: string, count: number): Promise<string[]> {
  const files: Record<string, Uint8Array> = {}
  for (let i = 0; i < count; i++) {
    const background = { r: 10 * i, g: 10 * i, b: 10 * i }
    const solid = sharp({ create: { width: 4, height: 4, channels: 3, background } })
    files[`good${String(i).padStart(2, '0')}.png`] = await solid.png().toBuffer()
  }
  await writeFiles(folder, files)
  return Object.keys(files).map(name => join(folder, name))
}

const open = (files: readonly string[], options: ImageDataLoadersOptions) => {
  let label = 0
  return ImageDataLoaders.fromPathFunc('.', files, () => String(label++ % 2), { itemTfms: new Resize(4), ...options })
}

/** Which good pictures each batch of a pass shows. */
async function shown(dls: ImageDataLoaders, valid = false): Promise<number[][]> {
  const batches: number[][] = []
  for await (const [x, y] of (valid ? dls.valid : dls.train) ?? []) {
    const pixels = await x.contiguous().data()
    const [n] = y.shape
    batches.push(Array.from({ length: n }, (_, i) => Math.round(Number(pixels[i * 3 * 4 * 4]) * 25.5)))
    for (const tensor of [x, y]) tensor.dispose()
  }
  return batches
}

async function warningsOf(body: () => Promise<unknown>): Promise<string[]> {
  const messages: string[] = []
  const listen = (warning: Error) => {
    // said once by a build without codecs, at the first picture of all
    if (Reflect.get(warning, 'code') !== 'TORCH_LEARNER_NO_CODECS') messages.push(warning.message)
  }
  process.on('warning', listen)
  await body()
  await new Promise(resolve => setImmediate(resolve))
  process.off('warning', listen)
  return messages
}

test('by default each kind is an error that names the file and the reason', async t => {
  const folder = await temporaryFolder(t)
  const good = await goodFiles(folder, 3)
  for (const bad of await badFiles(folder)) {
    const dls = await open([...good, bad], { bs: 1, validPct: 0.25, shuffle: false })
    const read = async () => [await shown(dls), await shown(dls, true)]
    const error = await t.throwsAsync(read, undefined, bad)
    t.true(error?.message.startsWith(`Cannot read the picture ${bad}: `), error?.message)
    t.regex(error?.message ?? '', REASONS[basename(bad)])
  }
})

test('a PNG that is named .jpg is decoded as what it is', async t => {
  const folder = await temporaryFolder(t)
  const [first, ...others] = await goodFiles(folder, 4)
  const wrong = join(folder, 'png.jpg')
  await rename(first, wrong)
  const dls = await open([wrong, ...others], { bs: 1, validPct: 0.25, seed: 1, onBadFile: 'skip' })
  t.deepEqual([...(await shown(dls)), ...(await shown(dls, true))].flat().sort(), [0, 1, 2, 3])
  t.is(dls.badFiles.size, 0)
})

test('a file that may not be read', async t => {
  const folder = await temporaryFolder(t)
  const [file] = await goodFiles(folder, 1)
  await chmod(file, 0)
  // root may read everything: become nobody when all is loaded
  const outcome = await runProgram(`
    if (process.getuid() === 0) process.seteuid(65534)
    await tl.openImage(${JSON.stringify(file)}).catch(({ code, message }) => console.log(code + ' ' + message))`)
  await chmod(folder, 0o755)
  t.regex(outcome.stdout, /^ERR_DECODE Cannot read the picture .*good00\.png: Permission denied$/m, outcome.stderr)
})

test.serial('left out: batches keep their size, and one warning tells which', async t => {
  const folder = await temporaryFolder(t)
  const good = await goodFiles(folder, 16)
  const bad = await badFiles(folder)
  const files = [...good, ...bad].sort(
    (a, b) => basename(a, '.png').length - basename(b, '.png').length || (a < b ? -1 : 1),
  )
  const dls = await open(files, { bs: 4, validPct: 0.25, seed: 4, onBadFile: 'skip' })
  const epochs: number[][][] = []
  const warnings = await warningsOf(async () => {
    for (let epoch = 0; epoch < 3; epoch++) epochs.push(await shown(dls))
  })
  const { length } = dls.train
  for (const batches of epochs)
    t.deepEqual(
      batches.map(batch => batch.length),
      Array(length).fill(4),
    )
  t.is(warnings.length, 1, warnings.join('\n'))
  t.regex(warnings[0], /^Left out \d pictures that can't be read: .*; and \d more\. The loaders' badFiles lists all$/)

  const before = dls.badFiles.size
  const rest = await warningsOf(async () => epochs.push(await shown(dls, true), await shown(dls, true)))
  t.is(rest.length, dls.badFiles.size > before ? 1 : 0)
  t.deepEqual(epochs[3], epochs[4])
  t.true(epochs[3].slice(0, -1).every(batch => batch.length === 4))
  t.is(new Set(epochs[3].flat()).size, epochs[3].flat().length, 'each picture once')
  t.deepEqual(
    [...new Set([...epochs[0], ...epochs[1], ...epochs[2], ...epochs[3]].flat())].sort((a, b) => a - b),
    [...good.keys()],
  )
  t.deepEqual([...dls.badFiles.keys()].sort(), [...bad].sort())
  for (const [file, reason] of dls.badFiles) t.regex(reason, REASONS[basename(file)])

  const again = await open(files, { bs: 4, validPct: 0.25, seed: 4, onBadFile: 'skip' })
  t.deepEqual([await shown(again), await shown(again), await shown(again)], epochs.slice(0, 3), 'the same for a seed')
  const one = await open(files, { bs: 4, validPct: 0.25, seed: 4, onBadFile: 'skip', prefetch: 0, numWorkers: 1 })
  t.deepEqual(await shown(one), epochs[0], 'however it is read')
})

test.serial('a resumed fit goes on as the whole one would have', async t => {
  const folder = await temporaryFolder(t)
  const files = [...(await goodFiles(folder, 14)), join(folder, 'gone.png'), join(folder, 'lost.png')]
  const trained = async (path: string, cut?: Callback) => {
    const dls = await open(files, { bs: 3, validPct: 0.2, seed: 6, onBadFile: 'skip' })
    manualSeed(1)
    const model = new nn.Sequential(new nn.Flatten(), new nn.Linear(48, 2))
    const learn = new Learner(dls, model, { path, lossFunc: new CrossEntropyLossFlat() })
    learn.silent = true
    const checkpoint = new Checkpoint({ everyBatches: 1, resume: true })
    await learn.fit(2, { cbs: cut ? [checkpoint, cut] : checkpoint })
    return weightsOf(model)
  }
  const whole = await trained(await temporaryFolder(t))
  const path = await temporaryFolder(t)
  for (const [epoch, iter] of [
    [0, 2],
    [1, 1],
  ]) {
    await t.throwsAsync(trained(path, failAt(epoch, iter, 'afterBatch')))
  }
  t.deepEqual(await trained(path), whole)
})

test('a file that vanishes between passes', async t => {
  const folder = await temporaryFolder(t)
  const good = await goodFiles(folder, 12)
  for (const onBadFile of ['skip', 'error'] as const) {
    const dls = await open(good, { bs: 3, validPct: 0.25, seed: 2, onBadFile, prefetch: 1 })
    await shown(dls)
    const gone = good[5]
    await rename(gone, `${gone}.away`)
    const read = async () => [...(await shown(dls)), ...(await shown(dls, true))]
    if (onBadFile === 'error') await coded(t, read, 'ERR_NOT_FOUND', /good05\.png: there is no such file$/)
    else {
      t.false((await read()).flat().includes(5))
      t.deepEqual([...dls.badFiles.keys()], [gone])
    }
    await rename(`${gone}.away`, gone)
  }
})

test('a file that vanishes in the middle of a pass', async t => {
  const folder = await temporaryFolder(t)
  await classFolders(folder, { 'train/a': 12, 'train/b': 12, 'valid/a': 2, 'valid/b': 2 })
  const dls = await ImageDataLoaders.fromFolder(folder, { bs: 2, prefetch: 0, seed: 3 })
  const read = async () => {
    let first = true
    for await (const batch of dls.train) {
      for (const tensor of batch) tensor.dispose()
      if (first) await rename(join(folder, 'train'), join(folder, 'away'))
      first = false
    }
  }
  await coded(t, read, 'ERR_NOT_FOUND', /^Cannot read the picture .*: there is no such file$/)
  t.is((await getImageFiles(join(folder, 'away'))).length, 24)
})

test('nothing but bad files', async t => {
  const folder = await temporaryFolder(t)
  const files = Array.from({ length: 8 }, (_, i) => join(folder, `${i}.png`))
  for (const file of files) await writeFile(file, 'x')
  const dls = await open(files, { bs: 2, validPct: 0.5, seed: 1, onBadFile: 'skip' })
  const expected = /^None of the 4 pictures of a pass can be read, the first: Cannot read the picture .*known here$/
  await coded(t, () => shown(dls), 'ERR_NO_DATA', expected)
  await coded(t, () => shown(dls, true), 'ERR_NO_DATA', expected)
})
