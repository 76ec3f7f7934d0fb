// @ts-check
// npm run check:asan [files [seed]]: reads small, odd and damaged pictures with an addon whose picture code is compiled with
// AddressSanitizer and UndefinedBehaviorSanitizer, and which keeps no buffer longer than it must be.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { packageRoot } from '../dist/provision/index.js'
import { fail } from './report.mjs'
import { buildVariant } from './variants.mjs'

const [files = '1500', seed = '1'] = process.argv.slice(2)

/** The sanitizer's library must be there before all others. It belongs to the compiler that the addon was built with. */
function sanitizer() {
  const cache = readFileSync(join(packageRoot(), 'build', 'CMakeCache.txt'), 'utf8')
  const compiler = /^CMAKE_CXX_COMPILER:\w+=(.*)$/m.exec(cache)?.[1] ?? 'c++'
  for (const name of ['libasan.so', `libclang_rt.asan-${process.arch === 'x64' ? 'x86_64' : 'aarch64'}.so`]) {
    const path = execFileSync(compiler, [`-print-file-name=${name}`], { encoding: 'utf8' }).trim()
    if (isAbsolute(path)) return path
  }
  throw new Error(`${compiler} has no AddressSanitizer library: install it (Debian and Ubuntu: libasan8, of GCC 12)`)
}

const folder = mkdtempSync(join(tmpdir(), 'torch-learner-asan-'))
process.once('exit', () => rmSync(folder, { recursive: true }))
try {
  const variant = await buildVariant('asan')
  const env = {
    ...process.env,
    ...variant,
    LD_PRELOAD: sanitizer(),
    // Node leaves much behind at its end; and damaged sizes may ask for more memory than there is, which is an error of ours
    ASAN_OPTIONS: 'detect_leaks=0:allocator_may_return_null=1:abort_on_error=0:exitcode=99',
    UBSAN_OPTIONS: 'print_stacktrace=1',
  }
  /** @param {string} program @param {string[]} args */
  const run = (program, ...args) => {
    const script = join('test', 'helpers', program)
    const { status, signal } = spawnSync(process.execPath, ['--no-warnings', script, ...args], {
      cwd: packageRoot(),
      env,
      stdio: 'inherit',
    })
    if (signal || status !== 0) throw new Error(`${script} ended with ${signal ?? `code ${status}`}: see above`)
  }
  run('odd-pictures.mjs', folder)
  run('mutate.mjs', seed, files, folder, join(folder, 'log'))
  console.log('torch-learner: no wrong read or write')
} catch (error) {
  fail(error)
}
