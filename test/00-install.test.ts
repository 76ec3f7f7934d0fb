// The first thing that happens on a user's machine: libtorch is looked for, fetched, checked and unpacked.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { proxyFor } from '../src/provision/fetch/proxy.js'
import { get } from '../src/provision/fetch/request.js'
import { targetOf } from '../src/provision/libtorch/unpack.js'
import { fakeArchive, serveArchive, serveArchiveSecurely, serveProxy, sha256 } from './helpers/archive-server.js'
import { certificate } from './helpers/certificate.js'
import type { Outcome } from './helpers/child.js'
import { runBare } from './helpers/package-copy.js'

const script = fileURLToPath(new URL('../scripts/fetch-libtorch.mjs', import.meta.url))
const FOLDER = 'libtorch-2.13.0-cpu-linux-x64'
const archive = fakeArchive()

/** A cache of its own for one test, removed with it. */
function cacheFor(t: ExecutionContext): string {
  const cache = mkdtempSync(join(tmpdir(), 'torch-learner-install-'))
  t.teardown(() => rmSync(cache, { recursive: true, force: true }))
  return cache
}

/** Runs the provisioning: no python, no proxies, no LIBTORCH. */
const fetchLibtorch = (env: Record<string, string>): Promise<Outcome> => runBare([script], env)

const from = (url: string, cache: string, data = archive) => ({
  TORCH_LEARNER_CACHE: cache,
  TORCH_LEARNER_LIBTORCH_URL: url,
  TORCH_LEARNER_LIBTORCH_SHA256: sha256(data),
})

/** Only the unpacked folder is left: no part, no lock, nothing half done. */
function assertProvisioned(t: ExecutionContext, outcome: Outcome, cache: string, padding = 64): void {
  t.is(outcome.code, 0, outcome.stderr)
  t.is(outcome.stdout.trim(), join(cache, FOLDER))
  t.deepEqual(readdirSync(cache), [FOLDER])
  t.is(readFileSync(join(cache, FOLDER, 'lib', 'libtorch_cpu.so')).length, padding)
}

test('downloads, checks and unpacks what is needed, and only that', async t => {
  const cache = cacheFor(t)
  await using server = await serveArchive(archive)
  assertProvisioned(t, await fetchLibtorch(from(`${server.url}/torch.whl`, cache)), cache)
  const root = join(cache, FOLDER)
  t.deepEqual(readdirSync(join(root, 'lib')).sort(), ['libc10.so', 'libgomp.so.1', 'libtorch_cpu.so'])
  t.true(existsSync(join(root, 'include', 'ATen', 'ATen.h')))
  t.true(existsSync(join(root, 'licenses', 'LICENSE')))
  t.false(existsSync(join(root, 'nn')))
})

test('a second run takes what is there without asking the network', async t => {
  const cache = cacheFor(t)
  await using server = await serveArchive(archive)
  const env = from(server.url, cache)
  await fetchLibtorch(env)
  assertProvisioned(t, await fetchLibtorch(env), cache)
  t.is(server.seen.length, 1)
})

test('the libtorch zip, with its other top folder, does as well as the wheel', async t => {
  const cache = cacheFor(t)
  const other = fakeArchive({ layout: 'libtorch' })
  await using server = await serveArchive(other)
  assertProvisioned(t, await fetchLibtorch(from(server.url, cache, other)), cache)
})

test('a file: URL is read in place', async t => {
  const cache = cacheFor(t)
  const folder = cacheFor(t)
  const file = join(folder, 'torch+cpu.whl')
  writeFileSync(file, archive)
  assertProvisioned(t, await fetchLibtorch(from(pathToFileURL(file).href, cache)), cache)
  t.true(existsSync(file))
})

test('a line that is cut goes on from where it was', async t => {
  const cache = cacheFor(t)
  const large = fakeArchive({ padding: 300_000 })
  await using server = await serveArchive(large, { cutAfter: 100_000, cuts: 2 })
  assertProvisioned(t, await fetchLibtorch(from(server.url, cache, large)), cache, 300_000)
  const starts = server.seen.map(request => Number(/\d+/.exec(request.headers.range ?? '0')))
  t.is(starts.length, 3)
  t.is(starts[0], 0)
  t.true(Number(starts[1]) > 0 && Number(starts[2]) > Number(starts[1]))
  t.is(server.seen[1]?.headers['if-range'], `"${sha256(large).slice(0, 8)}"`)
})

