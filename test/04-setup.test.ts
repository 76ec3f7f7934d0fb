// The command line that provides: setup, build and cache, as a package that was installed has them.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { fakeArchive, serveArchive, sha256 } from './helpers/archive-server.js'
import type { Outcome } from './helpers/child.js'
import { fakeAddon, folderFor, packageCopy, runBare } from './helpers/package-copy.js'

const archive = fakeArchive()
const FOLDER = 'libtorch-2.13.0-cpu-linux-x64'
const PLATFORM = `${process.platform}-${process.arch}`
const WHEEL = 'torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl'

/** An installed package with an addon, and a cache and a home of its own. */
function installed(t: ExecutionContext, { addon = true, real = false } = {}) {
  const folder = packageCopy(t, 'installed')
  if (addon) fakeAddon(join(folder, 'prebuilds', PLATFORM), {}, real)
  const [cache, home] = [folderFor(t), folderFor(t)]
  const env = { TORCH_LEARNER_CACHE: cache, HOME: home }
  const run = (args: readonly string[], more: Record<string, string> = {}): Promise<Outcome> =>
    runBare([join(folder, 'dist', 'cli', 'main.js'), ...args], { ...env, ...more })
  return { folder, cache, home, run, libtorch: join(cache, FOLDER) }
}

const hasHeaders = (libtorch: string) => existsSync(join(libtorch, 'include', 'ATen', 'ATen.h'))

test('setup fetches the libraries once, and the headers with --dev', async t => {
  const { run, libtorch, cache } = installed(t)
  await using server = await serveArchive(archive)
  const args = ['setup', '--from', `${server.url}/torch.whl`, '--sha256', sha256(archive), '--yes']
  const first = await run(args)
  t.is(first.code, 0, first.stderr)
  t.regex(first.stdout, /ready: libtorch 2\.13\.0 in .*, the addon in .*prebuilds/)
  t.deepEqual(readdirSync(cache), [FOLDER])
  t.false(hasHeaders(libtorch))
  t.is((await run(args)).code, 0)
  t.is(server.seen.length, 1)
  t.is((await run([...args, '--dev'])).code, 0)
  t.true(hasHeaders(libtorch))
  t.is(server.seen.length, 2)
})

test('setup takes the archive from a file, from a folder with the wheel, or an unpacked libtorch', async t => {
  const { run, libtorch, folder } = installed(t)
  const mirror = folderFor(t)
  writeFileSync(join(mirror, WHEEL), archive)
  const given = ['--sha256', sha256(archive), '--dev']
  for (const from of [join(mirror, WHEEL), mirror]) {
    const { code, stderr } = await run(['setup', '--from', from, ...given])
    t.is(code, 0, stderr)
    t.true(hasHeaders(libtorch))
    if (from !== mirror) await run(['cache', 'rm', 'libtorch'])
  }
  // from one cache to another
  const other = folderFor(t)
  const copied = await run(['setup', '--from', libtorch], { TORCH_LEARNER_CACHE: other })
  t.is(copied.code, 0, copied.stderr)
  t.deepEqual(
    readFileSync(join(other, FOLDER, 'lib', 'libtorch_cpu.so')),
    readFileSync(join(libtorch, 'lib', 'libtorch_cpu.so')),
  )
  t.false(hasHeaders(join(other, FOLDER)))
  // what isn't read is said
  const again = await run(['setup', '--from', libtorch], { TORCH_LEARNER_CACHE: other })
  t.is(again.code, 0, again.stderr)
  t.regex(again.stdout, /libtorch 2\.13\.0\S* is here already, so that --from was not read: .*cache rm libtorch/)
  const empty = await run(['setup', '--from', folder], { TORCH_LEARNER_CACHE: folderFor(t) })
  t.is(empty.code, 1)
  t.regex(
    empty.stderr,
    /--from: no libtorch: .* has no lib\/ with libc10\.so and libtorch_cpu\.so, nor is torch-2\.13\.0/,
  )
})

test('a file of another hash is refused', async t => {
  const { run, cache } = installed(t)
  const file = join(folderFor(t), 'torch.whl')
  writeFileSync(file, archive)
  const { code, stderr } = await run(['setup', '--from', file])
  t.is(code, 1)
  t.regex(stderr, new RegExp(`the SHA-256 of ${file} is ${sha256(archive)}, expected [0-9a-f]{64}`))
  t.notRegex(stderr, /pip/)
  t.deepEqual(readdirSync(cache), [])
})

