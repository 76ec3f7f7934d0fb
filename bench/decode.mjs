// Picture files to batches, beside Pillow: CPU time a picture, in turns within one run.
//   node bench/decode.mjs [photographs' folder] [32x32 pictures' folder]
//   or BENCH_PHOTOS, BENCH_THUMBNAILS; PYTHON=<python with Pillow and numpy>; BENCH_THREADS=2
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { getImageFiles, Resize } from 'torch-learner'
import { decodeInto } from '../dist/vision/decode/decode.js'
import { startReference } from './python.mjs'
import { median, print } from './table.mjs'

const threads = Number(process.env.BENCH_THREADS ?? 2)

const settings = [
  { name: 'photographs', folder: process.env.BENCH_PHOTOS ?? process.argv[2], size: 256, limit: 200, aim: 0.85 },
  { name: 'pictures', folder: process.env.BENCH_THUMBNAILS ?? process.argv[3], size: 32, limit: 4000, aim: 0.35 },
]

/** One pass over the files; CPU seconds of the whole process. */
async function pass(files, out, request) {
  const before = process.cpuUsage()
  await decodeInto(files, new Float64Array(), out, [...files.keys()], request, { threads })
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

const mean = bytes => bytes.reduce((sum, value) => sum + value, 0) / bytes.length

async function compare({ name, folder, size, limit, aim }, reference, list, rounds) {
  const all = await getImageFiles(folder)
  const step = Math.max(1, Math.floor(all.length / limit))
  const files = all.filter((_, i) => i % step === 0).slice(0, limit)
  writeFileSync(list, files.join('\n'))
  const request = { steps: new Resize(size).steps(false), maxPixels: 1e8 }
  const out = new Uint8Array(files.length * size * size * 3)
  const [ours, theirs] = [[], []]
  let [mine, other] = [0, Number.NaN]
  for (let round = 0; round <= rounds; round++) {
    const here = await pass(files, out, request)
    const [there, average] = reference === null ? [Number.NaN, Number.NaN] : await reference.ask(`${size} ${list}`)
    mine = mean(out)
    other = average
    // the first round reads the files into the system's cache
    if (round > 0) {
      ours.push(here)
      theirs.push(there)
    }
  }
  const difference = Math.abs(mine - other)
  if (difference > 1) throw new Error(`the pictures differ: their means are ${mine} and ${other}`)
  const [a, b] = [median(ours), median(theirs)].map(seconds => (seconds / files.length) * 1e6)
  return {
    what: `${files.length} ${name} to ${size}x${size}, CPU time each`,
    here: `${a.toFixed(0)} us`,
    reference: reference === null ? '-' : `${b.toFixed(0)} us (Pillow ${reference.version})`,
    ratio: reference === null ? '-' : (a / b).toFixed(2),
    aim: `<= ${aim}`,
  }
}

/** Rows for the folders that are given; none without. */
export async function run({ rounds = 7 } = {}) {
  const wanted = settings.filter(({ folder }) => folder !== undefined)
  if (wanted.length === 0) return []
  const { reference, reason } = await startReference(threads, 'decode.py')
  if (reference === null) console.log(`No Pillow to compare with (${reason}): set PYTHON to a Python that has it`)
  const folder = mkdtempSync(join(tmpdir(), 'torch-learner-bench-'))
  const rows = []
  try {
    for (const setting of wanted) rows.push(await compare(setting, reference, join(folder, 'files'), rounds))
  } finally {
    reference?.stop()
    rmSync(folder, { recursive: true })
  }
  return rows
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const rows = await run()
  if (rows.length === 0) console.log('Name a folder of photographs and one of 32x32 pictures')
  else print(rows)
}