test('an install that was killed is resumed by the next one', async t => {
  const cache = cacheFor(t)
  const large = fakeArchive({ padding: 300_000 })
  await using dying = await serveArchive(large, { cutAfter: 90_000, stall: true })
  const env = from(dying.url, cache, large)
  const child = spawn(process.execPath, [script], { env: { PATH: '', ...env } })
  const part = await partOf(cache, 90_000)
  child.kill('SIGKILL')
  await new Promise(resolve => child.once('close', resolve))
  t.truthy(part)
  assertProvisioned(t, await fetchLibtorch(env), cache, 300_000)
})

/** Waits until a .part file has `size` bytes. */
async function partOf(cache: string, size: number): Promise<string> {
  const limit = Date.now() + 60_000
  while (Date.now() < limit) {
    const name = readdirSync(cache).find(file => file.endsWith('.part'))
    if (name && readFileSync(join(cache, name)).length >= size) return name
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  throw new Error(`no part of ${size} bytes came to ${cache}`)
}

test('a server without ranges sends everything again', async t => {
  const cache = cacheFor(t)
  const large = fakeArchive({ padding: 300_000 })
  await using server = await serveArchive(large, { cutAfter: 100_000, noRange: true })
  assertProvisioned(t, await fetchLibtorch(from(server.url, cache, large)), cache, 300_000)
})

test('a line that is cut before the first byte is tried again, but not for ever', async t => {
  const cache = cacheFor(t)
  {
    await using server = await serveArchive(archive, { cutAfter: 0, cuts: 2 })
    assertProvisioned(t, await fetchLibtorch(from(server.url, cache)), cache)
    t.is(server.seen.length, 3)
  }
  await using server = await serveArchive(archive, { cutAfter: 0, cuts: 3 })
  const outcome = await fetchLibtorch(from(server.url, cacheFor(t)))
  t.is(outcome.code, 1)
  t.is(server.seen.length, 3)
  t.regex(outcome.stderr, /download: aborted/)
})

test('the rest of another file is found out by the hash and fetched anew', async t => {
  const cache = cacheFor(t)
  await using server = await serveArchive(archive)
  const env = from(server.url, cache)
  const name = `${sha256(Buffer.from(`${server.url}/\n${sha256(archive)}`)).slice(0, 16)}.part`
  writeFileSync(join(cache, name), 'something else')
  assertProvisioned(t, await fetchLibtorch(env), cache)
  t.deepEqual(
    server.seen.map(request => request.headers.range),
    ['bytes=14-', undefined],
  )
})

test('a wrong hash is refused, and nothing of the file is kept', async t => {
  const cache = cacheFor(t)
  await using server = await serveArchive(archive)
  const outcome = await fetchLibtorch({ ...from(server.url, cache), TORCH_LEARNER_LIBTORCH_SHA256: '0'.repeat(64) })
  t.is(outcome.code, 1)
  t.regex(outcome.stderr, new RegExp(`SHA-256 of ${server.url}/ is ${sha256(archive)}, expected 0{64}`))
  t.deepEqual(readdirSync(cache), [])
})

test('another version is refused', async t => {
  const cache = cacheFor(t)
  const old = fakeArchive({ version: '2.12.1' })
  await using server = await serveArchive(old)
  const outcome = await fetchLibtorch(from(server.url, cache, old))
  t.is(outcome.code, 1)
  t.regex(outcome.stderr, /holds libtorch 2\.12\.1, not 2\.13\.0/)
  t.false(existsSync(join(cache, FOLDER)))
})

test('when everything fails, the message lists each step and why it failed', async t => {
  const cache = cacheFor(t)
  await using server = await serveArchive(archive, { status: 404 })
  const outcome = await fetchLibtorch(from(server.url, cache))
  t.is(outcome.code, 1)
  const steps = outcome.stderr.split('\n').filter(line => /^ {2}\d\. /.test(line))
  t.is(steps.length, 6)
  t.regex(steps[0] ?? '', /LIBTORCH: not set/)
  t.regex(steps[1] ?? '', /platform package: @torch-learner\/libtorch-cpu-linux-x64 is not installed/)
  t.regex(steps[2] ?? '', /cache: .* does not exist/)
  t.regex(steps[3] ?? '', /download: .* answered 404/)
  t.regex(steps[4] ?? '', /pip download: python3 is not on PATH/)
  t.regex(steps[5] ?? '', /system libtorch-dev: /)
  t.regex(outcome.stderr, /set LIBTORCH to a folder/)
})

test('a server that nobody answers for fails at once', async t => {
  const cache = cacheFor(t)
  // it doesn't wait for the 10 s of the time limit; on a busy machine the first try may take as long for other reasons
  let fastest = Number.POSITIVE_INFINITY
  for (let attempt = 0; attempt < 3 && fastest > 8000; attempt++) {
    const started = performance.now()
    const outcome = await fetchLibtorch(from('http://127.0.0.1:9/torch.whl', cache))
    t.is(outcome.code, 1)
    t.regex(outcome.stderr, /can't reach 127\.0\.0\.1:9: /)
    fastest = Math.min(fastest, performance.now() - started)
  }
  t.true(fastest < 8000, `${fastest} ms`)
})

test('a server that takes the call and says nothing runs into the time limit', async t => {
  await using server = await serveArchive(archive, { delay: 2000 })
  await t.throwsAsync(get(new URL(server.url), { connectTimeout: 200 }), { message: /did not answer within 0\.2 s/ })
})

test('LIBTORCH that does not fit stops the search: the user asked for it', async t => {
  const cache = cacheFor(t)
  const outcome = await fetchLibtorch({ TORCH_LEARNER_CACHE: cache, LIBTORCH: join(cache, 'nowhere') })
  t.is(outcome.code, 1)
  t.regex(outcome.stderr, /1\. LIBTORCH: .*nowhere does not exist/)
  t.regex(outcome.stderr, /4\. download: not tried, because LIBTORCH is set/)
})

test('two installs at once download once', async t => {
  const cache = cacheFor(t)
  await using server = await serveArchive(archive, { delay: 3000 })
  const env = from(server.url, cache)
  const outcomes = await Promise.all([fetchLibtorch(env), fetchLibtorch(env), fetchLibtorch(env)])
  for (const outcome of outcomes) assertProvisioned(t, outcome, cache)
  t.is(server.seen.length, 1)
  t.is(outcomes.filter(outcome => /waiting for another install/.test(outcome.stderr)).length, 2)
})

test('what a killed install left - lock, half an unpacking, half a folder - is not used and not in the way', async t => {
  const cache = cacheFor(t)
  mkdirSync(join(cache, `${FOLDER}.lock`))
  const dead = { pid: 2 ** 22 + 1, host: hostname(), token: 'dead' }
  writeFileSync(join(cache, `${FOLDER}.lock`, 'owner.json'), JSON.stringify(dead))
  mkdirSync(join(cache, `${FOLDER}.unpacking-1`, 'lib'), { recursive: true })
  for (const name of ['lib', 'include']) mkdirSync(join(cache, FOLDER, name), { recursive: true })
  for (const name of ['libc10.so', 'libtorch_cpu.so']) writeFileSync(join(cache, FOLDER, 'lib', name), '')

  await using server = await serveArchive(archive)
  assertProvisioned(t, await fetchLibtorch(from(server.url, cache)), cache)
})

test('a file that changed size since it was unpacked is replaced', async t => {
  const cache = cacheFor(t)
  await using server = await serveArchive(archive)
  const env = from(server.url, cache)
  await fetchLibtorch(env)
  writeFileSync(join(cache, FOLDER, 'lib', 'libtorch_cpu.so'), 'short')
  assertProvisioned(t, await fetchLibtorch(env), cache)
  t.is(server.seen.length, 2)
})

const credentials = (proxy: string) => proxy.replace('://', '://user:pa%20ss@')
const authorization = `Basic ${Buffer.from('user:pa ss').toString('base64')}`

test('http goes through http_proxy, with its password', async t => {
  const cache = cacheFor(t)
  await using server = await serveArchive(archive)
  await using proxy = await serveProxy(server.url)
  const env = { ...from('http://files.example/torch.whl', cache), http_proxy: credentials(proxy.url) }
  assertProvisioned(t, await fetchLibtorch(env), cache)
  t.is(proxy.seen[0]?.url, 'http://files.example/torch.whl')
  t.is(proxy.seen[0]?.headers['proxy-authorization'], authorization)
  t.is(server.seen[0]?.headers['proxy-authorization'], undefined)
})

test('https asks the proxy for a tunnel, and trusts the authority that npm is told of', async t => {
  const cache = cacheFor(t)
  const authority = join(cacheFor(t), 'authority.pem')
  writeFileSync(authority, certificate)
  await using server = await serveArchiveSecurely(archive)
  await using proxy = await serveProxy('http://127.0.0.1:9', server.url)
  const env = { ...from('https://files.example/torch.whl', cache), HTTPS_PROXY: credentials(proxy.url) }

  const distrustful = await fetchLibtorch(env)
  t.is(distrustful.code, 1)
  t.regex(distrustful.stderr, /files\.example through the proxy .*: self-signed certificate/)

  assertProvisioned(t, await fetchLibtorch({ ...env, npm_config_cafile: authority }), cache)
  t.like(proxy.seen[1], { method: 'CONNECT', url: 'files.example:443' })
  t.is(proxy.seen[1]?.headers['proxy-authorization'], authorization)
  t.is(server.seen[0]?.headers.host, 'files.example')
})

test('a proxy that refuses is named, without its password', async t => {
  await using proxy = await serveProxy('http://127.0.0.1:9')
  const env = { ...from('https://files.example/torch.whl', cacheFor(t)), HTTPS_PROXY: credentials(proxy.url) }
  const outcome = await fetchLibtorch(env)
  t.regex(outcome.stderr, /files\.example through the proxy .*: the proxy answered 502 No Tunnel/)
  t.notRegex(outcome.stderr, /pa%20ss|pa ss/)
})

test('no_proxy goes round the proxy', async t => {
  const cache = cacheFor(t)
  await using server = await serveArchive(archive)
  const env = { ...from(server.url, cache), http_proxy: 'http://127.0.0.1:9', no_proxy: 'localhost, 127.0.0.1' }
  assertProvisioned(t, await fetchLibtorch(env), cache)
})

test('proxy variables are read as curl reads them', t => {
  const https = new URL('https://files.example.com/x')
  const proxy = (env: Record<string, string>, url = https) => proxyFor(url, env)?.href ?? null
  t.is(proxy({ https_proxy: 'proxy:3128' }), 'http://proxy:3128/')
  t.is(proxy({ http_proxy: 'http://proxy' }), null)
  t.is(proxy({ HTTP_PROXY: 'http://proxy' }, new URL('http://example.com')), null)
  t.is(proxy({ ALL_PROXY: 'http://proxy' }), 'http://proxy/')
  for (const list of ['*', 'example.com', '.example.com', 'other,example.com:443']) {
    t.is(proxy({ https_proxy: 'http://proxy', no_proxy: list }), null, list)
  }
  for (const list of ['ample.com', 'example.com:80', 'example.org']) {
    t.is(proxy({ https_proxy: 'http://proxy', no_proxy: list }), 'http://proxy/', list)
  }
  t.throws(() => proxy({ https_proxy: 'socks5://proxy' }), { message: /not an http or https proxy/ })
})

test('only libraries, headers and licences leave the archive', t => {
  t.is(targetOf('torch/lib/libtorch_cpu.so'), 'lib/libtorch_cpu.so')
  t.is(targetOf('libtorch/lib/libgomp-98b21ff3.so.1'), 'lib/libgomp-98b21ff3.so.1')
  t.is(targetOf('torch/include/ATen/ATen.h'), 'include/ATen/ATen.h')
  t.is(targetOf('torch-2.13.0+cpu.dist-info/licenses/third_party/x/LICENSE'), 'licenses/third_party/x/LICENSE')
  for (const name of ['torch/lib/', 'torch/lib/libtorch_python.so', 'torch/nn/modules.py', 'other/lib/libc10.so']) {
    t.is(targetOf(name), null, name)
  }
})
