// ImageDataLoaders: from folders of pictures to batches.
import { writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import {
  augTransforms,
  DataLoader,
  getImageFiles,
  hostRandom,
  ImageDataLoaders,
  type ImageDataLoadersOptions,
  imagenetStats,
  type Loader,
  manualSeed,
  mark,
  memoryStats,
  Normalize,
  openImage,
  RandomErasing,
  Resize,
} from 'torch-learner'
import { golden } from './helpers/golden.js'
import { classFolders, coded, picture, temporaryFolder, writeFiles } from './helpers/pictures.js'

async function twoClasses(t: ExecutionContext<unknown>): Promise<string> {
  const folder = await temporaryFolder(t)
  await classFolders(folder, { 'train/cat': 5, 'train/dog': 6, 'valid/cat': 2, 'valid/dog': 3 })
  return folder
}

const validBatches = ({ valid }: ImageDataLoaders): Loader => {
  if (!valid) throw new Error('no validation loader')
  return valid
}

/** The class names of all validation pictures, in order. */
async function validLabels(dls: ImageDataLoaders): Promise<(string | undefined)[]> {
  const labels: (string | undefined)[] = []
  for await (const [, y] of validBatches(dls))
    labels.push(...Array.from(await y.data(), Number).map(i => dls.vocab?.[i]))
  return labels
}

test('train and valid folders', async t => {
  const dls = await ImageDataLoaders.fromFolder(await twoClasses(t), { bs: 4, valBs: 3 })
  t.deepEqual(dls.vocab, ['cat', 'dog'])
  t.is(dls.c, 2)
  t.is(dls.nInp, 1)
  t.is(dls.lossFunc?.yInt, true)
  t.deepEqual(
    dls.loaders.map(({ n, length }) => [n, length]),
    [
      [11, 2],
      [5, 2],
    ],
  )
  const [x, y] = await dls.oneBatch()
  t.deepEqual([x.shape, x.dtype, y.shape, y.dtype], [[4, 3, 8, 8], 'float32', [4], 'int64'])
  t.deepEqual(await validLabels(dls), ['cat', 'cat', 'dog', 'dog', 'dog'])
})

test('pixels: each picture in its place, 0 to 1, then normalised', async t => {
  const folder = await twoClasses(t)
  const files = await getImageFiles(join(folder, 'valid'))
  let worst = 0
  for (const batchTfms of [[], [Normalize.fromStats(imagenetStats)]]) {
    const dls = await ImageDataLoaders.fromFolder(folder, { bs: 4, valBs: 5, batchTfms })
    const [mean, std] =
      batchTfms.length > 0
        ? imagenetStats
        : [
            [0, 0, 0],
            [1, 1, 1],
          ]
    for await (const [x] of validBatches(dls)) {
      const actual = Array.from(await x.contiguous().data(), Number)
      for (const [i, file] of files.entries()) {
        const { data } = await openImage(file)
        for (let at = 0; at < 192; at++) {
          const [channel, pixel] = [Math.floor(at / 64), at % 64]
          const expected = (data[pixel * 3 + channel] / 255 - mean[channel]) / std[channel]
          worst = Math.max(worst, Math.abs(actual[i * 192 + at] - expected))
        }
      }
    }
  }
  t.true(worst < 1e-5, `off by ${worst}`)
})

test('a random share for validation, as the reference splits', async t => {
  const recorded = golden<{
    sorted_names: string[]
    n_train: number
    n_valid: number
    valid_bs: number
    valid_labels: string[]
    vocab: string[]
  }>('image_dls')
  const folder = await temporaryFolder(t)
  const png = await picture(4, 4).png().toBuffer()
  await writeFiles(folder, Object.fromEntries(recorded.sorted_names.map(name => [name, png])))
  const files = await getImageFiles(folder)
  t.deepEqual(
    files.map(file => basename(file)),
    recorded.sorted_names,
  )
  const { n_train, n_valid, valid_bs: bs } = recorded
  const validPct = (n_valid + 0.5) / (n_train + n_valid) // rounded down, it is n_valid files
  const dls = await ImageDataLoaders.fromNameRe(folder, files, /^(.*)_\d+.png$/, { validPct, seed: 42, bs })
  t.deepEqual(dls.vocab, recorded.vocab)
  t.deepEqual(await validLabels(dls), recorded.valid_labels)
})

test('class folders without a split', async t => {
  const folder = await temporaryFolder(t)
  await classFolders(folder, { a: 10, b: 10 })
  const dls = await ImageDataLoaders.fromFolder(folder, { validPct: 0.25, seed: 1, bs: 5 })
  t.deepEqual(
    dls.loaders.map(({ n }) => n),
    [15, 5],
  )
})

test.serial('a seed gives the same batches again, random crops included', async t => {
  const folder = await temporaryFolder(t)
  for (let i = 0; i < 12; i++)
    await writeFiles(folder, {
      [`${i % 2}/${i}.png`]: await picture(12, 8, 3, 3 * i)
        .png()
        .toBuffer(),
    })
  const first = async (seed?: number) => {
    const dls = await ImageDataLoaders.fromFolder(folder, {
      validPct: 0.2,
      seed: seed ?? 1,
      bs: 4,
      itemTfms: new Resize(6),
    })
    return [...(await (await dls.oneBatch())[0].contiguous().data())]
  }
  t.deepEqual(await first(3), await first(3))
  const unseeded = async () => {
    manualSeed(9)
    const files = await getImageFiles(folder)
    const dls = await ImageDataLoaders.fromPathFunc(folder, files, file => String(file.length % 2), {
      bs: 4,
      itemTfms: new Resize(6),
    })
    return [...(await (await dls.oneBatch())[0].contiguous().data())]
  }
  t.deepEqual(await unseeded(), await unseeded())
})

test('however many workers: the same batch', async t => {
  const folder = await temporaryFolder(t)
  await classFolders(folder, { 'train/a': 20, 'train/b': 20, 'valid/a': 20, 'valid/b': 20 })
  const batches = [1, 3, 16].map(async numWorkers => {
    const dls = await ImageDataLoaders.fromFolder(folder, { bs: 37, numWorkers })
    for await (const [x] of validBatches(dls)) return [...(await x.contiguous().data())]
    return []
  })
  const [one, ...others] = await Promise.all(batches)
  for (const other of others) t.deepEqual(other, one)
})

test.serial('nothing stays behind', async t => {
  const dls = await ImageDataLoaders.fromFolder(await twoClasses(t), {
    bs: 2,
    batchTfms: [Normalize.fromStats(imagenetStats)],
  })
  const round = async () => {
    for await (const batch of dls.train) for (const tensor of batch) tensor.dispose()
    for await (const batch of dls.train) {
      for (const tensor of batch) tensor.dispose()
      break
    }
    await mark()
  }
  await round()
  const before = memoryStats().tensors
  for (let i = 0; i < 10; i++) await round()
  t.true(memoryStats().tensors <= before) // less: other tests' leftovers have been collected
})

test.serial('the event loop goes on while pictures are decoded', async t => {
  const folder = await temporaryFolder(t)
  const photo = await picture(1600, 1200).jpeg().toBuffer()
  const names = Array.from({ length: 64 }, (_, i) => `${i % 2}/${i}.jpg`)
  await writeFiles(folder, Object.fromEntries(names.map(name => [name, photo])))
  const dls = await ImageDataLoaders.fromFolder(folder, { validPct: 0.5, bs: 16, itemTfms: new Resize(224) })
  await dls.oneBatch()
  let turns = 0
  const timer = setInterval(() => turns++, 5)
  for await (const batch of dls.train) for (const tensor of batch) tensor.dispose()
  clearInterval(timer)
  // decoding takes 200 ms or more; were it done on this thread, there would be a turn or two for each of the two batches
  t.true(turns >= 8, `${turns} turns`)
})

test('bad folders', async t => {
  const folder = await temporaryFolder(t)
  const open = (options: ImageDataLoadersOptions = {}, sub = '') =>
    ImageDataLoaders.fromFolder(join(folder, sub), options)
  await coded(t, () => open({}, 'none'), 'ERR_NOT_FOUND', /^There is no folder .*none$/)
  await coded(
    t,
    () => open(),
    'ERR_NOT_FOUND',
    /^There is no folder .*train: put pictures into train and valid .* validPct: 0.2$/,
  )
  await coded(t, () => open({ validPct: 0.2 }), 'ERR_NO_DATA', /^There are no pictures in .+$/)
  await classFolders(folder, { 'train/cat': 3, 'valid/cat': 1 })
  await coded(
    t,
    () => open(),
    'ERR_NO_DATA',
    /^All 3 training pictures of .* have one label, "cat": .* at least two are needed/,
  )
  await classFolders(folder, { 'train/dog': 1 })
  await coded(
    t,
    () => open(),
    'ERR_NO_DATA',
    /^A batch of 64 is larger than the whole set of 4 samples: choose bs of at most 4$/,
  )
  await classFolders(folder, { 'valid/emu': 1 })
  await coded(
    t,
    () => open({ bs: 2 }),
    'ERR_INVALID_ARG',
    /^Label "emu" of .*000.png was not included in the training dataset, whose labels are \["cat", "dog"\]\. Give all classes as vocab/,
  )
  await writeFiles(folder, { 'void/train/x.txt': '', 'void/valid/x.txt': '' })
  await coded(t, () => open({}, 'void'), 'ERR_NO_DATA', /^There are no pictures in .*train$/)
  await coded(
    t,
    () => open({ validPct: 0.001 }, 'train'),
    'ERR_NO_DATA',
    /^A share of 0.001 of 4 pictures leaves none for validation$/,
  )
})

test('bad pictures among good ones: named, in their turn', async t => {
  const folder = await twoClasses(t)
  const bad = join(folder, 'valid/dog/001.png')
  await writeFile(bad, 'no picture')
  const dls = await ImageDataLoaders.fromFolder(folder, { bs: 4 })
  await coded(
    t,
    () => validLabels(dls),
    'ERR_DECODE',
    /^Cannot read the picture .*valid\/dog\/001\.png: it isn't a picture in a format known here$/,
  )
  await writeFile(bad, await picture(9, 8).png().toBuffer())
  await coded(
    t,
    () => validLabels(dls),
    'ERR_DECODE',
    /001\.png: it is 9 x 8 pixels where 8 x 8 are expected\. Give all pictures one size with itemTfms/,
  )
  await writeFile(bad, await picture(9, 8).webp().toBuffer())
  await coded(t, () => validLabels(dls), 'ERR_DECODE', /it is 9 x 8 pixels where 8 x 8 are expected/)
  const small = await ImageDataLoaders.fromFolder(folder, { bs: 4, maxPixels: 70, itemTfms: new Resize(8) })
  await coded(t, () => validLabels(small), 'ERR_DECODE', /72 pixels, more than the 70 allowed|pixel limit/)
})

test('bad options', async t => {
  const folder = await twoClasses(t)
  const open = (options: unknown) => () =>
    Reflect.apply(ImageDataLoaders.fromFolder, ImageDataLoaders, [folder, options])
  const expect = (options: unknown, message: RegExp) => coded(t, open(options), 'ERR_INVALID_ARG', message)
  await expect({ bs: 0 }, /a whole number from 1 for ImageDataLoaders.fromFolder's bs but received 0/)
  await expect({ batchSize: 4 }, /only validPct, .*, train, valid for .* but received "batchSize"/)
  await expect(
    { validPct: 1 },
    /a number above 0 and below 1 for ImageDataLoaders.fromFolder's validPct but received 1/,
  )
  await expect({ itemTfms: 32 }, /an ItemTransform such as Resize, or an array of them .* but received 32/)
  await expect({ batchTfms: [Normalize] }, /a BatchTransform for ImageDataLoaders.fromFolder's batchTfms.0/)
  await expect(5, /ImageDataLoaders.fromFolder's options/)
  await coded(
    t,
    () => Reflect.apply(ImageDataLoaders.fromFolder, ImageDataLoaders, [5]),
    'ERR_INVALID_ARG',
    /a folder's path for path but received 5/,
  )
  await coded(
    t,
    () => Reflect.apply(ImageDataLoaders.fromPathFunc, ImageDataLoaders, ['', [5], String]),
    'ERR_INVALID_ARG',
    /an array of paths for files/,
  )
  t.true((await ImageDataLoaders.fromFolder(folder, { bs: 2 })).train instanceof DataLoader)
})

test.serial('a seed fixes what batch transforms draw, too, and libtorch draws nothing', async t => {
  const folder = await temporaryFolder(t)
  await classFolders(folder, { 'train/a': 6, 'train/b': 6, 'valid/a': 1, 'valid/b': 1 })
  const batchTfms = [
    ...augTransforms({ minScale: 0.5, size: 6 }),
    Normalize.fromStats(imagenetStats),
    new RandomErasing({ p: 1 }),
  ]
  const passes = async (options: ImageDataLoadersOptions) => {
    const { train } = await ImageDataLoaders.fromFolder(folder, {
      bs: 4,
      itemTfms: new Resize(8),
      batchTfms,
      ...options,
    })
    const seen: number[][] = []
    for (let pass = 0; pass < 2; pass++) for await (const [x] of train) seen.push(Array.from(await x.data(), Number))
    return seen
  }
  manualSeed(1)
  const expected = hostRandom.permutation(5)
  manualSeed(1)
  const first = await passes({ seed: 7 })
  t.deepEqual(hostRandom.permutation(5), expected)
  t.deepEqual(await passes({ seed: 7, prefetch: 0 }), first)
  t.notDeepEqual(await passes({ seed: 8 }), first)
  t.is(new Set(first.map(String)).size, 6, 'every batch of every pass has draws of its own')
})
