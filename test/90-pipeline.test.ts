// The example of a pipeline that knows nothing of tensors.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import test from 'ava'

test('trains, and tells heartbeats from noise', async t => {
  const script = fileURLToPath(new URL('../examples/pipeline.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import=tsx', script])
  const [out, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  t.is(code, 0, errors)
  t.is(out.match(/^(heartbeat|noise), and it is \1$/gm)?.length, 3, out)
})