test('usage errors end with 2, and what is not to be had with 1', async t => {
  const { run, cache } = installed(t)
  const wrong: [args: string[], message: RegExp][] = [
    [['setup', '--backend', 'cuda'], /^Expected auto, cpu or cu130 for --backend but received "cuda"/],
    [['setup', '--form', 'x'], /^Unknown option '--form'/],
    [['setup', 'now'], /^Unexpected argument 'now'/],
    [['setup', '--from'], /^Option '--from <value>' argument missing/],
    [['setup', '--sha256', 'aa'], /^--sha256 is of the file of --from/],
    [['build', '--fast'], /^Unknown option '--fast'/],
    [['cache'], /^Expected ls, rm or size after cache\n/],
    [['cache', 'list'], /^Expected ls, rm or size after cache but received "list"/],
    [['cache', 'ls', 'x'], /^Expected nothing after cache ls but received x/],
    [['cache', 'rm'], /^Expected libtorch, addons, .* or a name of `cache ls` after cache rm/],
    [['cache', 'rm', 'nothing-like-it'], /but received "nothing-like-it"/],
    [[], /^Expected a command\n/],
  ]
  for (const [args, message] of wrong) {
    const { code, stderr } = await run(args)
    t.is(code, 2, args.join(' '))
    t.regex(stderr, message)
    t.regex(stderr, /torch-learner <command>/)
  }
  const cuda = await run(['setup', '--backend', 'cu130'])
  t.is(cuda.code, 1)
  t.regex(cuda.stderr, /there is no CUDA build of the addon yet.*take --backend cpu/)
  const nowhere = await run(['setup', '--from', join(cache, 'nowhere')])
  t.is(nowhere.code, 1)
  t.regex(
    nowhere.stderr,
    /--from is ".*nowhere", expected an https:, http: or file: URL, or a file or folder that exists/,
  )
  t.deepEqual(readdirSync(cache), [])
})

test('without an addon setup says which package brings one; without compilers build says which', async t => {
  const { run, cache } = installed(t, { addon: false })
  const setup = await run(['setup'])
  t.is(setup.code, 1)
  t.regex(setup.stderr, new RegExp(`there is no compiled addon: install its package .*@torch-learner/${PLATFORM}@\\d`))
  t.regex(setup.stderr, /or compile it \(`npx torch-learner build`\)/)
  const build = await run(['build'])
  t.is(build.code, 1)
  t.regex(build.stderr, /needs cmake .* and a C\+\+20 compiler .* then run `npx torch-learner build`/)
  t.deepEqual(readdirSync(cache), [])
})

test('build says which packages of npm compile', async t => {
  const { folder, run } = installed(t, { addon: false })
  const modules = join(folder, 'node_modules')
  unlinkSync(modules)
  mkdirSync(modules)
  const all = fileURLToPath(new URL('../node_modules', import.meta.url))
  for (const name of readdirSync(all)) {
    if (name !== 'cmake-js' && name !== 'node-addon-api') symlinkSync(join(all, name), join(modules, name))
  }
  const { code, stderr } = await run(['build'])
  t.is(code, 1)
  t.regex(
    stderr,
    /needs the packages cmake-js and node-addon-api: run `npm install --save-dev cmake-js node-addon-api`/,
  )
})

test('cache lists, measures and removes what was fetched and compiled, and nothing else', async t => {
  const { cache, home, run } = installed(t)
  const weights = join(home, '.cache', 'torch', 'hub', 'checkpoints')
  const fastai = join(home, '.fastai')
  const files: [folder: string, name: string, bytes: number][] = [
    [join(cache, FOLDER, 'lib'), 'libtorch_cpu.so', 3_000_000],
    [join(cache, 'addon-0.1.0-0123456789abcdef'), 'torch_learner.node', 2_000_000],
    [cache, '0123456789abcdef.part', 1_000_000],
    [cache, 'mine.txt', 10],
    [weights, 'resnet18-f37072fd.pth', 4_000_000],
    [weights, 'bert-base.pth', 10],
    [join(fastai, 'data', 'mnist_tiny'), '1.png', 500_000],
    [join(fastai, 'data'), '.mnist_tiny.source', 10],
    [join(fastai, 'archive'), 'mnist_tiny.tgz', 500_000],
    [join(fastai, 'data', 'by_hand'), '1.png', 10],
  ]
  for (const [folder, name, bytes] of files) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, name), Buffer.alloc(bytes))
  }
  const list = await run(['cache', 'ls'])
  t.is(list.code, 0, list.stderr)
  for (const line of [
    /^libtorch +3\.0 MB {2}libtorch-2\.13\.0-cpu-linux-x64$/m,
    /^addons +2\.0 MB {2}addon-0\.1\.0-0123456789abcdef$/m,
    /^weights +4\.0 MB {2}resnet18-f37072fd\.pth$/m,
    /^datasets +1\.0 MB {2}mnist_tiny$/m,
    /^downloads +1\.0 MB {2}0123456789abcdef\.part$/m,
  ]) {
    t.regex(list.stdout, line)
  }
  t.notRegex(list.stdout, /mine|bert|by_hand/)
  t.regex((await run(['cache', 'size'])).stdout, /^weights +4\.0 MB\n.*\n.*\nall +11\.0 MB$/m)

  t.regex((await run(['cache', 'rm', 'mnist_tiny'])).stdout, /^removed mnist_tiny \(1\.0 MB\)$/m)
  t.false(existsSync(join(fastai, 'archive', 'mnist_tiny.tgz')))
  t.deepEqual(readdirSync(join(fastai, 'data')), ['by_hand'])
  t.is((await run(['cache', 'rm', 'libtorch', 'weights'])).code, 0)
  t.deepEqual(readdirSync(weights), ['bert-base.pth'])
  t.true(existsSync(join(cache, '0123456789abcdef.part')))
  t.is((await run(['cache', 'rm', 'all'])).code, 0)
  t.deepEqual(readdirSync(cache), ['mine.txt'])
  t.regex((await run(['cache', 'rm', 'libtorch'])).stdout, /there is nothing of it/)
})

