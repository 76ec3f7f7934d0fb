// Loading: the right libtorch or a coded error at once, never a hang and never the wrong library.
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import test, { type ExecutionContext } from 'ava'
import { doctor, TorchLearnerError } from 'torch-learner'
import { describe, invalidArgument, typeName } from '../dist/check/errors.js'
import { locateAddon, locateLibtorch } from '../dist/native/locate.js'
import { type Outcome, runNode } from './helpers/child.js'

const index = new URL('../dist/native/index.js', import.meta.url).href
const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const files = locateAddon()
const libtorch = locateLibtorch(files.stamp)

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'torch-learner-load-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** A folder with a good version file and empty libraries. */
function fakeLibtorch(t: ExecutionContext, version: string): string {
  const root = folder(t)
  mkdirSync(join(root, 'lib'))
  for (const name of ['libc10.so', 'libtorch_cpu.so']) writeFileSync(join(root, 'lib', name), '')
  writeFileSync(join(root, 'build-version'), `${version}\n`)
  return root
}

/** A copy of what the build makes, for the test to spoil. */
function addonCopy(t: ExecutionContext): { root: string; release: string } {
  const root = folder(t)
  const release = join(root, 'build', 'Release')
  mkdirSync(release, { recursive: true })
  writeFileSync(join(release, 'torch_learner.json'), JSON.stringify(files.stamp))
  copyFileSync(files.preload, join(release, 'torch_learner_preload.so'))
  copyFileSync(files.addon, join(release, 'torch_learner.node'))
  return { root, release }
}

