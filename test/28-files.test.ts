// Files are written beside their name: whatever ends a process, nothing half and no leftovers; errors say which file.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { lstat, mkdtemp, open, readdir, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import test from 'ava'
import { CSVLogger, loadSafetensors, ops, SaveModel, saveFigure, saveSafetensors, tensor } from 'torch-learner'
import { tinyLearner } from './helpers/learning.js'

const newFolder = () => mkdtemp(join(tmpdir(), 'torch-learner-files-'))
const x = tensor([1])
const save = (folder: string, name = 'x.safetensors') => saveSafetensors(join(folder, name), { x })
const leftovers = async (folder: string) => (await readdir(folder)).filter(name => name.endsWith('.tmp'))
const index = JSON.stringify(new URL('../dist/index.js', import.meta.url).href)

/** A program that stops for `ms` in the middle of writing, and says so. */
const program = (file: string, ms: number, then = '') => `
  import { open } from 'node:fs/promises'
  import { saveSafetensors, tensor } from ${index}
  const handle = await open(${JSON.stringify(tmpdir())})
  const files = Object.getPrototypeOf(handle)
  await handle.close()
  const { sync } = files
  files.sync = async function () {
    if (!(await this.stat()).isFile()) return await sync.call(this)
    console.log('writing')
    ${then}
    await new Promise(done => setTimeout(done, ${ms}))
    return await sync.call(this)
  }
  await saveSafetensors(${JSON.stringify(file)}, { x: tensor([2]) })`

async function writing(file: string, ms = 60_000, then = '') {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program(file, ms, then)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  return child
}

