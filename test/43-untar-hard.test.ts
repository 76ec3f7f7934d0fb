// untarData when things go wrong: lines, servers, disks, neighbours, archives.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import * as tar from 'tar'
import { type UntarDataOptions, untarData } from 'torch-learner'
import { type ServerOptions, serveArchive, sha256 } from './helpers/archive-server.js'
import { coded, temporaryFolder, writeFiles } from './helpers/pictures.js'
import { zip } from './helpers/zip.js'

async function archiveOf(t: ExecutionContext, files: Record<string, string>): Promise<Buffer> {
  const folder = await temporaryFolder(t)
  await writeFiles(folder, files)
  const tops = [...new Set(Object.keys(files).map(name => name.split('/')[0]))]
  await tar.create({ file: join(folder, 'made.tgz'), cwd: folder, gzip: true }, tops)
  return await readFile(join(folder, 'made.tgz'))
}

async function setup(t: ExecutionContext, archive: Buffer | (() => Buffer), options: ServerOptions = {}) {
  const home = await temporaryFolder(t)
  const server = await serveArchive(archive, options)
  t.teardown(() => server[Symbol.asyncDispose]())
  const fetchIt = (name: string, more: UntarDataOptions = {}) =>
    untarData(`${server.url}/${name}`, { home, onProgress: () => undefined, ...more })
  const left = async () =>
    (await readdir(home, { recursive: true })).filter(name => !/^(archive|data)$/.test(name)).sort()
  return { home, server, fetchIt, left }
}

const text = (seed: number) => Array.from({ length: 4000 }, (_, i) => (i * 7919 + seed) % 10007).join()

test('the line drops again and again: gone on with each time', async t => {
  const { server, fetchIt } = await setup(t, await archiveOf(t, { 'a/a.txt': text(1) }), { cutAfter: 2000, cuts: 4 })
  t.is(await readFile(join(await fetchIt('a.tgz'), 'a.txt'), 'utf8'), text(1))
  t.deepEqual(
    server.seen.map(({ headers }) => headers.range),
    [undefined, 2000, 4000, 6000, 8000].map(at => at && `bytes=${at}-`),
  )
})

test('a file that changed in between is fetched from its first byte', async t => {
  const versions = [await archiveOf(t, { 'a/a.txt': text(1) }), await archiveOf(t, { 'a/a.txt': text(2) })]
  let asked = 0
  const { server, fetchIt } = await setup(t, () => versions[Math.min(asked++, 1)], { cutAfter: 2000, cuts: 1 })
  t.is(await readFile(join(await fetchIt('a.tgz'), 'a.txt'), 'utf8'), text(2))
  t.is(server.seen[1].headers['if-range'], `"${sha256(versions[0]).slice(0, 8)}"`)
})

test('the version may be a date, too', async t => {
  const modified = 'Mon, 02 Mar 2026 10:00:00 GMT'
  const { server, fetchIt } = await setup(t, await archiveOf(t, { 'a/a.txt': text(1) }), {
    cutAfter: 2000,
    cuts: 1,
    modified,
  })
  await fetchIt('a.tgz')
  t.is(server.seen[1].headers['if-range'], modified)
})

test('416: what is there is whole, or of another file', async t => {
  const archive = await archiveOf(t, { 'a/a.txt': text(1) })
  const whole = await setup(t, archive)
  await writeFiles(whole.home, { 'archive/a.tgz.part': archive })
  await whole.fetchIt('a.tgz')
  t.deepEqual(
    whole.server.seen.map(({ headers }) => headers.range),
    [`bytes=${archive.length}-`],
  )
  const longer = await setup(t, archive)
  await writeFiles(longer.home, { 'archive/a.tgz.part': Buffer.alloc(archive.length + 5) })
  t.is(await readFile(join(await longer.fetchIt('a.tgz'), 'a.txt'), 'utf8'), text(1))
  t.is(longer.server.seen.length, 2)
})

test('a server without ranges begins again', async t => {
  const { fetchIt } = await setup(t, await archiveOf(t, { 'a/a.txt': text(1) }), {
    cutAfter: 2000,
    cuts: 1,
    noRange: true,
  })
  t.is(await readFile(join(await fetchIt('a.tgz'), 'a.txt'), 'utf8'), text(1))
})

test('a checksum of your own', async t => {
  const archive = await archiveOf(t, { 'a/a.txt': 'a' })
  const { fetchIt, left, home } = await setup(t, archive)
  await coded(
    t,
    () => fetchIt('a.tgz', { sha256: '0123abcd' }),
    'ERR_DOWNLOAD',
    /the SHA-256 of .* is [\da-f]{64} instead of 0123abcd/,
  )
  t.deepEqual(await left(), [])
  await fetchIt('a.tgz', { sha256: sha256(archive).toUpperCase() })
  await rm(join(home, 'data'), { recursive: true })
  await coded(t, () => fetchIt('a.tgz', { sha256: '0123abcd' }), 'ERR_DOWNLOAD', /instead of 0123abcd/)
  t.deepEqual(await readdir(await fetchIt('a.tgz', { sha256: sha256(archive).slice(0, 8) })), ['a.txt'])
  await coded(
    t,
    () => fetchIt('b.tgz', { sha256: 'xyz' }),
    'ERR_INVALID_ARG',
    /a SHA-256 in hexadecimal, .* untarData's sha256/,
  )
})

test('progress is told', async t => {
  const archive = await archiveOf(t, { 'a/a.txt': text(1) })
  const { fetchIt } = await setup(t, archive)
  const seen: [number, number | null][] = []
  await fetchIt('a.tgz', { onProgress: (bytes, total) => seen.push([bytes, total]) })
  t.deepEqual(seen.at(-1), [archive.length, archive.length])
})

