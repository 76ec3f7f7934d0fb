// untarData: which address a folder is of, what came instead of an archive, bombs, and damaged archives by the hundred.

import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32, gzipSync } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import { type UntarDataOptions, URLs, untarData } from 'torch-learner'
import { serveArchive } from './helpers/archive-server.js'
import { coded, temporaryFolder, writeFiles } from './helpers/pictures.js'
import { entry } from './helpers/tar.js'
import { zip } from './helpers/zip.js'

const END = Buffer.alloc(1024)
const tgz = (...entries: Buffer[]) => gzipSync(Buffer.concat([...entries, END]))

async function setup(t: ExecutionContext, archive: Buffer | (() => Buffer)) {
  const home = await temporaryFolder(t)
  const server = await serveArchive(archive)
  t.teardown(() => server[Symbol.asyncDispose]())
  const fetchIt = (name: string, more: UntarDataOptions = {}) =>
    untarData(`${server.url}/${name}`, { home, onProgress: () => undefined, ...more })
  const left = async () =>
    (await readdir(home, { recursive: true })).filter(name => !/^(archive|data)$/.test(name)).sort()
  return { home, server, fetchIt, left }
}

test('addresses that end alike have folders of their own', async t => {
  let made = 0
  const { home, server, fetchIt } = await setup(t, () => tgz(entry('x/name.txt', { content: String(++made) })))
  const first = await fetchIt('one/x.tgz')
  const second = await fetchIt('two/x.tgz')
  const third = await fetchIt('two/x.tgz?version=2')
  t.is(first, join(home, 'data', 'x'))
  t.regex(second, /data.x-[\da-f]{8}$/)
  t.is(new Set([first, second, third]).size, 3)
  const read = async (folder: string) => await readFile(join(folder, 'name.txt'), 'utf8')
  t.deepEqual([await read(first), await read(second), await read(third)], ['1', '2', '3'])
  // each goes on having its own, from the archive too
  t.deepEqual(await Promise.all(['one/x.tgz', 'two/x.tgz', 'two/x.tgz#part'].map(name => fetchIt(name))), [
    first,
    second,
    second,
  ])
  await rm(second, { recursive: true })
  t.is(await read(await fetchIt('two/x.tgz')), '2')
  t.is(server.seen.length, 3)
  const password = server.url.replace('://', '://me:secret@')
  t.is(await untarData(`${password}/one/x.tgz`, { home }), first)
  for (const name of await readdir(join(home, 'data'))) {
    if (name.endsWith('.source')) t.notRegex(await readFile(join(home, 'data', name), 'utf8'), /secret|version/)
  }
})

test('two addresses at the same time', async t => {
  const { fetchIt } = await setup(t, () => tgz(entry('x/name.txt', { content: 'x' })))
  const names = ['a', 'b', 'a', 'c', 'b'].map(name => `${name}/x.tgz`)
  const folders = await Promise.all(names.map(name => fetchIt(name)))
  t.is(new Set(folders).size, 3)
  t.is(folders[0], folders[2])
  t.is(folders[1], folders[4])
})

test('folders that were there before: those of fastai are its own, others are left alone', async t => {
  const { home, server, fetchIt } = await setup(t, tgz(entry('x/new.txt', { content: 'x' })))
  await writeFiles(home, { 'data/mnist_tiny/labels.csv': 'a', 'data/x/mine.txt': 'mine', 'archive/x.tgz': 'another' })
  t.is(await untarData(URLs.MNIST_TINY, { home }), join(home, 'data', 'mnist_tiny'))
  t.not(await fetchIt('mnist_tiny.tgz'), join(home, 'data', 'mnist_tiny'))
  const path = await fetchIt('x.tgz', { force: true })
  t.regex(path, /x-[\da-f]{8}$/)
  t.deepEqual(await readdir(path), ['new.txt'])
  t.deepEqual(await readdir(join(home, 'data', 'x')), ['mine.txt'])
  t.is(server.seen.length, 2)
})

for (const [name, body, message] of [
  [
    'a web page',
    Buffer.from('\r\n <!doctype html>\n<html>'),
    /it is a web page \(HTML\), and not such an archive: the address/,
  ],
  ['an error of the server', Buffer.from('{"error": "quota"}'), /it is a JSON document, .* an error of the server/],
  ['bzip2', Buffer.from('BZh91AY&SY', 'latin1'), /it is a file compressed by bzip2, .*unpack it yourself/],
  ['xz', Buffer.from('\xfd7zXZ\0', 'latin1'), /it is a file compressed by xz/],
  ['Git LFS', Buffer.from('version https://git-lfs.github.com/spec/v1\n'), /it is a Git LFS pointer/],
  ['a byte', Buffer.from('a'), /it is not a tar archive: it has 1 bytes/],
  ['gzip of text', gzipSync('a,b\n1,2\n'.repeat(100)), /it is not a tar archive: its content is something else/],
  ['gzip of little', gzipSync('a'), /it is not a tar archive: it has 1 bytes/],
  [
    'gzip of gzip',
    gzipSync(gzipSync(Buffer.alloc(600, 'ab'), { level: 0 })),
    /its content is a file compressed by gzip/,
  ],
] as const) {
  test(`what came instead of an archive: ${name}`, async t => {
    for (const file of ['x.tgz', 'x.zip']) {
      const { fetchIt, left } = await setup(t, body)
      await coded(t, () => fetchIt(file), 'ERR_FILE_FORMAT', message)
      t.deepEqual(await left(), [])
    }
  })
}