test('what a killed process has left goes at the next write in the folder, of whatever file', async t => {
  const folder = await newFolder()
  const child = await writing(join(folder, 'model_3.safetensors'))
  child.kill('SIGKILL')
  await once(child, 'exit')
  t.is((await leftovers(folder)).length, 1)
  await saveFigure(join(folder, 'chart.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>', { inline: false })
  t.deepEqual(await readdir(folder), ['chart.svg'])
})

test('a process that exits in the middle of writing leaves nothing', async t => {
  const folder = await newFolder()
  const child = await writing(join(folder, 'a.safetensors'), 60_000, 'setTimeout(() => process.exit(3), 20)')
  const [code] = await once(child, 'exit')
  t.is(code, 3)
  t.deepEqual(await readdir(folder), [])
})

test('nor does a worker; what one leaves that is terminated goes at the next write', async t => {
  for (const end of ['exit', 'terminate']) {
    const folder = await newFolder()
    const then = end === 'exit' ? 'setTimeout(() => process.exit(0), 20)' : ''
    const worker = new Worker(
      new URL(`data:text/javascript,${encodeURIComponent(program(join(folder, 'a'), 60_000, then))}`),
      {
        stdout: true,
      },
    )
    await once(worker.stdout, 'data')
    await (end === 'exit' ? once(worker, 'exit') : worker.terminate())
    if (end === 'exit') t.deepEqual(await readdir(folder), [])
    // where open files can't be looked up, the process may be writing it still
    if (process.platform !== 'linux') continue
    await save(folder)
    t.deepEqual(await readdir(folder), ['x.safetensors'], end)
  }
})

test('what a living process is writing stays', async t => {
  const folder = await newFolder()
  const child = await writing(join(folder, 'a.safetensors'), 1500)
  await save(folder)
  t.is((await leftovers(folder)).length, 1)
  const [code] = await once(child, 'exit')
  t.is(code, 0)
  t.deepEqual(await (await loadSafetensors(join(folder, 'a.safetensors'))).get('x')?.toArray(), [2])
  t.deepEqual(await leftovers(folder), [])
})

test('of other machines only what nobody has touched for long goes, and other people’s files stay', async t => {
  const folder = await newFolder()
  const child = await writing(join(folder, 'a.safetensors'))
  child.kill('SIGKILL')
  await once(child, 'exit')
  const [name] = await leftovers(folder)
  const foreign = name.replace(/-[0-9a-f]{8}-/, '-00000000-')
  await rename(join(folder, name), join(folder, foreign))
  await writeFile(join(folder, 'mine.99999999-abcdef01.tmp'), 'not of this package')
  await save(folder)
  t.deepEqual((await leftovers(folder)).sort(), [foreign, 'mine.99999999-abcdef01.tmp'].sort())
  const before = new Date(Date.now() - 3_600_000)
  await utimes(join(folder, foreign), before, before)
  await save(folder)
  t.deepEqual(await leftovers(folder), ['mine.99999999-abcdef01.tmp'])
})

test('what version 0.1 has left under its names goes by the same rule', async t => {
  const folder = await newFolder()
  const child = execFile(process.execPath, ['-e', ''])
  await once(child, 'exit')
  for (const name of ['a.safetensors', 'b.png', 'c.svg', 'D.PNG']) {
    await writeFile(join(folder, `${name}.${child.pid}-0123abcd.tmp`), 'half')
  }
  const others = [`notes.txt.${child.pid}-0123abcd.tmp`, `a.safetensors.${child.pid}-0123.tmp`, 'a.safetensors.tmp']
  for (const name of others) await writeFile(join(folder, name), 'not of this package')
  const writing = join(folder, `a.safetensors.${process.pid}-0123abcd.tmp`)
  const handle = await open(writing, 'wx')
  await save(folder)
  t.deepEqual((await leftovers(folder)).sort(), [basename(writing), ...others].sort())
  await handle.close()
  await rm(writing)
})

test('names as long as the system allows', async t => {
  const folder = await newFolder()
  const name = `${'n'.repeat(255 - '.safetensors'.length)}.safetensors`
  await save(folder, name)
  t.deepEqual(await readdir(folder), [name])
})

test('what is no file is not replaced by one, nor waited for', async t => {
  const folder = await newFolder()
  const pipe = join(folder, 'pipe')
  await promisify(execFile)('mkfifo', [pipe])
  const unwritable = { code: 'ERR_WRITE', message: /pipe can't be written: a device or a pipe has that name/ }
  await t.throwsAsync(saveSafetensors(pipe, { x }), unwritable)
  t.true((await lstat(pipe)).isFIFO())
  const learn = tinyLearner({ path: folder })
  for (const fname of ['pipe', '.', join('pipe', 'x.csv')]) {
    const error = await t.throwsAsync(learn.fit(1, { cbs: new CSVLogger(fname) }), { code: 'ERR_CALLBACK' })
    t.is(Reflect.get(Object(error?.cause), 'code'), 'ERR_WRITE', String(error))
  }
  const logger = new CSVLogger('pipe')
  learn.addCb(logger)
  await t.throwsAsync(logger.readLog(), { code: 'ERR_WRITE' })
})

/** What files can do, of whatever file. */
type FileMethods = Record<'sync' | 'write' | 'writeFile' | 'appendFile', unknown>

/** Runs `body` while all writing to files fails as the system's would. */
async function failing(code: string, body: () => Promise<void>): Promise<void> {
  const handle = await open(import.meta.dirname)
  const methods: FileMethods = Object.getPrototypeOf(handle)
  await handle.close()
  const names = ['sync', 'write', 'writeFile', 'appendFile'] as const
  const originals = names.map(name => methods[name])
  for (const name of names) {
    methods[name] = async () => {
      throw Object.assign(new Error(`${code}: no, ${name}`), { code, syscall: name })
    }
  }
  try {
    await body()
  } finally {
    for (const [i, name] of names.entries()) methods[name] = originals[i]
  }
}

test.serial('a full disk and a read-only one: every writer says which file, and why', async t => {
  const path = await newFolder()
  const learn = tinyLearner({ path })
  await learn.fit(1)
  const writers: [RegExp, () => Promise<unknown>][] = [
    [/x\.safetensors/, () => save(path)],
    [/models.stage\.safetensors/, () => learn.save('stage')],
    [/preds-000000\.safetensors/, () => learn.getPreds({ savePreds: join(path, 'preds') })],
    [
      /chart\.svg/,
      () => saveFigure(join(path, 'chart.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>', { inline: false }),
    ],
    [/history\.csv/, () => learn.fit(1, { cbs: new CSVLogger() })],
    [/model\.safetensors/, () => learn.fit(1, { cbs: new SaveModel({ atEnd: true }) })],
  ]
  for (const [code, reason] of [
    ['ENOSPC', 'the disk is full'],
    ['EROFS', 'the file system is read-only'],
  ]) {
    await failing(code, async () => {
      for (const [file, write] of writers) {
        const error = await t.throwsAsync(write())
        const own = Reflect.get(Object(error), 'code') === 'ERR_CALLBACK' ? error?.cause : error
        t.is(Reflect.get(Object(own), 'code'), 'ERR_WRITE', String(error))
        t.regex(String(error), file)
        t.true(String(error).includes(`can't be written: ${reason} (${code})`), String(error))
      }
    })
  }
  t.deepEqual(await leftovers(path), [])
  await t.notThrowsAsync(learn.fit(1, { cbs: new CSVLogger() }), 'the Learner is usable')
})

test('paths that lead nowhere, and arguments that are none', async t => {
  const path = await newFolder()
  await writeFile(join(path, 'file'), '')
  await t.throwsAsync(saveSafetensors(join(path, 'file', 'x'), { x }), {
    code: 'ERR_WRITE',
    message: /file.x can't be/,
  })
  await t.throwsAsync(saveSafetensors(path, { x }), { code: 'ERR_WRITE', message: /a folder has that name/ })
  await t.throwsAsync(loadSafetensors(join(path, 'file', 'x')), {
    code: 'ERR_NOT_FOUND',
    message: /a part of its path is/,
  })
  await t.throwsAsync(loadSafetensors('x'.repeat(300)), { code: 'ERR_NOT_FOUND', message: /its name is too long/ })
  const learn = tinyLearner({ path })
  await t.throwsAsync(learn.load(join(path, 'x'.repeat(300))), {
    code: 'ERR_NOT_FOUND',
    message: /its name is too long/,
  })
  await writeFile(join(path, 'models'), 'in the way')
  await t.throwsAsync(learn.save('x'), { code: 'ERR_WRITE', message: /models.x\.safetensors can't be written/ })
  await t.throwsAsync(learn.load('x'), { code: 'ERR_NOT_FOUND' })
  const error = await t.throwsAsync(learn.fit(1, { cbs: new SaveModel() }), { code: 'ERR_CALLBACK' })
  t.is(Reflect.get(Object(error?.cause), 'code'), 'ERR_WRITE', String(error?.cause))
  const invalid = { code: 'ERR_INVALID_ARG' }
  for (const junk of [null, undefined, 7, '', 'a\0b', {}]) {
    await t.throwsAsync(saveSafetensors(junk as string, { x }), invalid)
    await t.throwsAsync(loadSafetensors(junk as string), invalid)
  }
  for (const junk of [null, undefined, 7, 'x', [x]]) await t.throwsAsync(saveSafetensors('x', junk as never), invalid)
  for (const junk of [null, 7, 'x', [], new Map()]) {
    await t.throwsAsync(saveSafetensors('x', { x }, { metadata: junk as never }), invalid, String(junk))
  }
  await t.throwsAsync(saveSafetensors('x', { x }, null as never), invalid)
  const complex = ops.aten.complex(tensor([1]), tensor([2]))
  await t.throwsAsync(saveSafetensors(join(path, 'c'), { complex }), {
    code: 'ERR_UNSUPPORTED',
    message: /'complex' is complex64: save its parts/,
  })
})

test.serial('a header of 40,000 names leaves the event loop its turns', async t => {
  const file = join(await newFolder(), 'many.safetensors')
  const empty = tensor([])
  await saveSafetensors(file, new Map(Array.from({ length: 40_000 }, (_, i) => [`layer${i}.weight`, empty])))
  let turns = 0
  let done = false
  const turn = () => {
    turns++
    if (!done) setImmediate(turn)
  }
  setImmediate(turn)
  const before = turns
  t.is((await loadSafetensors(file)).size, 40_000)
  done = true
  t.true(turns - before > 10, `${turns - before} turns`)
})
