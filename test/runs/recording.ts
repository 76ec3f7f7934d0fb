// npm run test:recording: the golden tests with a second recording, whose numbers of batches, epochs, samples, outputs and
// classes are others. Nothing in a test's text may depend on those. It is made by this package itself, not by the
// reference: it proves what the tests depend on, not that the numbers are right. What isn't made anew is the first
// one's: operators on given tensors, whose tests read shapes and numbers together and have no other size to name.
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { goldenFiles, runTests, tell } from './golden.mjs'
import { e2e } from './second/e2e.js'
import { freeze, lrFind, misc, trackers } from './second/learner.js'
import { callbackOrder, recorder, schedules, traces } from './second/loop.js'
import { meta, numeric } from './second/resnet.js'
import { head, segmentation } from './second/small.js'
import { imageLoaders, resnetTraining } from './second/vision.js'

const folder = mkdtempSync(join(tmpdir(), 'torch-learner-recording-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
cpSync(fileURLToPath(new URL('../golden/', import.meta.url)), folder, { recursive: true })
const makers = [
  ...[traces, callbackOrder, recorder, schedules, e2e, meta, numeric, segmentation, head],
  ...[freeze, lrFind, trackers, misc, imageLoaders, resnetTraining],
]
for (const make of makers) await make(folder)

// only the files that read what was made anew
const files = goldenFiles().filter(file =>
  /\/(24|25|32|54|60|61-c|62-[rt]|63|64-m|65|67|69-lr|70-f|72-n|73-i|75-a|76-e2)/.test(file),
)
const started = performance.now()
const outcome = await runTests(files, { TORCH_LEARNER_GOLDEN: folder })
process.exitCode = tell('second recording', outcome, started) ? 0 : 1
