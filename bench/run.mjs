// npm run bench: everything against its reference, in turns within one run; medians.
//   PYTHON=<python with torch 2.13.0>   the reference side (default python3; without PyTorch its rows stay empty)
//   BENCH_THREADS=2                     threads on both sides
//   BENCH_PHOTOS, BENCH_THUMBNAILS      folders of photographs and of 32x32 pictures, to read them beside Pillow
//   BENCH_PICTURES=<folder>             pictures to measure reading with (default: drawn here)
import { cpus, loadavg } from 'node:os'
import { getNumThreads, setNumThreads } from 'torch-learner'
import { run as decode } from './decode.mjs'
import { run as learner } from './learner.mjs'
import { run as loader } from './loader.mjs'
import * as mixup from './mixup.mjs'
import * as operators from './ops.mjs'
import * as preprocess from './preprocess.mjs'
import { startReference } from './python.mjs'
import { busyNeighbour, run as resnet } from './resnet.mjs'
import { print } from './table.mjs'

const threads = Number(process.env.BENCH_THREADS ?? 2)
setNumThreads(threads)
const { reference, reason } = await startReference(threads)
const machine = cpus()
const [load] = loadavg()
if (load > 1)
  console.log(`Load average ${load.toFixed(1)}: other work distorts every figure, and PyTorch's most of all`)
console.log(`${machine.length} x ${machine[0].model}, Node ${process.version}, ${getNumThreads()} threads`)
console.log(
  reference === null
    ? `No Python reference (${reason}): set PYTHON to one with torch 2.13.0. Ratios to PyTorch stay empty.`
    : `Reference: PyTorch ${reference.version}, plain loop, fused Adam, channels_last`,
)

const settings = [
  { size: 32, batch: 128 },
  { size: 64, batch: 64 },
]
try {
  const rows = [
    ...(await resnet(reference, { settings })),
    ...(await learner()),
    ...(await loader()),
    ...(await decode()),
    ...(await busyNeighbour(settings[0])),
    ...(await mixup.run(reference)),
    ...(await preprocess.run(reference)),
    ...(await operators.run()),
  ]
  console.log()
  print(rows)
} finally {
  reference?.stop()
}
