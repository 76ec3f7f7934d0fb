// Damaged files and binaries that the machine can't run: a coded error with what to do, never the end of the process.
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { cpuOf } from '../dist/native/machine.js'
import { processLibc, refuseMusl } from '../dist/provision/index.js'
import { addonCopy, built, flipByte, libtorch, libtorchCopy, overwriteFunction } from './helpers/binaries.js'
import { runNode } from './helpers/child.js'
import { folderFor } from './helpers/package-copy.js'

const index = new URL('../dist/native/index.js', import.meta.url).href
const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))

const LOAD = `import(process.argv[1]).then(
  ({ native }) => console.log(JSON.stringify({ torch: native.version().torch })),
  error => console.log(JSON.stringify({ code: error.code, message: error.message })))`

/** Imports the addon in a child process, which must end by itself. */
async function load(t: ExecutionContext, env: Record<string, string>, before = ''): Promise<Record<string, string>> {
  const ended = await runNode(['-e', before + LOAD, index], {
    env: { LIBTORCH: libtorch.root, TORCH_LEARNER_CACHE: folderFor(t), ...env },
    seconds: 120,
  })
  t.is(ended.signal, null)
  t.is(ended.code, 0, ended.stderr)
  return JSON.parse(ended.stdout)
}

const works = { torch: built.stamp.libtorch.replace(/\+.*/, '') }

test.serial('a cut-off addon, and one that the stamp says nothing of', async t => {
  const copy = addonCopy(t)
  truncateSync(copy.addon, statSync(copy.addon).size >> 1)
  const error = await load(t, { TORCH_LEARNER_PREBUILD: copy.root })
  t.is(error.code, 'ERR_ADDON_LOAD')
  t.regex(
    error.message ?? '',
    /^The addon is damaged: \S+torch_learner\.node has \d+ bytes instead of \d+\. Set TORCH_LEARNER_PREBUILD/,
  )
  copy.restamp({ files: {} })
  t.regex(
    (await load(t, { TORCH_LEARNER_PREBUILD: copy.root })).message ?? '',
    /torch_learner\.node is cut off: \d+ bytes of at least \d+/,
  )
})

test.serial('a cut-off preload module', async t => {
  const copy = addonCopy(t)
  copy.restamp({ files: {} })
  truncateSync(copy.preload, 5000)
  const error = await load(t, { TORCH_LEARNER_PREBUILD: copy.root })
  t.is(error.code, 'ERR_ADDON_LOAD')
  t.regex(error.message ?? '', /torch_learner_preload\.so is cut off/)
})

test.serial('a library whose end was never written to the disk', async t => {
  const { root, file } = libtorchCopy(t, 'libc10.so')
  const bytes = readFileSync(file)
  writeFileSync(file, bytes.fill(0, bytes.length - 8192))
  const error = await load(t, { LIBTORCH: root })
  t.is(error.code, 'ERR_ADDON_LOAD')
  t.regex(
    error.message ?? '',
    /libc10\.so is damaged: its table of sections is overwritten\. .*Set LIBTORCH to a libtorch .* that is whole/,
  )
})

test.serial('a library of another size than the download recorded', async t => {
  const { root, file } = libtorchCopy(t, 'libc10.so')
  writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.from('more')]))
  const error = await load(t, { LIBTORCH: root })
  t.is(error.code, 'ERR_LIBTORCH_MISSING')
  t.regex(error.message ?? '', /is not complete: \S+libc10\.so has \d+ bytes instead of \d+/)
})

/** Machine code that sends the process a signal; for x86-64 Linux. */
const raise = (signal: number) => [
  ...[0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0x89, 0xc7, 0xbe, signal, 0, 0, 0],
  ...[0xb8, 62, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xfe],
]
const DEATHS: readonly [signal: string, code: readonly number[], remedy: RegExp][] = [
  [
    'SIGILL',
    [0x0f, 0x0b],
    /: an instruction that this processor \(.*\) lacks\. (Use a machine with AVX2|Build the addon on this machine)/,
  ],
  ['SIGBUS', raise(7), /: a part of a file is missing, or the disk fails\. Run `npx torch-learner doctor`/],
  ['SIGSEGV', raise(11), /\. Run `npx torch-learner doctor`, which compares every byte/],
  ['SIGABRT', raise(6), /\. Run `npx torch-learner doctor`/],
]

for (const [signal, code, remedy] of DEATHS) {
  const run = process.arch === 'x64' && process.platform === 'linux' ? test.serial : test.serial.skip
  run(`an addon that dies of ${signal} when it is loaded`, async t => {
    const copy = addonCopy(t)
    overwriteFunction(copy.addon, 'napi_register_module_v1', code)
    copy.restamp()
    const error = await load(t, { TORCH_LEARNER_PREBUILD: copy.root })
    t.is(error.code, 'ERR_ADDON_LOAD')
    t.regex(
      error.message ?? '',
      new RegExp(`^A child process that tries the addon ended with ${signal}, opening \\S+torch_learner.node`),
    )
    t.regex(error.message ?? '', remedy)
  })
}

