// What the installation finds on the machine: compilers, a platform package, the distribution's own libtorch.
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { codecAdvice, missingTools, parallelJobs, which } from '../src/provision/addon/toolchain.js'
import { progress } from '../src/provision/fetch/progress.js'
import { systemLibtorch } from '../src/provision/libtorch/system.js'

const root = fileURLToPath(new URL('..', import.meta.url))

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'torch-learner-tools-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** A folder with executables of these names, to be all of PATH. */
function programs(t: ExecutionContext, ...names: string[]): string {
  const path = folder(t)
  for (const name of names) {
    writeFileSync(join(path, name), '#!/bin/sh\n')
    chmodSync(join(path, name), 0o755)
  }
  return path
}

test('a missing compiler is one sentence with the whole command of this system', t => {
  const tools = (names: string[], isRoot = false) => missingTools({ env: { PATH: programs(t, ...names) }, isRoot })
  t.is(tools(['cmake', 'g++', 'ninja']), null)
  t.is(tools(['cmake', 'clang++', 'make']), null)
  const apt = 'apt-get install -y cmake ninja-build g++ libspng-dev libjpeg-dev'
  const cmake = 'Building the native addon needs cmake (3.20 or newer), not found on PATH. Install them with '
  t.is(tools(['g++', 'ninja', 'apt-get', 'sudo']), `${cmake}\`sudo ${apt}\`, then run \`npm run ready\``)
  t.is(tools(['g++', 'ninja', 'apt-get']), `${cmake}\`${apt}\` as root, then run \`npm run ready\``)
  t.is(tools(['g++', 'ninja', 'apt-get', 'sudo'], true), `${cmake}\`${apt}\`, then run \`npm run ready\``)
  t.is(
    tools(['brew', 'sudo']),
    'Building the native addon needs cmake (3.20 or newer) and a C++20 compiler and ninja or make, not found on PATH. ' +
      'Install them with `brew install cmake ninja libspng jpeg-turbo`, then run `npm run ready`',
  )
  t.regex(tools(['cmake', 'make']) ?? '', /needs a C\+\+20 compiler, not found on PATH\. Install them, then run/)
})

test('a CMake that is too old is found out before it is used', t => {
  const path = programs(t, 'g++', 'ninja')
  const cmake = (version: string) => {
    writeFileSync(join(path, 'cmake'), `#!/bin/sh\necho "cmake version ${version}"\n`)
    chmodSync(join(path, 'cmake'), 0o755)
    return missingTools({ env: { PATH: path } })
  }
  t.regex(cmake('3.18.4') ?? '', /needs cmake \(3\.20 or newer; .*cmake is 3\.18\)/)
  for (const version of ['3.20.0', '3.31.2', '4.0.1']) t.is(cmake(version), null)
})

test('a build without codecs is one sentence with the commands of this system', t => {
  const advice = (codecs: string[], ...names: string[]) =>
    codecAdvice(codecs, { env: { PATH: programs(t, ...names) }, isRoot: false })
  t.is(advice(['bmp', 'png', 'jpeg'], 'apt-get'), null)
  t.is(
    advice(['bmp'], 'apt-get', 'sudo'),
    'built without libspng and libjpeg-turbo, so PNG and JPEG files are decoded by sharp, several times slower than natively. ' +
      'To change that, run `sudo apt-get install -y libspng-dev libjpeg-dev` and then `npm run ready`',
  )
  t.regex(
    advice(['png'], 'apk') ?? '',
    /^built without libjpeg-turbo, so JPEG files are .* run `apk add libspng-dev libjpeg-turbo-dev` as root and then/,
  )
  t.regex(advice([]) ?? '', /To change that, install their development packages and then `npm run ready`/)
})

