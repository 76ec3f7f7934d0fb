// Tables of pictures: classes as pandas and fastai have them, encodings, line ends, and what is no table.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import {
  type CsvTableOptions,
  ImageDataLoaders,
  type ImageDataLoadersOptions,
  MultiCategoryBlock,
  RegressionBlock,
  Resize,
} from 'torch-learner'
import { coded, picture, temporaryFolder } from './helpers/pictures.js'
import { zip } from './helpers/zip.js'

type Options = ImageDataLoadersOptions & CsvTableOptions

/** Loaders of this table, with all rows for training and for validation unless options say otherwise. */
async function open(t: ExecutionContext, table: string | Buffer, options: Options = {}) {
  const path = await temporaryFolder(t)
  await writeFile(join(path, 'labels.csv'), table)
  const splitter = (files: readonly string[]) => [files.map((_, i) => i), files.map((_, i) => i)] as const
  const split = options.validCol === undefined ? { splitter } : {}
  return await ImageDataLoaders.fromCsv(path, { itemTfms: new Resize(4), bs: 1, ...split, ...options })
}

const tableOf = (labels: readonly string[]) => `name,label\n${labels.map((label, i) => `${i}.png,${label}\n`).join('')}`

const recorded: { columns: { cells: string[]; dtype: string; vocab: string[]; missing: number[] }[] } = JSON.parse(
  readFileSync(new URL('fixtures/csv_labels.json', import.meta.url), 'utf8'),
)

for (const { cells, dtype, vocab, missing } of recorded.columns) {
  test(`classes of ${JSON.stringify(cells)}, which are ${dtype} in pandas`, async t => {
    if (missing.length > 0) {
      const line = new RegExp(`labels\\.csv has no label in line ${missing[0] + 2}`)
      await coded(t, () => open(t, tableOf(cells)), 'ERR_FILE_FORMAT', line)
      return
    }
    // Python writes 1.0 where JavaScript writes 1, and True where it writes true
    const names = dtype === 'float64' ? vocab.map(name => String(Number(name))) : vocab
    const expected = dtype === 'bool' ? names.map(name => name.toLowerCase()) : names
    t.deepEqual((await open(t, tableOf(cells))).vocab, expected)
  })
}

test('pictures of a numeric column have the targets of their classes', async t => {
  const path = await temporaryFolder(t)
  for (let i = 0; i < 4; i++) await writeFile(join(path, `00${i}.png`), await picture(4, 4).png().toBuffer())
  await writeFile(join(path, 'labels.csv'), 'id,label,valid\n000,10,0\n001,2,0\n002,02,1\n003,10.0,1\n')
  const dls = await ImageDataLoaders.fromCsv(path, { suff: '.png', validCol: 'valid', bs: 1, valBs: 2 })
  t.deepEqual(dls.vocab, ['2', '10'])
  // the names of the files stay as they are written
  for await (const [, y] of dls.valid ?? []) t.deepEqual(Array.from(await y.data(), Number), [0, 1])
})

test('labels given to functions have their kind', async t => {
  const seen: unknown[] = []
  const weights = (_file: string, label: unknown) => seen.push(label)
  await open(t, tableOf(['1', '10']), { weights })
  await open(t, tableOf(['1', 'x']), { weights })
  t.deepEqual(seen, [1, 10, '1', 'x'])
})

test('with a vocab labels are text as it is written', async t => {
  const dls = await open(t, tableOf(['01', 'NA', '1']), { vocab: ['1', '01', 'NA'] })
  t.deepEqual(dls.vocab, ['1', '01', 'NA'])
  const other = () => open(t, tableOf(['01', 'x']), { vocab: ['1', '01'] })
  await coded(t, other, 'ERR_INVALID_ARG', /Label "x" of .*1\.png was not included/)
  const blank = () => open(t, tableOf(['01', '']), { vocab: ['1', '01'] })
  await coded(t, blank, 'ERR_FILE_FORMAT', /has no label in line 3$/)
  const both = () => open(t, tableOf(['a', 'b']), { vocab: ['a', 'b'], yBlock: MultiCategoryBlock })
  await coded(t, both, 'ERR_INVALID_ARG', /nothing together with yBlock/)
})

test('a word for a missing value says how to make it a class', async t => {
  const namibia = () => open(t, tableOf(['DE', 'NA']))
  await coded(t, namibia, 'ERR_FILE_FORMAT', /no label in line 3: "NA" stands for a missing value.*name all classes/)
})

