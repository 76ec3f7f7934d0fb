// verifyImages: every kind of bad file, how far it is, and stopping.
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { verifyImages } from 'torch-learner'
import { VerifyProgress } from '../dist/vision/decode/verify-progress.js'
import { classFolders, coded, picture, temporaryFolder, writeFiles } from './helpers/pictures.js'

test('names what is bad and why, in the given order', async t => {
  const folder = await temporaryFolder(t)
  const png = await picture(40, 30).png().toBuffer()
  const jpeg = await picture(40, 30).jpeg().toBuffer()
  await writeFiles(folder, {
    'good.png': png,
    'good.jpg': jpeg,
    'png-named.jpg': png,
    'good.webp': await picture(40, 30).webp().toBuffer(),
    'cut.jpg': jpeg.subarray(0, jpeg.length - 40),
    'cut.png': png.subarray(0, png.length - 40),
    'cut.webp': (await picture(40, 30).webp({ lossless: true }).toBuffer()).subarray(0, 200),
    'empty.jpg': '',
    'text.jpg': 'no picture at all',
    'large.png': await picture(60, 40).png().toBuffer(),
    'large.gif': await picture(60, 40).gif().toBuffer(),
  })
  await mkdir(join(folder, 'folder.jpg'))
  await symlink(join(folder, 'nowhere'), join(folder, 'link.jpg'))
  const expected: [string, RegExp | null][] = [
    ['good.png', null],
    // sharp's own words may be missing: libvips keeps one list of complaints for all pictures under way
    ['cut.jpg', /cut\.jpg: .*(damaged or cut off|premature end)/i],
    ['cut.png', /cut\.png: ./],
    ['png-named.jpg', null],
    ['cut.webp', /cut\.webp: ./],
    ['good.webp', null],
    ['empty.jpg', /the file is empty$/],
    ['text.jpg', /it isn't a picture in a format known here$/],
    ['large.png', /60 x 40 = 2400 pixels, more than the 2000 allowed$/],
    ['large.gif', /60 x 40 = 2400 pixels, more than the 2000 allowed$/],
    ['folder.jpg', /it is a folder$/],
    ['link.jpg', /there is no such file$/],
    ['missing.jpg', /there is no such file$/],
    ['good.jpg', null],
  ]
  const files = expected.map(([name]) => join(folder, name))
  const bad = await verifyImages(files, { maxPixels: 2000, onProgress: () => undefined })
  const wanted = expected.filter(([, reason]) => reason !== null)
  t.deepEqual(
    bad.map(({ file }) => file),
    wanted.map(([name]) => join(folder, name)),
  )
  for (const [i, { reason }] of bad.entries()) t.regex(reason, wanted[i][1] ?? /./)
})

test('stops when told, before and in the middle', async t => {
  const folder = await temporaryFolder(t)
  await classFolders(folder, { a: 40 })
  const files = Array.from({ length: 40 }, (_, i) => join(folder, 'a', `${String(i).padStart(3, '0')}.png`))
  const reason = new Error('enough')
  await t.throwsAsync(verifyImages(files, { signal: AbortSignal.abort(reason) }), { is: reason })
  await t.throwsAsync(verifyImages([], { signal: AbortSignal.abort(reason) }), { is: reason })
  const controller = new AbortController()
  const seen: number[] = []
  const onProgress = (done: number) => {
    seen.push(done)
    controller.abort(reason)
  }
  await t.throwsAsync(verifyImages(files, { numWorkers: 1, signal: controller.signal, onProgress }), { is: reason })
  t.deepEqual(seen, [16])
})

test('tells how far it is', async t => {
  const folder = await temporaryFolder(t)
  await classFolders(folder, { a: 20 })
  await writeFile(join(folder, 'a', '003.png'), 'spoilt')
  const files = Array.from({ length: 20 }, (_, i) => join(folder, 'a', `${String(i).padStart(3, '0')}.png`))
  const told: number[][] = []
  await verifyImages(files, { numWorkers: 1, onProgress: (...now) => told.push(now) })
  t.deepEqual(told, [
    [16, 20, 1],
    [20, 20, 1],
  ])
})

test('a bar on a terminal, a line now and then elsewhere', t => {
  const draw = (isTTY: boolean, times: number[]) => {
    let text = ''
    let now = 0
    const progress = new VerifyProgress({ isTTY, write: more => (text += more) }, () => now)
    for (const [i, time] of times.entries()) {
      now = time
      progress.update(10 * (i + 1), 40, i)
    }
    progress.end()
    return text
  }
  t.is(
    draw(true, [0, 50, 150]),
    `\r\x1b[2K${'█'.repeat(5)}${'░'.repeat(15)} 10 of 40 pictures verified` +
      `\r\x1b[2K${'█'.repeat(15)}${'░'.repeat(5)} 30 of 40 pictures verified, 2 bad\r\x1b[2K`,
  )
  t.is(draw(false, [1000, 5000, 5100, 11000]), '20 of 40 pictures verified, 1 bad\n40 of 40 pictures verified, 3 bad\n')
  t.is(draw(true, []), '')
  t.is(draw(false, [100]), '')
})

test('bad options', async t => {
  const call = (options: unknown) => () => Reflect.apply(verifyImages, null, [[], options])
  await coded(t, call({ maxPixels: 0 }), 'ERR_INVALID_ARG', /a number above 0 for verifyImages's maxPixels/)
  await coded(
    t,
    call({ numWorkers: 0 }),
    'ERR_INVALID_ARG',
    /a whole number from 1 to 128 for verifyImages's numWorkers/,
  )
  await coded(t, call({ onProgress: 5 }), 'ERR_INVALID_ARG', /a function for verifyImages's onProgress but received 5/)
  await coded(t, call({ signal: {} }), 'ERR_INVALID_ARG', /an AbortSignal for verifyImages's signal/)
  await coded(t, call({ workers: 2 }), 'ERR_INVALID_ARG', /only maxPixels, numWorkers, onProgress, signal/)
})
