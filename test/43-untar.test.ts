// untarData, against a local server: fetched once, gone on with, checked, and nothing half there.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import * as tar from 'tar'
import { type UntarDataOptions, URLs, untarData } from 'torch-learner'
import { type ServerOptions, serveArchive } from './helpers/archive-server.js'
import { coded, temporaryFolder, writeFiles } from './helpers/pictures.js'

/** An archive of these files. */
async function archiveOf(t: ExecutionContext, files: Record<string, string>): Promise<Buffer> {
  const folder = await temporaryFolder(t)
  await writeFiles(folder, files)
  const tops = [...new Set(Object.keys(files).map(name => name.split('/')[0]))]
  await tar.create({ file: join(folder, 'made.tgz'), cwd: folder, gzip: true }, tops)
  return await readFile(join(folder, 'made.tgz'))
}

/** One entry as tar writes it; `tar.create` refuses to make dangerous ones. */
function entry(name: string, type: '0' | '2', content: string): Buffer {
  const header = Buffer.alloc(512)
  header.write(name, 0)
  header.write('0000644\0', 100)
  header.write('0000000\0', 108)
  header.write('0000000\0', 116)
  const data = type === '0' ? content : ''
  header.write(`${data.length.toString(8).padStart(11, '0')}\0`, 124)
  header.write('00000000000\0', 136)
  header.write('        ', 148)
  header.write(type, 156)
  if (type === '2') header.write(content, 157)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return Buffer.concat([header, Buffer.from(data), Buffer.alloc((512 - (data.length % 512)) % 512)])
}

async function setup(t: ExecutionContext, archive: Buffer, options: ServerOptions = {}) {
  const home = await temporaryFolder(t)
  const server = await serveArchive(archive, options)
  t.teardown(() => server[Symbol.asyncDispose]())
  const fetchIt = (name: string, more: UntarDataOptions = {}) => untarData(`${server.url}/${name}`, { home, ...more })
  const left = async () =>
    (await readdir(home, { recursive: true })).filter(name => !/^(archive|data)$/.test(name)).sort()
  return { home, server, fetchIt, left }
}

const PETS = { 'pets/images/cat_1.jpg': 'cat', 'pets/images/dog_1.jpg': 'dog' }

test('fetched and unpacked once', async t => {
  const { home, server, fetchIt, left } = await setup(t, await archiveOf(t, PETS))
  const path = await fetchIt('pets.tgz')
  t.is(path, join(home, 'data', 'pets'))
  t.is(await readFile(join(path, 'images/cat_1.jpg'), 'utf8'), 'cat')
  t.is(await fetchIt('pets.tgz'), path)
  t.is(server.seen.length, 1)
  t.deepEqual(await left(), [
    'archive/pets.tgz',
    'data/.pets.source',
    'data/pets',
    'data/pets/images',
    'data/pets/images/cat_1.jpg',
    'data/pets/images/dog_1.jpg',
  ])
  await fetchIt('pets.tgz', { force: true })
  t.is(server.seen.length, 2)
})

test('an archive without a folder of its own, and one of another name', async t => {
  const { fetchIt } = await setup(t, await archiveOf(t, { 'a.txt': 'a', 'b/c.txt': 'c' }))
  t.deepEqual((await readdir(await fetchIt('loose.tar.gz'))).sort(), ['a.txt', 'b'])
  const other = await setup(t, await archiveOf(t, PETS))
  t.deepEqual(await readdir(await other.fetchIt('animals.tgz')), ['images'])
})

test('several at the same time', async t => {
  const { fetchIt, left } = await setup(t, await archiveOf(t, PETS))
  const paths = await Promise.all([1, 2, 3].map(() => fetchIt('pets.tgz')))
  t.is(new Set(paths).size, 1)
  t.is((await left()).length, 6)
})

test('a cut line is gone on with', async t => {
  const archive = await archiveOf(t, { 'big/a.txt': Array.from({ length: 5000 }, (_, i) => i * 7919).join() })
  const { server, fetchIt } = await setup(t, archive, { cutAfter: 1000, cuts: 1 })
  await fetchIt('big.tgz')
  t.is(server.seen[1].headers.range, 'bytes=1000-')
})

test('remains of a killed process are removed', async t => {
  const { home, fetchIt, left } = await setup(t, await archiveOf(t, PETS))
  await mkdir(join(home, 'data', 'pets.unpacking-99999999-abc'), { recursive: true })
  await fetchIt('pets.tgz')
  t.is((await left()).length, 6)
})

