// Scripts that are killed at random moments and run again end with the weights of those left alone.
import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'

const program = fileURLToPath(new URL('helpers/checkpointed.mjs', import.meta.url))
const folder = () => mkdtemp(join(tmpdir(), 'checkpoint-'))

interface Result {
  weights: string
  history: string
  rows: unknown[]
  resumed: { epoch: number; batch: number } | null
}

/** When to kill: so many milliseconds after the start of training, or in the middle of the nth write. */
type Moment = { after: number } | { write: number }

/** @returns whether the script came to its end */
function run(path: string, script: string, checkpointed: string, moment?: Moment): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, path, script, checkpointed], { stdio: ['ignore', 'pipe', 'pipe'] })
    let complaints = ''
    let writes = 0
    child.stderr.setEncoding('utf8').on('data', text => {
      complaints += text
    })
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (moment && 'after' in moment && text.includes('started')) setTimeout(() => child.kill('SIGKILL'), moment.after)
      writes += text.split('writing').length - 1
      if (moment && 'write' in moment && writes >= moment.write) child.kill('SIGKILL')
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (signal === 'SIGKILL') resolve(false)
      else if (code === 0) resolve(true)
      else reject(new Error(`the script failed with code ${code}: ${complaints}`))
    })
  })
}

async function resultOf(path: string): Promise<Result> {
  return JSON.parse(await readFile(join(path, 'result.json'), 'utf8'))
}

for (const [script, files] of Object.entries({
  oneCycle: ['checkpoint.safetensors', 'model.safetensors'],
  fineTune: [
    'between.safetensors',
    ...['checkpoint.fit2', 'checkpoint.fit3', 'checkpoint.fit4', 'checkpoint'].map(name => `${name}.safetensors`),
    'model.safetensors',
  ],
})) {
  test.serial(`${script}, killed 20 times`, async t => {
    t.timeout(180_000)
    const [alone, killed] = [await folder(), await folder()]
    await run(alone, script, 'no')
    const expected = await resultOf(alone)
    const models = join(killed, 'models')
    let [kills, inWrite, finished] = [0, 0, 0]
    while (kills < 20) {
      const moment = kills % 2 ? { after: Math.random() * 300 } : { write: 1 + Math.floor(Math.random() * 8) }
      if (await run(killed, script, 'yes', moment)) {
        finished += 1
        t.deepEqual({ ...(await resultOf(killed)), resumed: null }, expected)
        await rm(killed, { recursive: true })
        continue
      }
      kills += 1
      const left = await readdir(models).catch(() => [])
      if (left.some(name => name.startsWith('checkpoint') && name.endsWith('.tmp'))) inWrite += 1
    }
    t.true(await run(killed, script, 'yes'))
    const actual = await resultOf(killed)
    t.deepEqual({ ...actual, resumed: null }, expected)
    t.deepEqual((await readdir(models)).sort(), files, 'no leftovers')
    t.true(inWrite > 0, 'some in the middle of a write')
    t.log(`${inWrite} of ${kills} in the middle of a write; came to its end ${finished + 1} times;`, actual.resumed)
    await Promise.all([alone, killed].map(path => rm(path, { recursive: true })))
  })
}
