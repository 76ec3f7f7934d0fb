// Data of hundreds of thousands of rows: others have their turn while they are split and encoded, and the draws stay the same.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import {
  DataLoader,
  GrandparentSplitter,
  ImageDataLoaders,
  type ImageDataLoadersOptions,
  type Label,
  MultiCategoryBlock,
  manualSeed,
  RandomSplitter,
  RegressionBlock,
  Resize,
} from 'torch-learner'
import { temporaryFolder } from './helpers/pictures.js'
import { stretches } from './helpers/turns.js'

const N = 200_000
const options: ImageDataLoadersOptions = { bs: 64, seed: 3, itemTfms: new Resize(8) }
const files = Array.from({ length: N }, (_, i) => `${i % 9 ? 'train' : 'valid'}/${i % 5}/${i}.png`)
const classes = files.map((_, i) => `class ${i % 100}`)

/**
 * The longest stretch is a small part of the whole: done in a few pieces it would be a fifth and more. The whole takes half a second
 * and more on any machine, so that a pause of the garbage collector doesn't count for much.
 */
async function inPieces<T>(t: ExecutionContext, body: () => Promise<T>): Promise<T> {
  const { result, longest, total } = await stretches(body)
  t.log(`${Math.round(longest)} of ${Math.round(total)} ms`)
  t.true(longest < Math.max(total / 5, 60), `${longest} of ${total} ms`)
  return result
}

const LISTS: Record<string, [labels: readonly Label[], options: ImageDataLoadersOptions]> = {
  'a class each': [classes, {}],
  'a class each, classes given': [classes, { vocab: [...new Set(classes)] }],
  'several classes': [files.map((_, i) => [`a${i % 100}`, `b${i % 7}`]), { yBlock: MultiCategoryBlock }],
  numbers: [files.map((_, i) => [i / 7, i / 9]), { yBlock: RegressionBlock }],
  'weights by a function': [classes, { weights: (_, label) => String(label).length }],
  'a splitter': [classes, { splitter: GrandparentSplitter() }],
}

for (const [what, [labels, more]] of Object.entries(LISTS)) {
  test.serial(`fromLists, ${what}: in small pieces`, async t => {
    const dls = await inPieces(t, () => ImageDataLoaders.fromLists('.', files, labels, { ...options, ...more }))
    t.is((dls.train.n ?? 0) + (dls.valid?.n ?? 0), N)
  })
}

test.serial('fromCsv and fromPathFunc: in small pieces', async t => {
  const folder = await temporaryFolder(t)
  await writeFile(
    join(folder, 'labels.csv'),
    `name,label\n${files.map((file, i) => `${file},${classes[i]}\n`).join('')}`,
  )
  const table = await inPieces(t, () => ImageDataLoaders.fromCsv(folder, options))
  t.is((table.train.n ?? 0) + (table.valid?.n ?? 0), N)
  const label = (file: string) => file.split('/')[1]
  const made = await inPieces(t, () => ImageDataLoaders.fromPathFunc('.', files, label, options))
  t.deepEqual(made.vocab, ['0', '1', '2', '3', '4'])
})

test.serial('the plan of a pass, by weights and for batches of one: in small pieces', async t => {
  const samples = Array.from({ length: N }, (_, i) => ({ x: i, y: i % 7 }))
  for (const more of [{ weights: 'balanced', seed: 1 }, { weights: 'balanced' }, { shuffle: true, seed: 1 }] as const) {
    for (const replacement of 'weights' in more ? [true, false] : [undefined]) {
      const loader = new DataLoader(samples, { bs: 1, prefetch: 0, replacement, ...more })
      await inPieces(t, async () => {
        for (const tensor of await loader.oneBatch()) tensor.dispose()
      })
    }
  }
})

test.serial('the division is the one that the splitter gives', async t => {
  const few = files.slice(0, 20_000)
  const divided = async (seed?: number) => {
    manualSeed(5)
    const dls = await ImageDataLoaders.fromLists('.', few, classes.slice(0, 20_000), { ...options, seed })
    const [train, valid] = [dls.train, dls.valid].map(loader => {
      if (!(loader instanceof DataLoader) || !('files' in loader.dataset)) throw new Error('a loader of pictures')
      return loader.dataset.files
    })
    return [train, valid]
  }
  for (const seed of [3, undefined]) {
    const made = await divided(seed)
    manualSeed(5)
    const parts = RandomSplitter(0.2, { seed })(few)
    t.deepEqual(
      made,
      parts.map(part => Array.from(part, i => few[i])),
    )
  }
})

test.serial('what is changed after the call makes no difference', async t => {
  const [some, labels] = [files.slice(0, 50_000), classes.slice(0, 50_000)]
  const pending = ImageDataLoaders.fromLists('.', some, labels, options)
  some.fill('')
  labels.fill('')
  const dls = await pending
  t.is(dls.c, 100)
})