test('damaged, empty and dangerous archives leave nothing', async t => {
  const whole = await archiveOf(t, { 'a/a.txt': Array.from({ length: 3000 }, (_, i) => i * 7919).join() })
  const end = Buffer.alloc(1024)
  const dangerous = (...entries: Buffer[]) => gzipSync(Buffer.concat([...entries, end]))
  const good = entry('x/good.txt', '0', 'fine')
  const archives: [Buffer, RegExp][] = [
    [whole.subarray(0, whole.length / 2), /can't be unpacked/],
    [Buffer.from('no archive'.repeat(100)), /can't be unpacked/],
    [gzipSync(end), /it is empty|can't be unpacked/],
    [dangerous(good, entry('../evil.txt', '0', 'evil')), /it holds \.\.\/evil\.txt: neither links nor paths out of it/],
    [dangerous(good, entry('/evil.txt', '0', 'evil')), /it holds \/evil\.txt/],
    [
      dangerous(good, entry('x/link', '2', '/etc'), entry('x/link/evil', '0', 'evil')),
      /x\/link, which is a SymbolicLink/,
    ],
  ]
  for (const [archive, message] of archives) {
    const { fetchIt, left } = await setup(t, archive)
    await coded(t, () => fetchIt('x.tgz'), 'ERR_FILE_FORMAT', message)
    t.deepEqual(await left(), [])
  }
})

test('no network: said clearly and soon', async t => {
  const home = await temporaryFolder(t)
  const offline = () => untarData('http://127.0.0.1:9/pets.tgz', { home })
  await coded(
    t,
    offline,
    'ERR_DOWNLOAD',
    /^pets could not be fetched from .*: can't reach 127.*put the archive there by hand: .*pets.tgz$/,
  )
  const silent = await setup(t, Buffer.alloc(5000, 1), { cutAfter: 100, cuts: 99, stall: true })
  await coded(t, () => silent.fetchIt('a.tgz', { idleTimeout: 200 }), 'ERR_DOWNLOAD', /no data for 0.2 s/)
  const slow = await setup(t, Buffer.alloc(10), { delay: 5000 })
  await coded(t, () => slow.fetchIt('a.tgz', { connectTimeout: 200 }), 'ERR_DOWNLOAD', /did not answer within 0.2 s/)
  const missing = await setup(t, Buffer.alloc(10), { status: 404 })
  await coded(t, () => missing.fetchIt('a.tgz'), 'ERR_DOWNLOAD', /answered 404/)
})

test('known archives are checked', async t => {
  const home = await temporaryFolder(t)
  t.is(URLs.PETS, 'https://s3.amazonaws.com/fast-ai-imageclas/oxford-iiit-pet.tgz')
  const { checksums } = await import('../dist/data/download/urls.js')
  t.deepEqual([...checksums.keys()].sort(), Object.values(URLs).sort())
  const { checkArchive } = await import('../dist/data/download/untar.js')
  const file = join(home, 'tiny.tgz')
  await writeFile(file, Buffer.alloc(342207))
  await t.throwsAsync(checkArchive(file, URLs.MNIST_TINY), {
    message: /MD5 of its first MiB is [\da-f]{32} instead of 5614/,
  })
  await t.throwsAsync(checkArchive(file, URLs.MNIST), { message: 'it has 342207 bytes instead of 15683414' })
  await t.notThrowsAsync(checkArchive(file, 'http://a.b/tiny.tgz'))
  // an archive that was put there by hand is taken
  await mkdir(join(home, 'archive'), { recursive: true })
  await writeFile(join(home, 'archive', 'mnist_sample.tgz'), await archiveOf(t, { 'mnist_sample/train/3/1.png': 'p' }))
  t.deepEqual(await readdir(await untarData(URLs.MNIST_SAMPLE, { home })), ['train'])
})

test('wrong input', async t => {
  for (const url of ['pets', 'ftp://a.b/c.tgz', 'http://a.b/c.rar', 'http://a.b/..%2f.tgz', 5]) {
    await coded(
      t,
      () => Reflect.apply(untarData, null, [url]),
      'ERR_INVALID_ARG',
      /URL of a .tgz, .tar.gz, .tar or .zip archive for url/,
    )
  }
  await coded(t, () => Reflect.apply(untarData, null, [URLs.PETS, { hom: 1 }]), 'ERR_INVALID_ARG', /only home, force/)
})