test.serial('a binary is tried once, and again when it has changed', async t => {
  const copy = addonCopy(t)
  const programs = folderFor(t)
  const log = join(programs, 'log')
  const node = join(programs, 'node')
  writeFileSync(node, `#!/bin/sh\necho tried >> ${log}\nexec ${process.execPath} "$@"\n`)
  chmodSync(node, 0o755)
  const tried = () => readFileSync(log, { encoding: 'utf8', flag: 'a+' }).split('\n').length - 1
  const cache = folderFor(t)
  const env = { TORCH_LEARNER_PREBUILD: copy.root, TORCH_LEARNER_CACHE: cache }
  const before = `process.execPath = ${JSON.stringify(node)}\n`
  t.deepEqual(await load(t, env, before), works)
  t.is(tried(), 1)
  t.deepEqual(await load(t, env, before), works)
  t.is(tried(), 1)
  t.is(readdirSync(join(cache, 'tried')).length, 1)
  writeFileSync(copy.addon, Buffer.concat([readFileSync(copy.addon), Buffer.from('x')]))
  copy.restamp()
  t.deepEqual(await load(t, env, before), works)
  t.is(tried(), 2)

  await t.notThrowsAsync(load(t, { ...env, TORCH_LEARNER_CACHE: '/dev/null', TMPDIR: '/dev/null' }, before))
  t.is(tried(), 2, 'where no verdict can be kept nothing is tried')
  const empty = folderFor(t)
  t.deepEqual(await load(t, { ...env, TORCH_LEARNER_CACHE: '/dev/null', TMPDIR: empty }, before), works)
  t.is(tried(), 3, 'the folder for temporary files does as well')
  t.deepEqual(await load(t, { ...env, TORCH_LEARNER_CACHE: folderFor(t), TORCH_LEARNER_TRIAL: '0' }, before), works)
  t.is(tried(), 3)
  copy.restamp({ root: libtorch.root })
  rmSync(join(cache, 'tried'), { recursive: true })
  t.deepEqual(await load(t, env, before), works)
  t.is(tried(), 3, 'what was built here, with this libtorch, is not tried')
})

test.serial('a program that is not Node itself is not started again', async t => {
  const copy = addonCopy(t)
  const app = join(folderFor(t), 'my-app')
  writeFileSync(app, '#!/bin/sh\nexit 1\n')
  chmodSync(app, 0o755)
  const cache = folderFor(t)
  const before = `process.execPath = ${JSON.stringify(app)}\n`
  t.deepEqual(await load(t, { TORCH_LEARNER_PREBUILD: copy.root, TORCH_LEARNER_CACHE: cache }, before), works)
  t.deepEqual(readdirSync(cache), [])
})

test.serial('an addon with a byte changed that no cheap look finds: its trial, or its loading, is told', async t => {
  const copy = addonCopy(t)
  flipByte(copy.addon)
  const answer = await load(t, { TORCH_LEARNER_PREBUILD: copy.root })
  // a byte may matter or not; what counts is that the process lives
  t.true(answer.torch === works.torch || answer.code === 'ERR_ADDON_LOAD', JSON.stringify(answer))
})

test('musl is told by what is mapped', t => {
  t.is(processLibc(['/usr/bin/node', '/lib/ld-musl-x86_64.so.1']), 'musl')
  t.is(processLibc(['/usr/bin/node', '/usr/lib/x86_64-linux-gnu/libc.so.6']), 'glibc')
  t.is(processLibc(['/usr/bin/node', '/lib/x86_64-linux-gnu/libc-2.31.so']), 'glibc')
  t.is(processLibc(['/usr/bin/node']), null)
  const error = t.throws(() => refuseMusl('musl'))
  t.like(error, { code: 'ERR_LIBC' })
  t.regex(error?.message ?? '', /runs on musl, .* libtorch is made for glibc\. Use an image .*`node:22-bookworm-slim`/)
  t.notThrows(() => refuseMusl('glibc'))
})

test.serial('on musl nothing is loaded, fetched or compiled', async t => {
  // what Alpine's Node has in memory
  const before = `const fs = require('node:fs')
    const { readFileSync } = fs
    fs.readFileSync = (path, ...rest) => path === '/proc/self/maps' ? '0 /lib/ld-musl-x86_64.so.1' : readFileSync(path, ...rest)
    require('node:module').syncBuiltinESMExports()\n`
  t.is((await load(t, {}, before)).code, 'ERR_LIBC')
  const file = join(folderFor(t), 'musl.cjs')
  writeFileSync(file, before)
  for (const command of ['setup', 'build']) {
    const cache = folderFor(t)
    const ended = await runNode(['--require', file, cli, command], { env: { TORCH_LEARNER_CACHE: cache } })
    t.is(ended.code, 1)
    t.regex(ended.stderr, /torch-learner: This Node runs on musl/)
    t.deepEqual(readdirSync(cache), [])
  }
  const ready = `import(${JSON.stringify(new URL('../dist/provision/index.js', import.meta.url).href)}).then(
    ({ provision, checkTools }) => provision().catch(error => { console.log(error.code); checkTools() })).catch(error => console.log(error.code))`
  t.is((await runNode(['--require', file, '-e', ready])).stdout, 'ERR_LIBC\nERR_LIBC\n')
})

test('what a processor can do is read from its flags', t => {
  const text = (flags: string) =>
    `processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu ${flags} sse\n\nprocessor\t: 1\n`
  t.deepEqual(cpuOf(text('avx avx2')).features, { avx2: true, avx512: false, bf16: false, amx: false })
  t.deepEqual(cpuOf(text('avx2 avx512f avx512_bf16 amx_tile amx_bf16')), {
    model: 'Some CPU',
    features: { avx2: true, avx512: true, bf16: true, amx: true },
  })
  t.deepEqual(cpuOf('').features, { avx2: null, avx512: null, bf16: null, amx: null })
})
