// doctor tells the truth: each fault is provoked, and the verdict, its code and its one remedy are looked at.
import { copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { isSupportedNode } from '../dist/native/doctor/node-version.js'
import type { DoctorReport } from '../dist/native/doctor.js'
import { addonCopy, built, flipByte, libtorch, libtorchCopy, overwriteFunction } from './helpers/binaries.js'
import { runNode } from './helpers/child.js'
import { folderFor, packageCopy } from './helpers/package-copy.js'

const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const doctorModule = new URL('../dist/native/doctor.js', import.meta.url).href

interface Told extends DoctorReport {
  /** The exit code. */
  code: number | null
}

/** `doctor --json` with a cache of its own, unless `env` says otherwise. */
async function doctor(t: ExecutionContext, env: Record<string, string>, script = cli): Promise<Told> {
  const all = { TORCH_LEARNER_CACHE: folderFor(t), ...env }
  const ended = await runNode([script, 'doctor', '--json'], { env: all, seconds: 120 })
  t.is(ended.stderr, '')
  return { ...JSON.parse(ended.stdout), code: ended.code }
}

/** With some answers of the machine replaced, as source of a {@link Probe}. */
async function examine(t: ExecutionContext, answers: string, env: Record<string, string> = {}): Promise<DoctorReport> {
  const source = `import { examine } from ${JSON.stringify(doctorModule)}\nconsole.log(JSON.stringify(await examine(${answers})))`
  const all = { TORCH_LEARNER_CACHE: folderFor(t), ...env }
  const ended = await runNode(['--input-type=module', '-e', source], { env: all, seconds: 120 })
  t.is(ended.code, 0, ended.stderr)
  return JSON.parse(ended.stdout)
}

/** Not ready because of this alone. */
function assertProblem(t: ExecutionContext, report: Told, code: string, message: RegExp, remedy: RegExp): void {
  t.deepEqual(
    report.problems.map(problem => problem.code),
    [code],
    JSON.stringify(report.problems),
  )
  t.regex(report.problems[0]?.message ?? '', message)
  t.regex(report.problems[0]?.remedy ?? '', remedy)
  t.is(report.problems[0]?.remedy.includes('\n'), false)
  t.is(report.ready, false)
  t.is(report.code, 1)
}

/** What machines have anyway. */
const ORDINARY = ['no-codecs', 'driver-without-cuda-build']

/** This one, and no other that isn't the machine's own. */
function assertWarning(t: ExecutionContext, report: DoctorReport, code: string): void {
  t.deepEqual(
    report.warnings.map(warning => warning.code).filter(found => found === code || !ORDINARY.includes(found)),
    [code],
  )
}

test.serial('all is well', async t => {
  const report = await doctor(t, { LIBTORCH: libtorch.root })
  t.is(report.code, 0)
  t.true(report.ready)
  t.deepEqual(report.problems, [])
  t.like(report.addon, { path: built.addon, verified: 'hash' })
  t.like(report.libtorch, { root: libtorch.root, place: 'LIBTORCH' })
  t.like(report.trial, { outcome: 'works' })
  t.true(report.threads !== null && report.threads >= 1)
  t.truthy(report.cpu.capability)
  t.is(report.package.layout, 'checkout')
  t.like(report.environment, { LIBTORCH: libtorch.root })
})

test.serial('as text: the verdict first, a remedy under each problem', async t => {
  const well = await runNode([cli, 'doctor'], { env: { LIBTORCH: libtorch.root } })
  t.is(well.code, 0)
  t.regex(well.stdout, /^ready(, with \d+ warnings?)?\n/)
  t.regex(well.stdout, /^cpu level +AVX2 (yes|no|unknown), AVX512 .*, BF16 .*, AMX .*; libtorch uses \S/m)
  t.regex(well.stdout, /^loading +works, with libtorch 2\./m)
  const empty = folderFor(t)
  const broken = await runNode([cli, 'doctor'], { env: { LIBTORCH: empty } })
  t.is(broken.code, 1)
  t.regex(broken.stdout, /^not ready: 1 problem\n {2}problem ERR_LIBTORCH_MISSING: .*\.\n {4}Set LIBTORCH to .*\.\n\n/)
  t.regex(broken.stdout, /^loading +not tried$/m)
})

test.serial('no libtorch', async t => {
  const copy = addonCopy(t)
  const report = await doctor(t, { LIBTORCH: '', TORCH_LEARNER_PREBUILD: copy.root })
  assertProblem(
    t,
    report,
    'ERR_LIBTORCH_MISSING',
    /^libtorch 2\.\S+, which the addon needs, was not found$/,
    /^Run `npm run ready`, which/,
  )
  t.is(report.libtorch, null)
  t.true(report.lookedAt.some(({ step, reason }) => step === 'cache' && /does not exist$/.test(reason)))
})

test.serial('libtorch of another version', async t => {
  const root = folderFor(t)
  mkdirSync(join(root, 'lib'))
  for (const name of ['libc10.so', 'libtorch_cpu.so']) writeFileSync(join(root, 'lib', name), '')
  writeFileSync(join(root, 'build-version'), '1.13.1')
  const report = await doctor(t, { LIBTORCH: root })
  assertProblem(t, report, 'ERR_LIBTORCH_VERSION', /another version was found/, /^Set LIBTORCH to a folder/)
})

test.serial(
  'libtorch of the right size with a byte changed: by its hash; the remedy depends on where it is',
  async t => {
    const named = libtorchCopy(t, 'libc10.so')
    flipByte(named.file)
    assertProblem(
      t,
      await doctor(t, { LIBTORCH: named.root }),
      'damaged-libtorch',
      /libc10\.so is damaged: its SHA-256 is not the recorded one$/,
      /^Set LIBTORCH to a libtorch \S+ that is whole, or unset it$/,
    )
    const cache = folderFor(t)
    const cached = libtorchCopy(t, 'libc10.so', join(cache, 'libtorch-2.13.0-cpu-linux-x64'))
    flipByte(cached.file)
    assertProblem(
      t,
      await doctor(t, { LIBTORCH: '', TORCH_LEARNER_CACHE: cache, TORCH_LEARNER_PREBUILD: addonCopy(t).root }),
      'damaged-libtorch',
      /libc10\.so is damaged/,
      new RegExp(`^Delete ${cached.root} and run \`npm run ready\`$`),
    )
  },
)

test.serial('a cut-off library in the folder that LIBTORCH names', async t => {
  const { root, file } = libtorchCopy(t, 'libc10.so')
  rmSync(join(root, 'torch-learner.json'))
  writeFileSync(join(root, 'build-version'), libtorch.version)
  truncateSync(file, 100_000)
  const report = await doctor(t, { LIBTORCH: root })
  assertProblem(t, report, 'ERR_ADDON_LOAD', /libc10\.so is cut off/, /Set LIBTORCH to a libtorch \S+ that is whole/)
})

test.serial('an addon that is missing, damaged or cut off', async t => {
  const empty = folderFor(t)
  const missing = await doctor(t, { LIBTORCH: libtorch.root, TORCH_LEARNER_PREBUILD: empty })
  assertProblem(t, missing, 'ERR_ADDON_MISSING', /^TORCH_LEARNER_PREBUILD is/, /^Set it to a folder that has one/)
  t.is(missing.libtorch?.root, libtorch.root)

  const copy = addonCopy(t)
  const env = { LIBTORCH: libtorch.root, TORCH_LEARNER_PREBUILD: copy.root }
  flipByte(copy.addon)
  const flipped = await doctor(t, env)
  assertProblem(
    t,
    flipped,
    'damaged-addon',
    /torch_learner\.node is damaged: its SHA-256/,
    /^Set TORCH_LEARNER_PREBUILD to/,
  )
  truncateSync(copy.addon, 1000)
  assertProblem(
    t,
    await doctor(t, env),
    'ERR_ADDON_LOAD',
    /^The addon is damaged: .* has 1000 bytes/,
    /^Set TORCH_LEARNER_PREBUILD to/,
  )
  writeFileSync(copy.stamp, '{ "libtorch"')
  assertProblem(
    t,
    await doctor(t, env),
    'ERR_ADDON_LOAD',
    /torch_learner\.json is damaged: /,
    /^Set TORCH_LEARNER_PREBUILD to/,
  )
})

const machineCode = process.arch === 'x64' ? test.serial : test.serial.skip
machineCode('a binary that kills the process is reported, not suffered', async t => {
  const copy = addonCopy(t)
  overwriteFunction(copy.addon, 'napi_register_module_v1', [0x0f, 0x0b])
  copy.restamp()
  const report = await doctor(t, { LIBTORCH: libtorch.root, TORCH_LEARNER_PREBUILD: copy.root })
  assertProblem(
    t,
    report,
    'ERR_ADDON_LOAD',
    /ended with SIGILL, opening .*: an instruction that this processor/,
    /^(Build|Use)/,
  )
  t.like(report.trial, { outcome: 'died', signal: 'SIGILL' })
})

test.serial('a download that was interrupted', async t => {
  const cache = folderFor(t)
  writeFileSync(join(cache, '0123456789abcdef.part'), Buffer.alloc(3_000_000))
  const env = { LIBTORCH: '', TORCH_LEARNER_CACHE: cache, TORCH_LEARNER_PREBUILD: addonCopy(t).root }
  const lacking = await doctor(t, env)
  t.is(lacking.code, 1)
  assertWarning(t, lacking, 'half-downloaded')
  t.regex(
    lacking.warnings.find(({ code }) => code === 'half-downloaded')?.message ?? '',
    /\.part is a download that was interrupted after 3 MB$/,
  )
  t.regex(
    lacking.warnings.find(({ code }) => code === 'half-downloaded')?.remedy ?? '',
    /^Run `npm run ready`, which goes on from there$/,
  )
  const complete = await doctor(t, { ...env, LIBTORCH: libtorch.root })
  t.is(complete.code, 0)
  assertWarning(t, complete, 'half-downloaded')
  t.is(complete.warnings.find(({ code }) => code === 'half-downloaded')?.remedy, 'Delete it')
  t.is(complete.cache.bytes >= 3_000_000, true)
})

test.serial('a full disk matters where libtorch is yet to be fetched', async t => {
  const copy = addonCopy(t)
  const env = { LIBTORCH: '', TORCH_LEARNER_PREBUILD: copy.root }
  const lacking = await examine(t, '{ freeBytes: () => 100e6 }', env)
  t.deepEqual(
    lacking.problems.map(({ code }) => code),
    ['ERR_LIBTORCH_MISSING', 'disk-full'],
  )
  t.regex(lacking.problems[1]?.message ?? '', /is full: 100 MB are free, libtorch needs \d+ MB$/)
  t.regex(lacking.problems[1]?.remedy ?? '', /TORCH_LEARNER_CACHE/)
  const complete = await examine(t, '{ freeBytes: () => 100 }', { LIBTORCH: libtorch.root })
  t.true(complete.ready)
  assertWarning(t, complete, 'disk-full')
})

test.serial('musl: nothing else is looked for', async t => {
  const report = await examine(t, "{ libc: () => 'musl', glibcVersion: () => null }")
  t.deepEqual(
    report.problems.map(({ code }) => code),
    ['ERR_LIBC'],
  )
  t.regex(report.problems[0]?.remedy ?? '', /glibc/)
  t.is(report.ready, false)
  t.is(report.trial, null)
})

test.serial('an unsupported Node', async t => {
  const report = await examine(t, "{ nodeVersion: 'v18.20.4' }", { LIBTORCH: libtorch.root })
  t.deepEqual(
    report.problems.map(({ code, remedy }) => [code, remedy]),
    [['unsupported-node', 'Use Node ^20.19 || >=22.12']],
  )
  for (const version of ['v20.19.0', 'v20.20.2', 'v22.12.0', 'v24.0.0', 'v26.1.0'])
    t.true(isSupportedNode(version), version)
  for (const version of ['v18.20.4', 'v20.18.3', 'v21.7.0', 'v22.11.0']) t.false(isSupportedNode(version), version)
})

test.serial('no codecs', async t => {
  const copy = addonCopy(t)
  copy.restamp({ codecs: ['bmp'] })
  const report = await doctor(t, { LIBTORCH: libtorch.root, TORCH_LEARNER_PREBUILD: copy.root })
  t.is(report.code, 0)
  assertWarning(t, report, 'no-codecs')
  t.regex(
    report.warnings.find(({ code }) => code === 'no-codecs')?.message ?? '',
    /^The addon was built without libspng and libjpeg-turbo, so PNG and JPEG/,
  )
  t.regex(report.warnings.find(({ code }) => code === 'no-codecs')?.remedy ?? '', /^To change that, /)
})

test.serial('a driver without a build for CUDA, and the reverse', async t => {
  const driver = await examine(t, "{ driver: () => '580.65' }", { LIBTORCH: libtorch.root })
  t.true(driver.ready)
  assertWarning(t, driver, 'driver-without-cuda-build')
  t.regex(
    driver.warnings.find(({ code }) => code === 'driver-without-cuda-build')?.message ?? '',
    /^NVIDIA's driver 580\.65 is here, and the addon is one for the CPU/,
  )

  const copy = addonCopy(t)
  copy.restamp({ cuda: true })
  const { root } = libtorchCopy(t, 'libc10.so')
  // libraries that are there, of which none has a kernel
  for (const name of ['libc10_cuda.so', 'libtorch_cuda.so'])
    symlinkSync(join(libtorch.lib, 'libc10.so'), join(root, 'lib', name))
  const env = { LIBTORCH: root, TORCH_LEARNER_PREBUILD: copy.root }
  const build = await examine(t, '{ driver: () => null }', env)
  t.true(build.ready, JSON.stringify(build.problems))
  assertWarning(t, build, 'cuda-build-without-driver')
  const both = await examine(t, "{ driver: () => '580.65' }", env)
  assertWarning(t, both, 'cuda-unavailable')
})

test.serial('two copies that a program could load, and how they were installed', async t => {
  const inner = packageCopy(t, 'installed')
  const project = join(inner, '..', '..')
  const nested = join(project, 'node_modules', 'other', 'node_modules', 'torch-learner')
  mkdirSync(nested, { recursive: true })
  copyFileSync(join(inner, 'package.json'), join(nested, 'package.json'))
  writeFileSync(join(project, 'node_modules', '.package-lock.json'), '{}')
  const env = { LIBTORCH: libtorch.root, TORCH_LEARNER_PREBUILD: addonCopy(t).root }
  const source = `process.chdir(${JSON.stringify(project)})
    const { doctorReport } = await import(${JSON.stringify(join(inner, 'dist', 'native', 'doctor.js'))})
    console.log(JSON.stringify(await doctorReport()))`
  const { stdout, stderr } = await runNode(['--input-type=module', '-e', source], { env, seconds: 120 })
  t.is(stderr, '')
  const report: DoctorReport = JSON.parse(stdout)
  t.true(report.ready)
  t.is(report.package.layout, 'npm')
  t.deepEqual([...report.package.copies].sort(), [inner, nested].sort())
  assertWarning(t, report, 'two-copies')
  t.true(report.warnings.find(({ code }) => code === 'two-copies')?.message.includes(nested))
})

test.serial('an installed package names its own commands, and the package that was left out', async t => {
  const root = packageCopy(t, 'installed')
  const report = await doctor(t, { LIBTORCH: libtorch.root }, join(root, 'dist', 'cli', 'main.js'))
  const platform = `${process.platform}-${process.arch}`
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  assertProblem(
    t,
    report,
    'ERR_ADDON_MISSING',
    platform === 'linux-x64'
      ? /^The package @torch-learner\/linux-x64, .* is not installed: optional dependencies were left out/
      : /no prebuilt addon/,
    platform === 'linux-x64'
      ? new RegExp(`--include=optional.*npm install @torch-learner/linux-x64@${version}`)
      : /npx torch-learner build/,
  )
})

test.serial('what is not what it should be at all is told, too', async t => {
  const file = join(folderFor(t), 'file')
  writeFileSync(file, '')
  const { root } = libtorchCopy(t, 'libc10.so')
  writeFileSync(join(root, 'torch-learner.json'), '{"version":7}')
  writeFileSync(join(root, 'build-version'), libtorch.version)
  const strange = await doctor(t, { LIBTORCH: root, TORCH_LEARNER_CACHE: file })
  t.is(strange.code, 0)
  assertWarning(t, strange, 'cache-unreadable')
  t.regex(strange.warnings.find(({ code }) => code === 'cache-unreadable')?.message ?? '', /is not a folder$/)

  const copy = addonCopy(t)
  rmSync(copy.addon)
  mkdirSync(copy.addon)
  const report = await doctor(t, { LIBTORCH: libtorch.root, TORCH_LEARNER_PREBUILD: copy.root })
  assertProblem(t, report, 'ERR_ADDON_MISSING', /there is no addon in/, /^Set it to/)
})