test('the content says how an archive is unpacked, not its name', async t => {
  const tar = await setup(t, tgz(entry('x/a.txt', { content: 'tar' })))
  t.is(await readFile(join(await tar.fetchIt('x.zip'), 'a.txt'), 'utf8'), 'tar')
  const zipped = await setup(t, zip({ 'x/a.txt': 'zip' }))
  t.is(await readFile(join(await zipped.fetchIt('x.tgz'), 'a.txt'), 'utf8'), 'zip')
})

test('addresses of other kinds of archives say what to do', async t => {
  for (const end of ['tar.bz2', 'tar.xz', '7z', 'csv.gz']) {
    const get = () => untarData(`http://a.b/x.${end}`)
    await coded(
      t,
      get,
      'ERR_INVALID_ARG',
      /for url but received .* file isn't unpacked here: fetch and unpack it yourself/,
    )
  }
  await coded(t, () => untarData('http://a.b/%E0%A4%A.rar'), 'ERR_INVALID_ARG', /for url/)
  const long = () => untarData(`http://a.b/${'x'.repeat(300)}.tgz`, { home: join(process.cwd(), 'none', 'of', 'it') })
  await coded(t, long, 'ERR_DOWNLOAD', /can't be stored in .*ENAMETOOLONG/)
  await rm(join(process.cwd(), 'none'), { recursive: true, force: true })
})

test.serial('a bomb: refused in time, without its memory, and others have their turn', async t => {
  const size = 2 ** 31
  const block = Buffer.alloc(2 ** 20)
  const parts = [entry('x/zeros.bin', { size })]
  const bomb = gzipSync(Buffer.concat([...parts, ...Array.from({ length: 300 }, () => block)]))
  const { fetchIt, left } = await setup(t, bomb)
  const before = process.memoryUsage().rss
  let most = before
  let turns = 0
  const timer = setInterval(() => {
    turns++
    most = Math.max(most, process.memoryUsage().rss)
  }, 1)
  const limit = { maxBytes: 256 * 2 ** 20 }
  await coded(
    t,
    () => fetchIt('x.tgz', limit),
    'ERR_FILE_FORMAT',
    /more than 268435456 bytes: .* raise untarData's maxBytes/,
  )
  clearInterval(timer)
  t.true(most - before < 150e6, `${((most - before) / 1e6).toFixed()} MB more`)
  t.true(turns > 50, `${turns} turns`)
  // the archive stays, for a call with a higher limit
  t.deepEqual(await left(), ['archive/x.tgz', 'data/.x.source'])
})

test('too many entries, in a tar and in a zip, and bytes of a zip', async t => {
  const names = Array.from({ length: 12 }, (_, i) => `x/${i}.txt`)
  const many = await setup(t, tgz(...names.map(name => entry(name, { content: 'a' }))))
  const few = { maxEntries: 10 }
  await coded(t, () => many.fetchIt('x.tgz', few), 'ERR_FILE_FORMAT', /holds more than 10 files: .*maxEntries/)
  t.is((await readdir(await many.fetchIt('x.tgz'))).length, 12)
  t.is(many.server.seen.length, 1)
  const zipped = await setup(t, zip(Object.fromEntries(names.map(name => [name, 'a'.repeat(100)]))))
  await coded(t, () => zipped.fetchIt('x.zip', few), 'ERR_FILE_FORMAT', /holds more than 10 files/)
  await coded(t, () => zipped.fetchIt('x.zip', { maxBytes: 1000 }), 'ERR_FILE_FORMAT', /more than 1000 bytes/)
  t.is((await readdir(await zipped.fetchIt('x.zip'))).length, 12)
})

const PAX_SPARSE = '22 GNU.sparse.major=1\n'

for (const [name, entries, message] of [
  ['GNU sparse', [entry('x/s', { type: 'S' })], /x\/s, which is a SparseFile/],
  ['sparse of pax', [entry('h', { type: 'x', content: PAX_SPARSE }), entry('x/s')], /holds sparse files/],
  ['an unknown kind', [entry('x/u', { type: 'Z', content: 'u' })], /x\/u, which is of an unknown kind/],
  ['a part of a file', [entry('x/m', { type: 'M', content: 'm' })], /x\/m, which is a ContinuationFile/],
  [
    'a file where a folder is',
    [entry('x/a/b', { content: 'b' }), entry('x/a', { content: 'a' })],
    /x\/a can't be made/,
  ],
  [
    'a folder where a file is',
    [entry('x/a', { content: 'a' }), entry('x/a/b', { content: 'b' })],
    /x\/a\/b can't be made/,
  ],
  [
    'a large file where a folder is',
    [entry('x/a/b'), entry('x/a', { content: 'a'.repeat(300_000) })],
    /x\/a can't be made/,
  ],
  [
    'a name that is too long',
    [entry('L', { type: 'L', content: `x/${'n'.repeat(300)}\0` }), entry('x')],
    /ENAMETOOLONG/,
  ],
] as const) {
  test(`refused, and fetched anew by the next call: ${name}`, async t => {
    let sent = tgz(entry('x/good.txt', { content: 'good' }), ...entries)
    const { fetchIt, left } = await setup(t, () => sent)
    await coded(t, () => fetchIt('x.tgz'), 'ERR_FILE_FORMAT', message)
    t.deepEqual(await left(), [])
    sent = tgz(entry('x/good.txt', { content: 'good' }))
    t.deepEqual(await readdir(await fetchIt('x.tgz')), ['good.txt'])
  })
}

test('of permissions only that a file can be run is kept; the later of two files counts', async t => {
  const { fetchIt } = await setup(
    t,
    tgz(
      entry('x/root', { mode: 0o6755, content: 'r' }),
      entry('x/big', { mode: 0o4000, content: 'b'.repeat(300_000) }),
      entry('x/twice', { content: 'first' }),
      entry('x/twice', { content: 'second' }),
      entry('x/folder/', { type: '5', mode: 0o7000 }),
    ),
  )
  const path = await fetchIt('x.tgz')
  const modeOf = async (name: string) => (await stat(join(path, name))).mode
  for (const name of ['root', 'big', 'folder']) t.is((await modeOf(name)) & 0o7000, 0, name)
  if (process.platform !== 'win32') {
    t.is((await modeOf('root')) & 0o100, 0o100)
    t.is((await modeOf('big')) & 0o700, 0o600)
  }
  t.is((await stat(join(path, 'big'))).size, 300_000)
  t.is(await readFile(join(path, 'twice'), 'utf8'), 'second')
})

test("a zip's checksums are compared", async t => {
  const archive = zip({ 'x/a.txt': 'as it should be' })
  archive[archive.indexOf('as it')] ^= 1
  const { fetchIt, left } = await setup(t, archive)
  const expected = crc32('as it should be').toString(16).padStart(8, '0')
  await coded(
    t,
    () => fetchIt('x.zip'),
    'ERR_FILE_FORMAT',
    new RegExp(`x/a\\.txt is damaged: .* instead of ${expected}`),
  )
  t.deepEqual(await left(), [])
})

test('an empty answer of the server is said to be one', async t => {
  const { fetchIt, left } = await setup(t, Buffer.alloc(0))
  await coded(t, () => fetchIt('a.tgz'), 'ERR_DOWNLOAD', /a\.tgz is empty: the server sent no bytes/)
  t.deepEqual(await left(), [])
})

test('damaged tars leave nothing behind', async t => {
  const files = Array.from({ length: 20 }, (_, i) =>
    entry(`x/${i % 3}/${i}.bin`, { content: `${i}`.repeat(i % 5 === 0 ? 200_000 : 700) }),
  )
  const whole = Buffer.concat([...files, END])
  let seed = 7
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31
    return seed % below
  }
  let sent = whole
  const { home, fetchIt, left } = await setup(t, () => sent)
  let refused = 0
  for (let round = 0; round < 60; round++) {
    sent = Buffer.from(whole.subarray(0, round % 3 === 0 ? random(whole.length) : whole.length))
    for (let i = 0; i < 30; i++)
      sent[Math.min(sent.length - 1, random(files.length) * 1024 + random(512))] = random(256)
    if (round % 2 === 0) sent = gzipSync(sent, { level: 1 })
    const fault = await fetchIt('x.tgz').then(
      () => undefined,
      error => error,
    )
    if (fault === undefined) {
      await rm(home, { recursive: true })
      await mkdir(home)
    } else {
      refused++
      t.is(fault.code, 'ERR_FILE_FORMAT', fault.message)
      t.deepEqual(await left(), [], fault.message)
    }
  }
  t.true(refused > 20, `${refused} were refused`)
})
