// Tensors that the machine has no memory for are refused, instead of the process being killed later.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import test from 'ava'
import { doctor, empty, ones, synchronize } from 'torch-learner'
import { native } from '../dist/native/index.js'
import { runProgram } from './helpers/child.js'

const noRoom = {
  code: 'ERR_OUT_OF_MEMORY',
  message: /Not enough memory for a tensor of \d+(\.\d)? [GM]iB: \d+(\.\d)? [GM]iB are free/,
}

test.serial('what was promised counts, though nothing was written to it yet', async t => {
  const share = Math.round((totalmem() * 0.6) / 4)
  const made = [empty([share]), empty([share])]
  await t.throwsAsync(async () => {
    for (const one of made) await one.select(0, 0).data()
  }, noRoom)
  for (const one of made) one.dispose()
  await synchronize()
  t.is(await ones([1_000_000]).sum().item(), 1_000_000, 'and it goes on')
})

test.serial('many blocks of which none is large', async t => {
  const { code, stdout, stderr } = await runProgram(`
    const { totalmem } = await import('node:os')
    const made = []
    let bytes = 0
    try {
      for (; bytes < 2 * totalmem(); bytes += 100 * 2 ** 20) {
        made.push(tl.empty([25 * 2 ** 20]))
        await tl.mark()
        await made.at(-1).select(0, 0).data()
      }
      console.log('all of it')
    } catch (error) {
      console.log(error.code, bytes < totalmem())
    }
    process.exit(0)`)
  t.is(code, 0, stderr)
  t.is(stdout, 'ERR_OUT_OF_MEMORY true\n')
})

test.serial('the reserve of freed blocks is given back before anything is refused', async t => {
  const { code, stdout, stderr } = await runProgram(`
    const { totalmem } = await import('node:os')
    tl.scope(() => { tl.ones([2 ** 26]) })
    await tl.synchronize()
    const kept = tl.memoryStats().cachedBytes
    await tl.empty([Math.round(totalmem() / 4)]).select(0, 0).data().catch(() => null)
    console.log(kept >= 2 ** 28, tl.memoryStats().cachedBytes)`)
  t.is(code, 0, stderr)
  t.is(stdout, 'true 0\n')
})

/** A folder with such files stands for the root of a file system. */
function root(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'torch-learner-'))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  return folder
}

const GiB = 2 ** 30
const meminfo = { 'proc/meminfo': `MemTotal: 100 kB\nMemAvailable: ${8 * 2 ** 20} kB\nSwapFree: ${2 * 2 ** 20} kB\n` }
const limits = (path: string, limit: number | string, used: number, files = 0) => ({
  [`sys/fs/cgroup${path}/memory.max`]: `${limit}\n`,
  [`sys/fs/cgroup${path}/memory.current`]: `${used}\n`,
  [`sys/fs/cgroup${path}/memory.stat`]: `anon ${used - files}\ninactive_file ${files}\n`,
})
const first = (path: string, limit: number, used: number) => ({
  [`sys/fs/cgroup/memory${path}/memory.limit_in_bytes`]: `${limit}\n`,
  [`sys/fs/cgroup/memory${path}/memory.usage_in_bytes`]: `${used}\n`,
  [`sys/fs/cgroup/memory${path}/memory.stat`]: `total_inactive_file ${GiB}\n`,
})

const machines: Record<string, [files: Record<string, string>, expected: number | undefined]> = {
  'a machine': [meminfo, 10 * GiB],
  'a group without a limit': [{ ...meminfo, 'proc/self/cgroup': '0::/a\n', ...limits('/a', 'max', GiB) }, 10 * GiB],
  'a group with a limit': [{ ...meminfo, 'proc/self/cgroup': '0::/a\n', ...limits('/a', 4 * GiB, 3 * GiB) }, GiB],
  'files that were read count as free': [
    { ...meminfo, 'proc/self/cgroup': '0::/a\n', ...limits('/a', 4 * GiB, 3 * GiB, 2 * GiB) },
    3 * GiB,
  ],
  'the limit of a group around it': [
    { ...meminfo, 'proc/self/cgroup': '0::/a/b\n', ...limits('/a/b', 'max', GiB), ...limits('/a', 5 * GiB, 3 * GiB) },
    2 * GiB,
  ],
  'a container, whose root is its group': [
    { ...meminfo, 'proc/self/cgroup': '0::/\n', ...limits('', 2 * GiB, GiB) },
    GiB,
  ],
  'a group that is over its limit': [{ ...meminfo, 'proc/self/cgroup': '0::/\n', ...limits('', GiB, 2 * GiB) }, 0],
  'groups of the first version': [
    { ...meminfo, 'proc/self/cgroup': '5:cpu,cpuacct:/x\n4:memory:/x\n', ...first('/x', 4 * GiB, 3 * GiB) },
    2 * GiB,
  ],
  'a container with a path of the host': [
    { ...meminfo, 'proc/self/cgroup': '4:memory:/docker/1234\n', ...first('', 4 * GiB, 3 * GiB) },
    2 * GiB,
  ],
  'a limit beyond the machine': [
    { ...meminfo, 'proc/self/cgroup': '4:memory:/\n', ...first('', 2 ** 62, 0) },
    10 * GiB,
  ],
  'no such files': [{}, undefined],
}

for (const [name, [files, expected]] of Object.entries(machines)) {
  test(`what is free: ${name}`, t => {
    const folder = root(files)
    t.is(native.freeMemory(folder), expected)
    rmSync(folder, { recursive: true })
  })
}

test('doctor says how much is free', async t => {
  t.regex(await doctor(), /memory +.*, \d+\.\d GiB free for this process/)
})
