// Downloads on disks that are full, and downloads that are whole already.
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { fetchFile, freeBytes } from '../src/provision/index.js'
import { fakeArchive, serveArchive, sha256 } from './helpers/archive-server.js'
import { folderFor, runBare } from './helpers/package-copy.js'
import { smallDisk } from './helpers/small-disk.js'

const script = fileURLToPath(new URL('../scripts/fetch-libtorch.mjs', import.meta.url))
const FOLDER = 'libtorch-2.13.0-cpu-linux-x64'
const REMEDY = /Make room there, or set TORCH_LEARNER_CACHE to a folder on another disk/

const from = (url: string, cache: string, archive: Buffer) => ({
  TORCH_LEARNER_CACHE: cache,
  TORCH_LEARNER_LIBTORCH_URL: url,
  TORCH_LEARNER_LIBTORCH_SHA256: sha256(archive),
})

const partName = (url: string, archive: Buffer) =>
  `${sha256(Buffer.from(`${url}\n${sha256(archive)}`)).slice(0, 16)}.part`

test('the official archive is not begun on a disk without room for it', async t => {
  const disk = smallDisk(t, 4_000_000)
  if (!disk) return
  const { code, stderr } = await runBare([script], { TORCH_LEARNER_CACHE: disk })
  t.is(code, 1)
  t.regex(stderr, /there is no room for libtorch in .*: it takes 6\d\d MB, and [34]\.\d MB are free\./)
  t.regex(stderr, REMEDY)
  t.notRegex(stderr, /downloading|pip download/, 'it stops there')
  t.deepEqual(readdirSync(disk), [])
})

test('nor is any other, when the server says how long it is', async t => {
  const disk = smallDisk(t, 4_000_000)
  if (!disk) return
  const archive = fakeArchive({ padding: 6_000_000 })
  await using server = await serveArchive(archive)
  const { code, stderr } = await runBare([script], from(server.url, disk, archive))
  t.is(code, 1)
  t.regex(stderr, /there is no room for libtorch in .*: it takes 6\.0 MB, and [34]\.\d MB are free\./)
  t.regex(stderr, REMEDY)
  t.notRegex(stderr, /pip download/)
  t.deepEqual(readdirSync(disk), [])
})

test('a disk that becomes full ends the download, and nothing of it stays', async t => {
  const disk = smallDisk(t, 4_000_000)
  if (!disk) return
  const archive = fakeArchive({ padding: 6_000_000 })
  await using server = await serveArchive(archive, { noLength: true })
  const { code, stderr } = await runBare([script], from(server.url, disk, archive))
  t.is(code, 1)
  t.regex(stderr, /the disk became full while libtorch was written to /)
  t.regex(stderr, REMEDY)
  t.is(server.seen.length, 1, 'it is not tried again')
  t.notRegex(stderr, /pip download/)
  t.deepEqual(readdirSync(disk), [])
})

test('nothing is unpacked where there is no room for it, nor does the archive stay', async t => {
  const disk = smallDisk(t, 4_000_000)
  if (!disk) return
  const archive = fakeArchive({ padding: 3_000_000 })
  await using server = await serveArchive(archive)
  const { code, stderr } = await runBare([script], from(server.url, disk, archive))
  t.is(code, 1)
  t.regex(stderr, /there is no room for libtorch in .*: it takes 3\.\d MB, and [01]\.\d MB are free\./)
  t.deepEqual(readdirSync(disk), [])
})

test('a file for a full disk names the variable that puts it elsewhere', async t => {
  const disk = smallDisk(t, 1_000_000)
  if (!disk) return
  const content = Buffer.alloc(2_000_000, 'weights')
  await using server = await serveArchive(content)
  const file = join(disk, 'resnet.pth')
  await t.throwsAsync(
    fetchFile(server.url, file, sha256(content), {
      title: 'resnet',
      variable: 'TORCH_HOME',
      onProgress: () => undefined,
    }),
    { code: 'ENOSPC', message: /no room for resnet in .* or set TORCH_HOME to a folder on another disk/ },
  )
  t.deepEqual(readdirSync(disk), [])
})

test('a download that is whole already needs no network', async t => {
  const cache = folderFor(t)
  const archive = fakeArchive()
  const url = 'http://127.0.0.1:9/torch.whl'
  writeFileSync(join(cache, partName(url, archive)), archive)
  const { code, stderr } = await runBare([script], from(url, cache, archive))
  t.is(code, 0, stderr)
  t.deepEqual(readdirSync(cache), [FOLDER])

  const file = join(folderFor(t), 'file')
  writeFileSync(`${file}.part`, archive)
  await fetchFile(url, file, sha256(archive).slice(0, 8))
  t.true(existsSync(file))
  t.false(existsSync(`${file}.part`))
})

test('the room of a folder that is yet to be made is that of its disk', t => {
  const folder = folderFor(t)
  const free = freeBytes(join(folder, 'not', 'there'))
  t.true(free > 0 && Number.isFinite(free))
})
