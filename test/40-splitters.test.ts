// Splits, labels and vocabularies, as the reference made them.
import { mkdir, symlink } from 'node:fs/promises'
import { join, relative } from 'node:path'
import test from 'ava'
import {
  GrandparentSplitter,
  getImageFiles,
  hostRandom,
  manualSeed,
  parentLabel,
  RandomSplitter,
  RegexLabeller,
  Vocab,
} from 'torch-learner'
import { Mt19937 } from '../dist/data/loader/random.js'
import { golden } from './helpers/golden.js'
import { coded, temporaryFolder, writeFiles } from './helpers/pictures.js'

interface Recording {
  random_splitter: { n: number; valid_pct: number; seed: number; train: number[]; valid: number[] }[]
  vocab: { items: (string | number)[]; vocab: (string | number)[] }[]
  regex: { pat: string; s: string; out?: string }[]
  parent_label: { p: string; out: string }[]
  grandparent: { items: string[]; train: number[]; valid: number[] }
}
const recorded = golden<Recording>('splitters_vocab')

test('RandomSplitter: PyTorch numbers for a seed, its generator untouched', t => {
  for (const { n, valid_pct, seed, train, valid } of recorded.random_splitter) {
    manualSeed(5)
    const expected = hostRandom.permutation(4)
    manualSeed(5)
    const parts = RandomSplitter(valid_pct, { seed })(Array.from({ length: n }))
    t.deepEqual(
      parts.map(part => [...part]),
      [train, valid],
    )
    t.deepEqual(hostRandom.permutation(4), expected)
  }
})

test('RandomSplitter: without a seed, by libtorch', t => {
  manualSeed(42)
  const [train, valid] = RandomSplitter(0.3)(Array.from({ length: 10 }))
  t.deepEqual([...valid, ...train], [...new Mt19937(42).permutation(10)])
})

test('Mt19937: the permutations of libtorch, long ones too', t => {
  for (const [seed, n] of [
    [0, 1],
    [7, 1000],
    [2 ** 32 + 3, 70_000],
  ]) {
    manualSeed(seed)
    t.deepEqual(new Mt19937(seed).permutation(n), hostRandom.permutation(n))
  }
})

test('RandomSplitter: wrong arguments', async t => {
  await coded(
    t,
    () => RandomSplitter(1.5),
    'ERR_INVALID_ARG',
    /Expected a number from 0 to 1 for validPct but received 1.5/,
  )
  await coded(t, () => RandomSplitter(Number.NaN), 'ERR_INVALID_ARG', /validPct/)
  await coded(t, () => RandomSplitter(0.5, { seed: 1.5 }), 'ERR_INVALID_ARG', /whole number for seed/)
})

test('Vocab: the order of the reference', t => {
  for (const { items, vocab } of recorded.vocab.filter(({ items }) => typeof items[0] === 'string')) {
    const made = new Vocab(items.map(String))
    t.deepEqual(made.items, vocab.map(String))
    made.items.forEach((item, i) => {
      t.is(made.encode(item), i)
    })
  }
})

test('Vocab: by code points, and unknown labels', async t => {
  t.deepEqual(new Vocab(['\u{1f600}', '\uffee', 'a']).items, ['a', '\uffee', '\u{1f600}'])
  await coded(
    t,
    () => new Vocab(['a', 'b']).encode('x'),
    'ERR_INVALID_ARG',
    /Label "x" was not included in the training dataset/,
  )
})

test('labellers', async t => {
  for (const { p, out } of recorded.parent_label) t.is(parentLabel(p), out)
  for (const { pat, s, out } of recorded.regex) {
    if (out !== undefined) t.is(RegexLabeller(pat)(s), out)
    else {
      const error = t.throws(() => RegexLabeller(pat)(s), { code: 'ERR_INVALID_ARG' })
      t.true(error?.message.startsWith(`Found no label in "${s}" by /${pat}/`), error?.message)
    }
  }
  const everywhere = RegexLabeller(/(\d+)/g)
  t.is(everywhere('a12'), '12')
  t.is(everywhere('a12'), '12', 'a global expression has no memory')
})

test('GrandparentSplitter', t => {
  const { items, train, valid } = recorded.grandparent
  t.deepEqual(
    GrandparentSplitter()(items).map(part => [...part]),
    [train, valid],
  )
})

test('getImageFiles: sorted, nested, only pictures, nothing hidden', async t => {
  const folder = await temporaryFolder(t)
  const names = ['b/2.png', 'b/10.PNG', 'a.jpeg', 'Z.webp', 'c/d/e.gif']
  await writeFiles(
    folder,
    Object.fromEntries([...names, '.hidden.png', '.git/x.png', 'notes.txt', 'b/png'].map(n => [n, 'x'])),
  )
  const found = async (options = {}) => (await getImageFiles(folder, options)).map(file => relative(folder, file))
  t.deepEqual(await found(), ['Z.webp', 'a.jpeg', 'b/10.PNG', 'b/2.png', 'c/d/e.gif'])
  t.deepEqual(await found({ recurse: false }), ['Z.webp', 'a.jpeg'])
  t.deepEqual(await found({ folders: ['b'] }), ['b/10.PNG', 'b/2.png'])
  t.deepEqual(await found({ folders: ['.', 'c'] }), ['Z.webp', 'a.jpeg', 'c/d/e.gif'])
})

test('getImageFiles: follows links, but not in circles', async t => {
  const folder = await temporaryFolder(t)
  await writeFiles(folder, { 'real/1.png': 'x' })
  await mkdir(join(folder, 'sub'))
  await symlink(join(folder, 'real'), join(folder, 'sub', 'link'))
  await symlink(folder, join(folder, 'sub', 'circle'))
  await symlink(join(folder, 'nowhere'), join(folder, 'sub', 'broken.png'))
  t.deepEqual(
    (await getImageFiles(folder)).map(file => relative(folder, file)),
    ['real/1.png', 'sub/link/1.png'],
  )
})

test('getImageFiles: no such folder', async t => {
  const folder = await temporaryFolder(t)
  await coded(t, () => getImageFiles(join(folder, 'none')), 'ERR_NOT_FOUND', /none: there is no such folder$/)
  await writeFiles(folder, { 'a.png': 'x' })
  await coded(t, () => getImageFiles(join(folder, 'a.png')), 'ERR_NOT_FOUND', /a\.png: it is a file, not a folder$/)
  await coded(t, () => getImageFiles(''), 'ERR_INVALID_ARG', /Expected a folder's path for path/)
})