// One process after the other: each maps all of libtorch, and a dozen at once on a busy machine take minutes.
/** It takes a second or two; after so many it is taken to hang. */
const run = (args: string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> => runNode(args, { env, seconds: 120 })

const LOAD = `import(process.argv[1]).then(
  ({ native }) => console.log(JSON.stringify({ torch: native.version().torch, spin: process.env.GOMP_SPINCOUNT })),
  error => { console.log(JSON.stringify({ code: error.code, message: error.message })); process.exitCode = 3 })`

/** Imports the addon's module in a child process; its answer, with the process ended by itself. */
async function load(t: ExecutionContext, env: NodeJS.ProcessEnv): Promise<Record<string, string>> {
  const outcome = await run(['-e', LOAD, index], env)
  t.true(outcome.code === 0 || outcome.code === 3, outcome.stderr)
  return JSON.parse(outcome.stdout)
}

test.serial('loads with the libtorch of LIBTORCH, and leaves the environment as it was', async t => {
  t.deepEqual(await load(t, { LIBTORCH: libtorch.root, OMP_WAIT_POLICY: undefined, GOMP_SPINCOUNT: undefined }), {
    torch: files.stamp.libtorch.replace(/\+.*/, ''),
  })
})

test.serial('a folder without libtorch is ERR_LIBTORCH_MISSING', async t => {
  const empty = folder(t)
  const error = await load(t, { LIBTORCH: empty })
  t.is(error.code, 'ERR_LIBTORCH_MISSING')
  t.regex(error.message ?? '', /^libtorch 2\.\d+\.\d+, which the addon needs, was not found\. Set LIBTORCH to a folder/)
  t.true(error.message?.includes(`LIBTORCH: ${empty} has no lib/`))
})

test.serial('no libtorch anywhere names the command that fetches one', async t => {
  const { root, release } = addonCopy(t)
  writeFileSync(join(release, 'torch_learner.json'), JSON.stringify({ ...files.stamp, root: join(root, 'gone') }))
  const env = { LIBTORCH: undefined, TORCH_LEARNER_CACHE: join(root, 'cache'), TORCH_LEARNER_PREBUILD: root }
  const error = await load(t, env)
  t.is(error.code, 'ERR_LIBTORCH_MISSING')
  t.regex(error.message ?? '', /Run `npm run ready`, which fetches it/)
  t.regex(
    error.message ?? '',
    /LIBTORCH: not set\n.*platform package: .*\n.*cache: .*\n.*built with: .*gone does not exist/,
  )
})

test.serial('another version is ERR_LIBTORCH_VERSION, before anything is loaded', async t => {
  const error = await load(t, { LIBTORCH: fakeLibtorch(t, '1.13.1') })
  t.is(error.code, 'ERR_LIBTORCH_VERSION')
  t.regex(
    error.message ?? '',
    /needs libtorch 2\.\d+\.\d+, and another version was found.*\n.* is libtorch 1\.13\.1, not 2\./,
  )
})

test.serial('the right version that would not load is ERR_ADDON_LOAD and says why', async t => {
  const error = await load(t, { LIBTORCH: fakeLibtorch(t, files.stamp.libtorch) })
  t.is(error.code, 'ERR_ADDON_LOAD')
  t.regex(error.message ?? '', /would not load: .*libc10\.so is too short for a library/)
})

test.serial('a library that was only half copied is refused instead of crashing the process', async t => {
  const root = folder(t)
  mkdirSync(join(root, 'lib'))
  writeFileSync(join(root, 'build-version'), files.stamp.libtorch)
  symlinkSync(join(libtorch.lib, 'libtorch_cpu.so'), join(root, 'lib', 'libtorch_cpu.so'))
  const half = readFileSync(join(libtorch.lib, 'libc10.so'))
  writeFileSync(join(root, 'lib', 'libc10.so'), half.subarray(0, half.length / 2))
  const error = await load(t, { LIBTORCH: root })
  t.is(error.code, 'ERR_ADDON_LOAD')
  t.regex(error.message ?? '', /libc10\.so is cut off: \d+ bytes of at least \d+/)
})

test.serial('no addon is ERR_ADDON_MISSING', async t => {
  const empty = folder(t)
  const error = await load(t, { TORCH_LEARNER_PREBUILD: empty })
  t.is(error.code, 'ERR_ADDON_MISSING')
  t.is(
    error.message,
    `TORCH_LEARNER_PREBUILD is ${empty}, and there is no addon in build/Release or prebuilds/${process.platform}-${process.arch} ` +
      'of it. Set it to a folder that has one, or unset it',
  )
})

test.serial('an addon that is there and would not load is ERR_ADDON_LOAD', async t => {
  const { root, release } = addonCopy(t)
  writeFileSync(join(release, 'torch_learner.node'), 'not a library'.repeat(20))
  const { files: _, ...stamp } = files.stamp
  writeFileSync(join(release, 'torch_learner.json'), JSON.stringify(stamp))
  const error = await load(t, { TORCH_LEARNER_PREBUILD: root, LIBTORCH: libtorch.root })
  t.is(error.code, 'ERR_ADDON_LOAD')
  t.regex(
    error.message ?? '',
    /torch_learner\.node is there and would not load: .*Set TORCH_LEARNER_PREBUILD to the folder/,
  )
})

test.serial('the rest of a build that did not finish is not loaded', async t => {
  const { root, release } = addonCopy(t)
  rmSync(join(release, 'torch_learner.json'))
  const error = await load(t, { TORCH_LEARNER_PREBUILD: root, LIBTORCH: libtorch.root })
  t.is(error.code, 'ERR_ADDON_LOAD')
  t.regex(error.message ?? '', /rest of a build that did not finish: .*torch_learner\.json is missing/)
})

test.serial('a stamp that lies about the version is found out after loading', async t => {
  const { root, release } = addonCopy(t)
  writeFileSync(join(release, 'torch_learner.json'), JSON.stringify({ ...files.stamp, libtorch: '2.99.0' }))
  const other = folder(t)
  symlinkSync(libtorch.lib, join(other, 'lib'))
  writeFileSync(join(other, 'build-version'), '2.99.0')
  const error = await load(t, { TORCH_LEARNER_PREBUILD: root, LIBTORCH: other })
  t.is(error.code, 'ERR_LIBTORCH_VERSION')
  t.regex(error.message ?? '', /was compiled for libtorch 2\.\d+\.\d+, although the build says 2\.99\.0/)
})

test.serial('several workers load it at once, without the main thread having done so', async t => {
  const source = `import('${index}').then(({ native }) => require('node:worker_threads').parentPort.postMessage(native.version().torch))`
  const main = `const { Worker } = require('node:worker_threads')
    for (let i = 0; i < 3; i++) new Worker(${JSON.stringify(source)}, { eval: true }).on('message', text => console.log(text))`
  const outcome = await run(['-e', main])
  t.is(outcome.code, 0, outcome.stderr)
  t.is(outcome.stdout.trim().split('\n').length, 3)
})

test('a worker beside a main thread that has loaded it', async t => {
  const source = `import('${index}').then(({ native }) => require('node:worker_threads').parentPort.postMessage(native.getThreads()))`
  const worker = new Worker(source, { eval: true })
  const threads = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  t.true(Number(threads) >= 1)
  await worker.terminate()
})

test.serial('CommonJS gets the same copy through require', async t => {
  // in a plain process: the test runner's own loader has a require of its own
  const outcome = await run([
    '-e',
    `const required = require('node:module').createRequire(process.argv[1])('torch-learner')
    import(process.argv[2]).then(({ TorchLearnerError }) => console.log(TorchLearnerError === required.TorchLearnerError))`,
    fileURLToPath(import.meta.url),
    new URL('../dist/index.js', import.meta.url).href,
  ])
  t.is(outcome.stdout.trim(), 'true', outcome.stderr)
})

test.serial('doctor says what is where; the command prints it', async t => {
  const report = await doctor()
  for (const line of [
    /^ready/,
    /^torch-learner +\d/m,
    /^libtorch +2\./m,
    /^addon +.*torch_learner\.node/m,
    /^loading +works/m,
  ]) {
    t.regex(report, line)
  }
  const broken = await run([cli, 'doctor'], { LIBTORCH: folder(t) })
  t.regex(broken.stdout, /^not ready: 1 problem\n {2}problem ERR_LIBTORCH_MISSING: .*\n {4}Set LIBTORCH to a folder/)
})

test.serial('the command line takes one known command', async t => {
  t.regex((await run([cli, '--version'])).stdout, /^\d+\.\d+\.\d+\n$/)
  const wrong = await run([cli, 'dcotor'])
  t.is(wrong.code, 2)
  t.regex(wrong.stderr, /^Expected a command but received "dcotor"/)
})

test('misuse has one sentence form, whatever the value is', t => {
  const error = invalidArgument('alpha', 'a number above 0', -1, 'See MixUp.')
  t.true(error instanceof TorchLearnerError && error instanceof Error)
  t.is(error.code, 'ERR_INVALID_ARG')
  t.is(error.message, 'Expected a number above 0 for alpha but received -1 of type number. See MixUp.')
  const shown: [unknown, string, string][] = [
    [null, 'null', 'null'],
    ['a"b', '"a\\"b"', 'string'],
    [[1, [2, [3]]], '[1, [2, Array(1)]]', 'array'],
    [new Float32Array(3), 'Float32Array(3)', 'Float32Array'],
    [{ a: 1 }, '{ a }', 'object'],
    [new Map(), 'a Map', 'Map'],
    [Object.create(null), '{}', 'object'],
    [Number.NaN, 'NaN', 'number'],
    [12n, '12n', 'bigint'],
    [Symbol('s'), 'Symbol(s)', 'symbol'],
    [undefined, 'undefined', 'undefined'],
  ]
  for (const [value, text, type] of shown) {
    t.is(describe(value), text)
    t.is(typeName(value), type)
  }
  t.is(describe('x'.repeat(500)).length, 80)
})
