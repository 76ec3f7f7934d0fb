// The quickstart on one's own pictures, and its complaints.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { classFolders, temporaryFolder, writeFiles } from './helpers/pictures.js'

const script = fileURLToPath(new URL('../examples/quickstart.mjs', import.meta.url))

async function run(...args: string[]) {
  const child = spawn(process.execPath, [script, ...args])
  const [out, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  return { out, errors, code }
}

test('trains on a folder of class folders', async t => {
  const folder = await temporaryFolder(t)
  await classFolders(folder, { 'pictures/a': 12, 'pictures/b': 12 }, 20)
  const out = join(folder, 'out')
  const ran = await run('--data', join(folder, 'pictures'), '--size', '32', '--epochs', '1', '--out', out)
  t.is(ran.code, 0, ran.errors)
  t.regex(ran.out, /20 pictures for training and 4 for validation, of 2 classes: a, b/)
  t.regex(ran.out, /epoch \| train_loss \| valid_loss \| error_rate \| +time/)
  t.regex(ran.out, /The model errs on [\d.]+ % of the validation pictures/)
  t.regex(ran.out, /event loop meanwhile: held up [\d.]+ ms/)
  t.deepEqual((await readdir(out)).sort(), ['loss.svg', 'mixup.png', 'top-losses.png'])
})

test('wrong arguments: one sentence, exit code 1', async t => {
  const folder = await temporaryFolder(t)
  await writeFiles(folder, { 'empty/notes.txt': '' })
  const complains = async (args: string[], message: RegExp) => {
    const { code, errors } = await run(...args)
    t.is(code, 1)
    t.regex(errors, message)
    t.notRegex(errors, /\n\s+at /, 'no stack')
  }
  await complains(['--dta', folder], /Unknown option '--dta'[\s\S]*npm run quickstart -- \[options\]/)
  await complains(['--data', join(folder, 'none')], /none: there is no such folder\n$/)
  await complains(['--data', join(folder, 'empty')], /There are no pictures in .*empty\n$/)
  await complains(['--size', 'big'], /Expected a whole number above 0 for --size but received "big"\n$/)
})
