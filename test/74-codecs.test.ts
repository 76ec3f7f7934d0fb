// Builds without libspng or libjpeg-turbo: slower, and they say so.
import { join } from 'node:path'
import test from 'ava'
import { doctor } from 'torch-learner'
import { native } from '../dist/native/index.js'
import { runProgram } from './helpers/child.js'
import { picture, temporaryFolder } from './helpers/pictures.js'

const codecs: readonly string[] = native.imageCodecs()
const missing = ['png', 'jpeg'].filter(name => !codecs.includes(name))

test('the slow road of PNG and JPEG is told once, with the remedy', async t => {
  const folder = await temporaryFolder(t)
  const files = ['a.png', 'b.jpg', 'c.png', 'd.jpg', 'e.webp'].map(name => join(folder, name))
  for (const file of files) await picture(9, 9).toFile(file)
  const { stdout, stderr, code } = await runProgram(`
    const warnings = []
    process.on('warning', ({ message, code, name }) => warnings.push([name, code, message]))
    for (const file of ${JSON.stringify(files)}) await tl.openImage(file)
    await new Promise(resolve => setImmediate(resolve))
    console.log(JSON.stringify(warnings))`)
  t.is(code, 0, stderr)
  const warnings: [string, string, string][] = JSON.parse(stdout)
  t.is(warnings.length, missing.length > 0 ? 1 : 0, stderr)
  for (const [name, id, message] of warnings) {
    t.deepEqual([name, id], ['TorchLearnerWarning', 'TORCH_LEARNER_NO_CODECS'])
    t.regex(
      message,
      /^This torch-learner was built without lib.*, so .* files are decoded by sharp, several times slower/,
    )
    t.regex(message, /then `npm run ready`/)
    t.false(message.includes('\n'), 'one line')
  }
})

test('doctor tells how pictures are decoded', async t => {
  const report = await doctor()
  const line = report.split('\n').find(text => text.startsWith('pictures'))
  t.regex(line ?? '', missing.length > 0 ? / natively, other formats by sharp/ : /png, jpeg natively, other/)
  for (const name of missing) t.notRegex(line ?? '', new RegExp(`${name}.* natively`))
  const warning = /no-codecs: The addon was built without lib.* decoded by sharp, several times slower/
  if (missing.length > 0) t.regex(report, warning)
  else t.notRegex(report, /no-codecs/)
})
