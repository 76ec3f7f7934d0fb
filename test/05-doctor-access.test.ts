// What may not be read or written is said so, and never called missing. Root may read everything: it runs these as another user.

import { spawn } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import type { DoctorReport } from '../dist/native/doctor.js'
import { addonCopy, libtorch, libtorchCopy } from './helpers/binaries.js'
import { outcomeOf } from './helpers/child.js'
import { folderFor } from './helpers/package-copy.js'
import { smallDisk } from './helpers/small-disk.js'

const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const NOBODY = 65534
const isRoot = process.getuid?.() === 0

/** `doctor --json` as a user without rights of its own; undefined where that user can't run it, which the test's log says. */
async function strangerDoctor(t: ExecutionContext, env: Record<string, string>): Promise<DoctorReport | undefined> {
  const user = isRoot ? { uid: NOBODY, gid: NOBODY } : {}
  const child = spawn(process.execPath, [cli, 'doctor', '--json'], {
    cwd: '/',
    env: { PATH: process.env.PATH, HOME: '/', LIBTORCH: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...user,
  })
  const { code, stdout, stderr } = await outcomeOf(child, 120)
  if (!stdout.startsWith('{')) {
    t.log(`skipped: another user can't run this checkout: ${stderr.trim().split('\n').at(-1)}`)
    t.pass()
    return undefined
  }
  const report: DoctorReport = JSON.parse(stdout)
  t.is(code, report.ready ? 0 : 1)
  return report
}

/** A folder that everybody may look into. */
function open(path: string): string {
  chmodSync(path, 0o755)
  return path
}

const codes = (problems: DoctorReport['problems']) => problems.map(({ code }) => code)

test.serial("another user's cache may not be read", async t => {
  const cache = folderFor(t)
  libtorchCopy(t, 'libc10.so', join(cache, 'libtorch-2.13.0-cpu-linux-x64'))
  const copy = addonCopy(t)
  open(copy.root)
  chmodSync(cache, 0)
  const report = await strangerDoctor(t, { TORCH_LEARNER_CACHE: cache, TORCH_LEARNER_PREBUILD: copy.root })
  chmodSync(cache, 0o755)
  if (!report) return
  t.deepEqual(codes(report.problems), ['ERR_LIBTORCH_MISSING', 'cache-unreadable'])
  const { message, remedy } = report.problems[1] ?? {}
  t.regex(message ?? '', /^The cache \S+ may not be read by this user \(\d+\)$/)
  t.regex(remedy ?? '', /chown.*TORCH_LEARNER_CACHE/)
  const looked = report.lookedAt.find(({ step }) => step === 'cache')
  t.regex(looked?.reason ?? '', /may not be read by this user/)
})

test.serial('the stamp of a libtorch, and of an addon, that may not be read', async t => {
  const cache = open(folderFor(t))
  const { root } = libtorchCopy(t, 'libc10.so', join(cache, 'libtorch-2.13.0-cpu-linux-x64'))
  const copy = addonCopy(t)
  open(copy.root)
  chmodSync(join(root, 'torch-learner.json'), 0)
  const env = { TORCH_LEARNER_CACHE: cache, TORCH_LEARNER_PREBUILD: copy.root }
  const first = await strangerDoctor(t, env)
  if (!first) return
  const looked = first.lookedAt.find(({ step }) => step === 'cache')
  t.regex(looked?.reason ?? '', /torch-learner\.json may not be read by this user/)
  chmodSync(copy.stamp, 0)
  const second = await strangerDoctor(t, env)
  t.is(second?.problems[0]?.code, 'ERR_ADDON_LOAD')
  t.regex(second?.problems[0]?.message ?? '', /torch_learner\.json may not be read by this user/)
  t.regex(second?.problems[0]?.remedy ?? '', /^Give this user the right to read it/)
})

test.serial('a cache that may not be written hinders only where something has to be fetched', async t => {
  const cache = open(folderFor(t))
  chmodSync(cache, 0o555)
  const copy = addonCopy(t)
  open(copy.root)
  const env = { TORCH_LEARNER_CACHE: cache, TORCH_LEARNER_PREBUILD: copy.root }
  const lacking = await strangerDoctor(t, env)
  if (!lacking) return
  t.deepEqual(codes(lacking.problems), ['ERR_LIBTORCH_MISSING', 'cache-unwritable'])
  t.regex(lacking.problems[1]?.message ?? '', /may not be written by this user/)
  const absent = await strangerDoctor(t, { ...env, TORCH_LEARNER_CACHE: join(cache, 'not', 'made', 'yet') })
  t.deepEqual(codes(absent?.problems ?? []), ['ERR_LIBTORCH_MISSING', 'cache-unwritable'])

  if (isRoot && !isReadableByAll(libtorch.lib)) return t.log('the rest needs a libtorch that every user may read')
  const complete = await strangerDoctor(t, { ...env, LIBTORCH: libtorch.root })
  t.deepEqual(codes(complete?.problems ?? []), [])
  t.true(codes(complete?.warnings ?? []).includes('cache-unwritable'))
})

function isReadableByAll(path: string): boolean {
  for (let at = path; at !== dirname(at); at = dirname(at)) if ((statSync(at).mode & 0o5) !== 0o5) return false
  return true
}

test.serial('a disk that is really full', async t => {
  const disk = smallDisk(t, 2 ** 20)
  if (!disk) return
  if (isRoot) chownSync(disk, NOBODY, NOBODY)
  mkdirSync(join(disk, 'cache'), { mode: 0o777 })
  if (isRoot) chownSync(join(disk, 'cache'), NOBODY, NOBODY)
  const copy = addonCopy(t)
  open(copy.root)
  const report = await strangerDoctor(t, {
    TORCH_LEARNER_CACHE: join(disk, 'cache'),
    TORCH_LEARNER_PREBUILD: copy.root,
  })
  if (!report) return
  t.deepEqual(codes(report.problems), ['ERR_LIBTORCH_MISSING', 'disk-full'])
})
