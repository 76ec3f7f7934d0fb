// What this package removes is its own, and what it tells and keeps of an address is no secret.
import { mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { cacheEntries } from '../dist/provision/index.js'
import { shown } from '../src/provision/fetch/shown.js'
import { addonCopy, libtorch } from './helpers/binaries.js'
import { runNode, runProgram } from './helpers/child.js'
import { folderFor } from './helpers/package-copy.js'

const index = new URL('../dist/native/index.js', import.meta.url).href
const old = new Date('2020-01-01')

test('the cache lists nothing but the names that this package gives', t => {
  const root = folderFor(t)
  const [cache, fastai, torch] = ['cache', 'fastai', 'torch'].map(name => join(root, name)) as [string, string, string]
  const foreign = [
    'build-debug',
    'pip-backup',
    'libtorch-mine',
    'addon-notes',
    'libtorch-2.13.0-cpu-linux-x64.tar.gz',
    'movie.mkv.part',
  ]
  const own = [
    'libtorch-2.13.0-cpu-linux-x64',
    'addon-0.1.0-0123456789abcdef',
    '0123456789abcdef.part',
    'torch-learner-pip-a1B2c3',
  ]
  for (const name of [...foreign, ...own]) mkdirSync(join(cache, name), { recursive: true })
  for (const note of ['....source', '...source', '.pets.source']) {
    mkdirSync(join(fastai, 'data', 'pets'), { recursive: true })
    writeFileSync(join(fastai, 'data', note), '')
  }
  const entries = cacheEntries({ TORCH_LEARNER_CACHE: cache, FASTAI_HOME: fastai, TORCH_HOME: torch })
  t.deepEqual(entries.map(({ name }) => name).sort(), [...own, 'pets'].sort())
})

test.serial(
  'verdicts that are outdated go, and no other file: not in a folder of verdicts, nor where a link leads',
  async t => {
    const copy = addonCopy(t)
    for (const how of ['own', 'linked']) {
      const [cache, docs] = [folderFor(t), folderFor(t)]
      const folder = join(cache, 'tried')
      if (how === 'linked') symlinkSync(docs, folder)
      else mkdirSync(folder)
      const names = ['thesis.txt', `${'a'.repeat(32)}.json`]
      for (const name of names) {
        writeFileSync(join(folder, name), '')
        utimesSync(join(folder, name), old, old)
      }
      const program = 'import(process.argv[1]).then(({ native }) => console.log(native.version().torch))'
      const env = {
        LIBTORCH: libtorch.root,
        TORCH_LEARNER_CACHE: cache,
        TORCH_LEARNER_PREBUILD: copy.root,
        TMPDIR: folderFor(t),
      }
      const { code, stderr } = await runNode(['-e', program, index], { env, seconds: 120 })
      t.is(code, 0, stderr)
      const left = readdirSync(folder).filter(name => names.includes(name))
      t.deepEqual(left, how === 'own' ? ['thesis.txt'] : [`${'a'.repeat(32)}.json`, 'thesis.txt'], how)
      if (how === 'linked') t.is(readdirSync(docs).length, 2, 'nothing is written there')
    }
  },
)

test.serial('without a working directory an import is an error, where MKL would end the process', async t => {
  const gone = join(folderFor(t), 'gone')
  const { code, stdout } = await runNode(
    [
      '-e',
      `const { mkdirSync, rmdirSync } = require('node:fs')
      mkdirSync(process.argv[2])
      process.chdir(process.argv[2])
      rmdirSync(process.argv[2])
      import(process.argv[1]).catch(error => console.log(error.code, error.message))`,
      index,
      gone,
    ],
    { seconds: 120 },
  )
  t.is(code, 0)
  t.regex(stdout, /^ERR_ADDON_LOAD The working directory .*Start the process in a folder that exists/)
})

test('an address is shown without its password', t => {
  t.is(shown(new URL('http://user:secret@host:81/a?b=c')), 'http://host:81/a?b=c')
  t.is(shown(new URL('https://host/a')), 'https://host/a')
})

test('fields of a subclass that are none are an error with a code', async t => {
  const { stdout } = await runProgram(
    `for (const own of [null, 5, [], { a: 1 }]) try { new tl.Tracker({}, own) } catch (error) { console.log(error.code) }`,
  )
  t.is(stdout, 'ERR_INVALID_ARG\n'.repeat(4))
})
