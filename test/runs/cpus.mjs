// @ts-check
// npm run test:cpus: the golden tests as other CPUs compute. ATEN_CPU_CAPABILITY chooses among ATen's kernels,
// ONEDNN_MAX_CPU_ISA among those of convolutions and matrix products. A level above the CPU's own instructions changes
// nothing, so it isn't run again (`-- --all` runs it all the same, `-- ATEN_CPU_CAPABILITY=default` that level only).
import { readFileSync } from 'node:fs'
import { goldenFiles, runTests, tell } from './golden.mjs'

/** Without a floating-point operator in libtorch, no CPU can change them: orders of events, splits, schedules. */
const SAME_ON_EVERY_CPU = ['31-', '40-', '41-', '51-', '60-', '61-', '62-trackers', '63-']

/** @returns {Set<string>} instructions of this CPU by the names of Linux; empty where nobody tells */
function instructions() {
  try {
    return new Set(/^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.trim().split(' '))
  } catch {
    return new Set()
  }
}

/** @type {{ env: Record<string, string>, below?: string }[]} `below`: it is a limit for CPUs that have this */
const LEVELS = [
  { env: { ATEN_CPU_CAPABILITY: 'default' } },
  { env: { ATEN_CPU_CAPABILITY: 'avx2' }, below: 'avx512f' },
  { env: { ONEDNN_MAX_CPU_ISA: 'AVX2' }, below: 'avx512f' },
  { env: { ONEDNN_MAX_CPU_ISA: 'AVX512_CORE' }, below: 'avx512_vnni' },
  { env: { ONEDNN_MAX_CPU_ISA: 'ALL' } },
]

const own = instructions()
const chosen = process.argv.slice(2)
const all = chosen.includes('--all')
const files = goldenFiles(SAME_ON_EVERY_CPU)
let isWell = true
for (const { env, below } of LEVELS) {
  const label = Object.entries(env).flat().join('=')
  if (chosen.length > 0 && !all && !chosen.includes(label)) continue
  if (below !== undefined && own.size > 0 && !own.has(below) && chosen.length === 0) {
    console.log(`- ${label}: no limit for this CPU, which has no ${below}: the same as ALL`)
    continue
  }
  const started = performance.now()
  isWell = tell(label, await runTests(files, env), started) && isWell
}
process.exitCode = isWell ? 0 : 1