test('a disk that takes nothing', async t => {
  const archive = await archiveOf(t, { 'a/a.txt': text(1) })
  const noFolder = await setup(t, archive)
  await writeFiles(noFolder.home, { archive: 'a file' })
  await coded(t, () => noFolder.fetchIt('a.tgz'), 'ERR_DOWNLOAD', /^a can't be stored as .*archive.a\.tgz: E/)
  const noData = await setup(t, archive)
  await writeFiles(noData.home, { data: 'a file' })
  await coded(t, () => noData.fetchIt('a.tgz'), 'ERR_DOWNLOAD', /^a can't be stored in .*: E|ENOTDIR/)
  if (process.platform !== 'linux') return
  const full = await setup(t, archive)
  await mkdir(join(full.home, 'archive'))
  await symlink('/dev/full', join(full.home, 'archive', 'a.tgz.part'))
  await coded(
    t,
    () => full.fetchIt('a.tgz'),
    'ERR_DOWNLOAD',
    /^a can't be stored as .*the disk became full .*ENOSPC: no space left on device.* or set FASTAI_HOME to/,
  )
  t.false((await full.left()).some(name => name.startsWith('data') && name !== 'data/.a.source'))
})

test('two processes at the same time: one fetches, both get the whole folder', async t => {
  const files = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`big/${i}.txt`, String(i)]))
  const { server, home, left } = await setup(t, await archiveOf(t, files), { delay: 100 })
  const script = fileURLToPath(new URL('helpers/untar-child.mjs', import.meta.url))
  const counts = await Promise.all(
    [1, 2, 3].map(async () => {
      const child = fork(script, [`${server.url}/big.tgz`, home], { execArgv: [], silent: true })
      const [count] = await once(child, 'message')
      await once(child, 'exit')
      return count
    }),
  )
  t.deepEqual(counts, [300, 300, 300])
  t.is(server.seen.length, 1)
  t.deepEqual(
    (await left()).filter(name => !name.includes('big/')),
    ['archive/big.tgz', 'data/.big.source', 'data/big'],
  )
})

test('zip files: unpacked, and as careful', async t => {
  const good = await setup(
    t,
    zip({ 'pets/a/1.txt': 'one', 'pets/2.txt': 'two', '__MACOSX/._pets': 'x', '._pets': 'y' }),
  )
  const path = await good.fetchIt('pets.zip')
  t.deepEqual((await readdir(path, { recursive: true })).sort(), ['2.txt', 'a', 'a/1.txt'])
  const bad: [Buffer, RegExp][] = [
    [zip({ 'x/good.txt': 'fine', '../evil.txt': 'evil' }), /invalid relative path: \.\.\/evil\.txt/],
    [zip({ '/evil.txt': 'evil' }), /absolute path: \/evil\.txt/],
    [zip({ 'x/a.txt': 'fine', '..\\evil.txt': 'evil' }), /invalid relative path/],
    [withMode(zip({ 'x/link': '/etc' }), 0o120777), /x\/link, which is a SymbolicLink/],
    [withMode(zip({ 'x/null': '' }), 0o020666), /x\/null, which is a Device/],
    [zip({ 'x/a.txt': 'fine' }).subarray(0, 40), /can't be unpacked/],
    [Buffer.from('no archive'.repeat(20)), /can't be unpacked/],
  ]
  for (const [archive, message] of bad) {
    const { fetchIt, left } = await setup(t, archive)
    await coded(t, () => fetchIt('x.zip'), 'ERR_FILE_FORMAT', message)
    t.deepEqual(await left(), [])
  }
})

/** The zip's only entry as Unix would have it. */
function withMode(archive: Buffer, mode: number): Buffer {
  const at = archive.lastIndexOf('PK\x01\x02', undefined, 'latin1')
  archive.writeUInt16LE((3 << 8) | 20, at + 4)
  archive.writeUInt32LE((mode << 16) >>> 0, at + 38)
  return archive
}

test('devices, hard links and deep paths in a tar', async t => {
  const cases: [string, string, RegExp][] = [
    ['3', 'x/device', /x\/device, which is a CharacterDevice/],
    ['6', 'x/pipe', /x\/pipe, which is a FIFO/],
    ['1', 'x/hard', /x\/hard, which is a Link/],
    ['0', 'x/../../evil', /it holds x\/\.\.\/\.\.\/evil/],
    ['0', 'C:\\evil', /it holds C:/],
  ]
  for (const [type, name, message] of cases) {
    const { fetchIt, left } = await setup(t, Buffer.concat([header(name, type), Buffer.alloc(1024)]))
    await coded(t, () => fetchIt('x.tar'), 'ERR_FILE_FORMAT', message)
    t.deepEqual(await left(), [])
  }
})

function header(name: string, type: string): Buffer {
  const block = Buffer.alloc(512)
  block.write(name, 0)
  block.write('0000644\0', 100)
  block.write('00000000000\0', 124)
  block.write('00000000000\0', 136)
  block.write('        ', 148)
  block.write(type, 156)
  if (type === '1') block.write('../../etc/passwd', 157)
  block.write('ustar\x0000', 257)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

test('what another process has unpacked is left alone', async t => {
  const { home, server, fetchIt } = await setup(t, await archiveOf(t, { 'a/a.txt': 'a' }), { delay: 100 })
  const first = fetchIt('a.tgz')
  const second = fetchIt('a.tgz')
  await first
  await writeFile(join(home, 'data', 'a', 'mine.txt'), 'mine')
  await second
  t.is(await readFile(join(home, 'data', 'a', 'mine.txt'), 'utf8'), 'mine')
  t.is(server.seen.length, 1)
})
