// Environments that end while their state dicts are being read.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { ones } from 'torch-learner'
import { runProgram } from './helpers/child.js'
import { legacyFile } from './helpers/pth.js'

const folder = mkdtempSync(join(tmpdir(), 'torch-learner-'))
const file = join(folder, 'big.pth')
const packageUrl = new URL('../dist/index.js', import.meta.url).href
test.before(async () => {
  const state = new Map(Array.from({ length: 20 }, (_, i) => [`w${i}`, ones([250_000])] as const))
  writeFileSync(file, await legacyFile(state))
})
test.after.always(() => rmSync(folder, { recursive: true, force: true }))

const loads = (module: string, path: string) => `for (;;) {
  const all = Array.from({ length: 8 }, () => ${module}.loadPth(${path}))
  for (const state of await Promise.all(all)) for (const one of state.values()) one.dispose()
}`

for (const [name, exit] of [
  ['are terminated', false],
  ['exit', true],
] as const) {
  test.serial(`workers ${name} while they read`, async t => {
    const worker = `import { parentPort, workerData } from 'node:worker_threads'
      import * as tl from ${JSON.stringify(packageUrl)}
      parentPort.postMessage('reading')
      if (${exit}) setTimeout(() => process.exit(0), Math.random() * 40)
      ${loads('tl', 'workerData')}`
    const { code, signal, stdout, stderr } = await runProgram(
      `import { once } from 'node:events'
      import { setTimeout as sleep } from 'node:timers/promises'
      import { Worker } from 'node:worker_threads'
      const url = new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(worker)}))
      for (let i = 0; i < 8; i++) {
        const one = new Worker(url, { workerData: ${JSON.stringify(file)} })
        await once(one, 'message')
        if (${exit}) {
          await once(one, 'exit')
        } else {
          await sleep(Math.random() * 40)
          await one.terminate()
        }
      }
      console.log((await tl.loadPth(${JSON.stringify(file)})).size)`,
      { seconds: 120 },
    )
    t.is(signal, null, stderr)
    t.is(code, 0, stderr)
    t.is(stdout, '20\n', 'the main thread goes on')
  })
}

test.serial('process.exit while files are read', async t => {
  const { code, signal, stderr } = await runProgram(
    `setTimeout(() => process.exit(5), 60); ${loads('tl', JSON.stringify(file))}`,
  )
  t.is(signal, null, stderr)
  t.is(code, 5, stderr)
})
