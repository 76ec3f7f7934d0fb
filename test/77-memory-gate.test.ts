// How much of what sharp decodes is under way at the same time.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { openImage } from 'torch-learner'
import { MemoryGate } from '../dist/vision/decode/memory-gate.js'
import { coded, picture, temporaryFolder } from './helpers/pictures.js'

test('works begin in order while they fit; what never fits runs alone', async t => {
  const gate = new MemoryGate(100)
  const begun: string[] = []
  const ends = new Map<string, () => void>()
  const add = (name: string, bytes: number) =>
    gate.run(bytes, async () => {
      begun.push(name)
      await new Promise<void>(end => ends.set(name, end))
    })
  const all = [add('a', 60), add('b', 30), add('c', 40), add('d', 5), add('e', 500), add('f', 1)]
  const end = async (name: string) => {
    ends.get(name)?.()
    await new Promise(resolve => setImmediate(resolve))
  }
  await end('')
  t.deepEqual(begun, ['a', 'b'])
  t.is(gate.length, 6)
  await end('a')
  t.deepEqual(begun, ['a', 'b', 'c', 'd'])
  for (const name of ['b', 'c']) await end(name)
  t.is(begun.length, 4)
  await end('d')
  t.deepEqual(begun.slice(4), ['e'])
  await end('e')
  t.deepEqual(begun.slice(4), ['e', 'f'])
  await end('f')
  await Promise.all(all)
  t.is(gate.length, 0)
})

test('work that fails makes room', async t => {
  const gate = new MemoryGate(10)
  await t.throwsAsync(
    gate.run(10, async () => await Promise.reject(new Error('enough'))),
    { message: 'enough' },
  )
  t.is(await gate.run(10, async () => 5), 5)
})

test('a WebP of a few bytes that is huge: refused by default above 50 million pixels', async t => {
  const file = join(await temporaryFolder(t), 'a.webp')
  const bytes = await picture(16, 16).webp({ lossless: true }).toBuffer()
  // 14 bits each of width - 1 and height - 1 behind the signature byte
  const at = bytes.indexOf('VP8L') + 9
  bytes.writeUInt32LE((((bytes.readUInt32LE(at) >>> 28) << 28) | (7999 << 14) | 7999) >>> 0, at)
  await writeFile(file, bytes)
  await coded(t, () => openImage(file), 'ERR_DECODE', /8000 x 8000 = 64000000 pixels, more than the 50000000 allowed$/)
  await coded(t, () => openImage(file, { maxPixels: 6e7 }), 'ERR_DECODE', /more than the 60000000 allowed$/)
})