test('several labels: numbers in their order, blank cells are none, flags may be words', async t => {
  const columns = await open(t, 'name,a,b\n0.png,10,2\n1.png,1,\n', { labelCol: ['a', 'b'] })
  t.deepEqual(columns.vocab, ['1', '2', '10'])
  const mixed = await open(t, 'name,a,b\n0.png,10,x\n1.png,2,\n', { labelCol: ['a', 'b'] })
  t.deepEqual(mixed.vocab, ['10', '2', 'x'])
  const split = await open(t, 'name,tags\n0.png,10 2\n1.png,\n2.png,1\n', { labelDelim: ' ' })
  t.deepEqual(split.vocab, ['1', '10', '2'])
  const vocab = ['a', 'b']
  const yBlock = new MultiCategoryBlock({ vocab, encoded: true })
  const flags = await open(t, 'name,a,b\n0.png,True,False\n1.png,FALSE,true\n', { labelCol: vocab, yBlock })
  t.deepEqual(flags.vocab, vocab)
  const hole = () => open(t, 'name,a,b\n0.png,1,0\n1.png,1,\n', { labelCol: vocab, yBlock })
  await coded(t, hole, 'ERR_FILE_FORMAT', /has no label in line 3$/)
  const numbers = await open(t, 'name,a,b\n0.png,1,0.5\n1.png,1,2\n', { labelCol: vocab, yBlock: RegressionBlock })
  t.is(numbers.c, 2)
})

const TEXT = 'name,label\r\n0.png,thé\r\n1.png,"thè ""😀"""\r\n2.png,\uFFFD\r\n'
const CLASSES = ['thè "😀"', 'thé', '\uFFFD']
const utf16 = (text: string) => Buffer.from(text, 'utf16le')

for (const [name, text] of [
  ['CRLF', TEXT],
  ['LF', TEXT.replaceAll('\r', '')],
  ['CR', TEXT.replaceAll('\n', '')],
  ['blank lines', TEXT.replaceAll('\r\n', '\r\n\r\n \r\n')],
  ['no end of the last line', TEXT.trim()],
]) {
  test(`${name}, in UTF-8 and UTF-16`, async t => {
    const bom = `\uFEFF${text}`
    for (const bytes of [Buffer.from(text), Buffer.from(bom), utf16(bom), utf16(bom).swap16()]) {
      t.deepEqual((await open(t, bytes)).vocab, CLASSES)
    }
  })
}

test('a table of more than one slice: characters and quotes across its edges, lines that are counted', async t => {
  const rows = Array.from({ length: 30_000 }, (_, i) => `${i}.png,"é😀\r\n${i % 7}"\r`)
  const bytes = Buffer.from(`name,label\r${rows.join('')}`)
  t.true(bytes.length > 2 ** 19)
  const { vocab } = await open(t, bytes)
  t.deepEqual(
    vocab,
    Array.from({ length: 7 }, (_, i) => `é😀\r\n${i}`),
  )
  const last = Buffer.concat([bytes, Buffer.from('x.png,\r')])
  await coded(t, () => open(t, last), 'ERR_FILE_FORMAT', /no label in line 60002$/)
  const damaged = Buffer.concat([bytes, Buffer.from('x.png,caf\xe9\r', 'latin1')])
  await coded(t, () => open(t, damaged), 'ERR_FILE_FORMAT', /byte 0xE9 in line 60002, .*"x\.png,café"/)
})

const latin1 = Buffer.from('name,label\n0.png,thé\n1.png,thè\n', 'latin1')