test('only executable files are programs', t => {
  const path = programs(t, 'one')
  writeFileSync(join(path, 'two'), '')
  mkdirSync(join(path, 'three'))
  t.is(which('one', { PATH: `/nowhere:${path}` }), join(path, 'one'))
  for (const name of ['two', 'three', 'four']) t.is(which(name, { PATH: path }), null)
})

test('no more compilers at once than fit in memory', t => {
  t.is(parallelJobs(16, 8 * 2 ** 30), 4)
  t.is(parallelJobs(2, 64 * 2 ** 30), 2)
  t.is(parallelJobs(8, 2 ** 30), 1)
})

/** Libraries and a version header, laid out as a distribution does. */
function distribution(t: ExecutionContext, version: string): string {
  const prefix = folder(t)
  const lib = join(prefix, 'lib', 'x86_64-linux-gnu')
  const headers = join(prefix, 'include', 'torch', 'csrc', 'api', 'include', 'torch')
  for (const path of [lib, headers]) mkdirSync(path, { recursive: true })
  for (const name of ['libc10.so', 'libtorch_cpu.so']) writeFileSync(join(lib, name), '')
  writeFileSync(join(headers, 'version.h'), `#define TORCH_VERSION "${version}"\n`)
  return prefix
}

test("the system's libtorch is taken in a version that can be built with, and refused in another", t => {
  const good = distribution(t, '2.13.1')
  const found = systemLibtorch([join(good, 'nowhere'), good])
  t.is(found.version, '2.13.1')
  t.is(found.lib, join(good, 'lib', 'x86_64-linux-gnu'))
  t.throws(() => systemLibtorch([distribution(t, '1.13.1')]), {
    message: /libtorch 1\.13\.1, which is too old or too new/,
  })
  t.throws(() => systemLibtorch([folder(t)]), { message: 'no libtorch-dev is installed' })
})

test('an installed platform package is found before the cache', t => {
  const project = folder(t)
  const installed = join(project, 'node_modules', 'torch-learner')
  const libraries = join(project, 'node_modules', '@torch-learner', 'libtorch-cpu-linux-x64')
  for (const name of ['dist', 'package.json']) cpSync(join(root, name), join(installed, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(installed, 'node_modules'))
  mkdirSync(join(libraries, 'lib'), { recursive: true })
  for (const name of ['libc10.so', 'libtorch_cpu.so']) writeFileSync(join(libraries, 'lib', name), '')
  writeFileSync(join(libraries, 'package.json'), JSON.stringify({ version: '2.13.0-1' }))

  const find = pathToFileURL(join(installed, 'dist', 'provision', 'index.js')).href
  const code = `import(${JSON.stringify(find)}).then(m => console.log(JSON.stringify(m.findLibtorch({ version: '2.13.0' }))))`
  const env = { PATH: '', TORCH_LEARNER_CACHE: join(project, 'cache') }
  const found = JSON.parse(execFileSync(process.execPath, ['-e', code], { env, encoding: 'utf8' }))
  t.is(found.libtorch.root, libraries)
  t.is(found.libtorch.include, null)
})

test('progress is a line that moves on a terminal, and one line a tenth elsewhere', t => {
  const written: string[] = []
  const plain = progress('libtorch', 1000, { write: text => written.push(text) })
  for (let bytes = 0; bytes <= 1000; bytes += 10) plain.update(bytes)
  plain.end()
  t.is(written.length, 11)
  t.regex(written[5] ?? '', /^libtorch: +50 % of 0\.0 MB, .*\n$/)

  const terminal: string[] = []
  const moving = progress('libtorch', null, { isTTY: true, write: text => terminal.push(text) })
  moving.update(5_000_000)
  moving.end()
  t.regex(terminal[0] ?? '', /^\r.*libtorch: 5\.0 MB, /)
  t.true(terminal.at(-1)?.startsWith('\r'))
})

test('what is published is what the package needs', t => {
  const manifest: { files: string[] } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  for (const name of ['dist', 'binding', 'CMakeLists.txt']) t.true(manifest.files.includes(name))
})
