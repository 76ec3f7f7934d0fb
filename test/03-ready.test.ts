// npm run ready, in a checkout: what is here is used; compilers are asked for before anything is fetched.
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { sourcesHash } from '../src/provision/index.js'
import { fakeArchive, serveArchive, sha256 } from './helpers/archive-server.js'
import { fakeAddon, folderFor, packageCopy, runBare } from './helpers/package-copy.js'

const archive = fakeArchive()
const FOLDER = 'libtorch-2.13.0-cpu-linux-x64'
const PLATFORM = `${process.platform}-${process.arch}`

const from = (url: string, cache: string) => ({
  TORCH_LEARNER_CACHE: cache,
  TORCH_LEARNER_LIBTORCH_URL: url,
  TORCH_LEARNER_LIBTORCH_SHA256: sha256(archive),
})

const ready = (checkout: string, env: Record<string, string>) =>
  runBare([join(checkout, 'scripts', 'ready.mjs')], { ...env, HOME: join(checkout, 'home') })

test('compilers are asked for first, in one message, and nothing is fetched without them', async t => {
  const checkout = packageCopy(t, 'checkout')
  const cache = folderFor(t)
  await using server = await serveArchive(archive)
  const { code, stderr } = await ready(checkout, from(server.url, cache))
  t.is(code, 1)
  t.regex(stderr, /needs cmake \(3\.20 or newer\) and a C\+\+20 compiler and ninja or make.* then run `npm run ready`/)
  t.is(stderr.trim().split('\n').length, 1)
  t.is(server.seen.length, 0)
  t.deepEqual(readdirSync(cache), [])
})

test('a binary of the present sources is used instead of compiling, with libraries only', async t => {
  const checkout = packageCopy(t, 'checkout')
  const cache = folderFor(t)
  fakeAddon(join(checkout, 'prebuilds', PLATFORM), { sources: sourcesHash(checkout) })
  await using server = await serveArchive(archive)
  const { code, stdout, stderr } = await ready(checkout, from(server.url, cache))
  t.is(code, 0, stderr)
  t.regex(stdout, /the addon in .*prebuilds.* is of these sources, libtorch 2\.13\.0 in /)
  t.true(existsSync(join(cache, FOLDER, 'lib', 'libtorch_cpu.so')))
  t.false(existsSync(join(cache, FOLDER, 'include', 'ATen')))
})

test('so is the one of the installed package for the platform', async t => {
  const checkout = packageCopy(t, 'checkout')
  const folder = join(checkout, '..', '@torch-learner', PLATFORM)
  fakeAddon(folder, { sources: sourcesHash(checkout) })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: `@torch-learner/${PLATFORM}`, version: '0.1.0' }))
  await using server = await serveArchive(archive)
  const { code, stdout, stderr } = await ready(checkout, from(server.url, folderFor(t)))
  t.is(code, 0, stderr)
  t.regex(stdout, /the addon in .*@torch-learner.* is of these sources/)
})

test('a binary of other sources is not', async t => {
  const checkout = packageCopy(t, 'checkout')
  fakeAddon(join(checkout, 'prebuilds', PLATFORM), { sources: 'f'.repeat(64) })
  const { code, stderr } = await ready(checkout, { TORCH_LEARNER_CACHE: folderFor(t) })
  t.is(code, 1)
  t.regex(stderr, /needs cmake/)
})

test('an addon of older sources gives way to a binary of the present ones', async t => {
  const checkout = packageCopy(t, 'checkout')
  const built = join(checkout, 'build', 'Release')
  fakeAddon(built, { sources: 'f'.repeat(64) })
  fakeAddon(join(checkout, 'prebuilds', PLATFORM), { sources: sourcesHash(checkout) })
  await using server = await serveArchive(archive)
  const { code, stderr } = await ready(checkout, from(server.url, folderFor(t)))
  t.is(code, 0, stderr)
  t.false(existsSync(join(built, 'torch_learner.node')))
})