for (const [name, bytes, message] of [
  [
    'Latin-1',
    latin1,
    /labels\.csv is not UTF-8: it has the byte 0xE9 in line 2, at byte 19 .*"0\.png,thé" is right.*iconv/,
  ],
  ['Latin-1 at the very end', latin1.subarray(0, 20), /is not UTF-8: it has the byte 0xE9 in line 2/],
  [
    'a cut character',
    Buffer.from('name,label\n0.png,😀').subarray(0, 20),
    /ends in the middle of a character, in line 2/,
  ],
  [
    'UTF-16 without a mark',
    utf16(tableOf(['a', 'b'])),
    /seems to be UTF-16 without a byte order mark: save it as UTF-8/,
  ],
  ['half UTF-16', utf16(`\uFEFF${tableOf(['a', 'b'])}`).subarray(0, 55), /is not whole UTF-16LE: .* in line 3/],
  ['UTF-32', Buffer.from('\uFEFF\0n\0a\0', 'utf16le'), /is text in UTF-32/],
  ['zero bytes', Buffer.from(`${tableOf(['a', 'b'])}\0\0\0`), /holds zero bytes|holds a zero in line 4/],
  ['zero bytes far behind', Buffer.from(`${tableOf(Array(100).fill('a'))}\0\0\0`), /holds a zero in line 102, at byte/],
  ['gzip', gzipSync(tableOf(['a', 'b'])), /is a file compressed by gzip: unpack it with gunzip/],
  ['Excel', zip({ 'xl/workbook.xml': '' }), /is a zip archive: Excel workbooks/],
  ['a web page', Buffer.from('\n<!DOCTYPE html><html>'), /is a web page \(HTML\)/],
  ['nothing', Buffer.alloc(0), /has no rows/],
  ['nothing but a head', Buffer.from('name,label\n'), /has no rows/],
  ['a field too many', Buffer.from('name,label\n0.png,a, b\n'), /has 3 fields in line 2, but 2 columns: .* quoted/],
  ['no name', Buffer.from('name,label\n0.png,a\n ,b\n'), /has no file's name in line 3/],
  ['an open quote', Buffer.from('name,label\n0.png,a\n1.png,"b\n'), /quote that isn't closed: .* line 3/],
] as const) {
  test(`no table of labels: ${name}`, async t => {
    await coded(t, () => open(t, bytes), name.startsWith('nothing') ? 'ERR_NO_DATA' : 'ERR_FILE_FORMAT', message)
  })
}

test('a column that says what is for validation, as pandas, spreadsheets and people write it', async t => {
  const sizes = async (yes: string, no: string) => {
    const dls = await open(t, `name,label,valid\n0,a,${yes}\n1,b,${no}\n2,a,${no}\n`, { validCol: 'valid' })
    return dls.loaders.map(({ n }) => n)
  }
  const pairs = ['1.0 0.0', '1 0', 'True False', 'TRUE ', 'yes no', 'valid train', '1e0 -0']
  for (const pair of pairs) {
    const [yes, no] = pair.split(' ')
    // the class a of validation is in training, too
    t.deepEqual(await sizes(yes, no), [2, 1], pair)
  }
  const unclear = () => sizes('valid', 'test')
  await coded(
    t,
    unclear,
    'ERR_FILE_FORMAT',
    /has "test" in line 3 of the column for validation: expected true or false/,
  )
})

test('paths in a table', async t => {
  const path = await temporaryFolder(t)
  await writeFile(join(path, 'labels.csv'), 'a/../x,a\n./y,b\n/z,a\n..,b\nw,b\n')
  const files: string[] = []
  await ImageDataLoaders.fromCsv(path, {
    header: false,
    folder: 'pics',
    suff: '.png',
    itemTfms: new Resize(4),
    bs: 1,
    shuffle: false,
    splitter: all => {
      files.push(...all)
      return [
        [0, 1],
        [0, 1],
      ]
    },
  })
  t.deepEqual(
    files,
    ['a/../x', './y', '/z', '..', 'w'].map(name => join(path, 'pics', `${name}.png`)),
  )
})

test('what is no file', async t => {
  const path = await temporaryFolder(t)
  const read = (csvFname: string) => () => ImageDataLoaders.fromCsv(path, { csvFname })
  await mkdir(join(path, 'folder.csv'))
  await coded(t, read('folder.csv'), 'ERR_NOT_FOUND', /folder\.csv: it is a folder, not a file/)
  await coded(t, read('none.csv'), 'ERR_NOT_FOUND', /none\.csv: there is no such file/)
  if (process.platform === 'win32') return
  execFileSync('mkfifo', [join(path, 'pipe.csv')])
  await coded(t, read('pipe.csv'), 'ERR_NOT_FOUND', /pipe\.csv: it is a FIFO, not a file/)
  await coded(t, () => ImageDataLoaders.fromCsv('/dev', { csvFname: 'null' }), 'ERR_NOT_FOUND', /it is a device/)
})

test('others have their turn while a large table is read', async t => {
  const rows = Array.from({ length: 200_000 }, (_, i) => `folder/picture_${i}.png,class_${i % 10}`)
  const { readCsv } = await import('../dist/data/source/csv.js')
  const path = await temporaryFolder(t)
  const text = `name,label\n${rows.join('\n')}`
  await writeFile(join(path, 'labels.csv'), text)
  let turns = 0
  let read = 0
  const timer = setInterval(() => turns++, 0)
  await readCsv(join(path, 'labels.csv'), ',', () => {
    read++
  })
  clearInterval(timer)
  t.is(read, rows.length + 1)
  // a turn at least between every other slice of 256 KiB
  t.true(turns >= text.length / 2 ** 19, `${turns} turns`)
})