test('on a terminal setup asks first; --yes is the answer', async t => {
  const { folder, cache, home } = installed(t)
  await using server = await serveArchive(archive)
  const cli = join(folder, 'dist', 'cli', 'main.js')
  const typed = (answer: string, ...args: string[]) => {
    const command = [process.execPath, cli, 'setup', '--from', server.url, '--sha256', sha256(archive), ...args]
    return onTerminal(command, answer, { TORCH_LEARNER_CACHE: cache, HOME: home })
  }
  const refused = await typed('n\n')
  if (refused === undefined) {
    t.log('skipped: there is no `script` to make a terminal with')
    t.pass()
    return
  }
  t.regex(
    refused,
    /Fetch libtorch 2\.13\.0 \(about 190\.0 MB, 440\.0 MB unpacked\) from 127\.0\.0\.1:\d+ into .*\? \[Y\/n\]/,
  )
  t.regex(refused, /nothing was fetched/)
  t.is(server.seen.length, 0)
  t.regex((await typed('', '--yes')) ?? '', /ready: libtorch 2\.13\.0/)
  await runBare([cli, 'cache', 'rm', 'libtorch'], { TORCH_LEARNER_CACHE: cache, HOME: home })
  t.regex((await typed('y\n')) ?? '', /ready: libtorch 2\.13\.0/)
  t.is(server.seen.length, 2)
})

/** What a command shows on a terminal of its own, where something is typed; undefined where none can be made. */
function onTerminal(
  command: readonly string[],
  input: string,
  env: Record<string, string>,
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const line = command.map(word => `'${word}'`).join(' ')
    const child = spawn('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
      env: { ...env, PATH: process.env.PATH ?? '', SHELL: '/bin/sh' },
    })
    let text = ''
    let asked = false
    child.stdout.setEncoding('utf8').on('data', chunk => {
      text += chunk
      if (asked || !text.includes('[Y/n]')) return
      asked = true
      child.stdin.write(input)
    })
    child.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT' ? resolve(undefined) : reject(error),
    )
    child.once('close', () => resolve(text))
  })
}

const IMPORT = `import(process.argv[1]).then(
  () => console.log('loaded'),
  error => console.log(JSON.stringify({ code: error.code, message: error.message })))`

test('TORCH_LEARNER_AUTO_SETUP provides at the first import, and only then', async t => {
  const { folder, cache, home } = installed(t, { real: true })
  await using server = await serveArchive(archive)
  const env = {
    HOME: home,
    TORCH_LEARNER_CACHE: cache,
    TORCH_LEARNER_LIBTORCH_URL: server.url,
    TORCH_LEARNER_LIBTORCH_SHA256: sha256(archive),
  }
  const load = async (more: Record<string, string>) => {
    const { stdout, stderr } = await runBare(['-e', IMPORT, join(folder, 'dist', 'index.js')], { ...env, ...more })
    return { ...JSON.parse(stdout), stderr }
  }
  t.is((await load({})).code, 'ERR_LIBTORCH_MISSING')
  t.is(server.seen.length, 0)
  // that libtorch is none, so that loading fails after it has been provided
  const provided = await load({ TORCH_LEARNER_AUTO_SETUP: '1' })
  t.is(provided.code, 'ERR_ADDON_LOAD')
  t.regex(provided.stderr, /downloading libtorch 2\.13\.0/)
  t.is(server.seen.length, 1)
  await load({ TORCH_LEARNER_AUTO_SETUP: '1' })
  t.is(server.seen.length, 1)
})

test('one that fails says so, with what was missing', async t => {
  const { folder, cache, home } = installed(t, { real: true })
  await using server = await serveArchive(archive, { status: 404 })
  const env = { HOME: home, TORCH_LEARNER_CACHE: cache, TORCH_LEARNER_LIBTORCH_URL: server.url }
  const { stdout, stderr } = await runBare(['-e', IMPORT, join(folder, 'dist', 'index.js')], {
    ...env,
    TORCH_LEARNER_AUTO_SETUP: '1',
  })
  const { code, message } = JSON.parse(stdout)
  t.is(code, 'ERR_LIBTORCH_MISSING')
  t.regex(
    message,
    /^TORCH_LEARNER_AUTO_SETUP is set, and `torch-learner setup` has failed: see its lines on stderr\. libtorch/,
  )
  t.regex(stderr, /download: .* answered 404/)
})
