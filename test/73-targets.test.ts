// What pictures show: one class, several, or numbers.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import {
  accuracyMulti,
  BCEWithLogitsLossFlat,
  CategoryBlock,
  GrandparentSplitter,
  getImageFiles,
  ImageDataLoaders,
  type ImageDataLoadersOptions,
  type Label,
  Learner,
  MSELossFlat,
  MultiCategoryBlock,
  manualSeed,
  mse,
  nn,
  ProgressCallback,
  RegressionBlock,
  resnet18,
  type Tensor,
  Vocab,
  visionLearner,
} from 'torch-learner'
import { coded, picture, temporaryFolder, writeFiles } from './helpers/pictures.js'

async function files(t: ExecutionContext, count = 6): Promise<{ folder: string; names: string[] }> {
  const folder = await temporaryFolder(t)
  const names = Array.from({ length: count }, (_, i) => `${i}.png`)
  for (const [i, name] of names.entries())
    await writeFiles(folder, {
      [name]: await picture(8, 8, 3, 9 * i)
        .png()
        .toBuffer(),
    })
  return { folder, names }
}

async function lists(t: ExecutionContext, labels: readonly Label[], options: ImageDataLoadersOptions = {}) {
  const { folder, names } = await files(t, labels.length)
  return await ImageDataLoaders.fromLists(folder, names, labels, {
    bs: 2,
    validPct: 0.34,
    seed: 1,
    shuffle: false,
    ...options,
  })
}

async function targets(loader: AsyncIterable<readonly Tensor[]> | Iterable<readonly Tensor[]>): Promise<unknown[]> {
  const rows: unknown[] = []
  for await (const [, y] of loader) rows.push(...((await y.toArray()) as unknown[]))
  return rows
}

const both = async ({ train, valid }: ImageDataLoaders) => [...(await targets(train)), ...(await targets(valid ?? []))]

const TAGS = [['cat', 'grass'], ['dog'], [], ['cat'], ['dog', 'grass'], ['grass']]

test('several labels: flags of all classes, and the loss that suits', async t => {
  const dls = await lists(t, TAGS)
  t.deepEqual(dls.vocab, ['cat', 'dog', 'grass'])
  t.is(dls.c, 3)
  t.true(dls.lossFunc instanceof BCEWithLogitsLossFlat)
  const [x, y] = await dls.oneBatch()
  t.deepEqual([x.shape, y.shape, y.dtype], [[2, 3, 8, 8], [2, 3], 'float32'])
  const flags = TAGS.map(tags => ['cat', 'dog', 'grass'].map(name => (tags.includes(name) ? 1 : 0)).join())
  t.deepEqual((await both(dls)).map(String).sort(), flags.sort())
  const one = await lists(t, [['a'], [], ['a'], [], ['a'], []])
  t.deepEqual([one.c, (await one.oneBatch())[1].shape], [1, [2, 1]])
})

test.serial('several labels: train, predict, show', async t => {
  manualSeed(1)
  const dls = await lists(t, TAGS)
  const learn = visionLearner(dls, resnet18, { pretrained: false, metrics: [accuracyMulti], linFtrs: [8] })
  learn.removeCb(ProgressCallback)
  learn.logger = () => undefined
  await learn.fit(1)
  t.true(learn.lossFunc instanceof BCEWithLogitsLossFlat)
  const [, loss, accuracy] = (learn.recorder?.values.at(-1) ?? []).map(Number)
  t.true(Number.isFinite(loss) && accuracy >= 0 && accuracy <= 1)
  const folder = dls.path
  const { label, probs, decoded } = await learn.predict(join(folder, '0.png'))
  const sure = (await probs.toArray()) as number[]
  t.deepEqual(
    label,
    dls.vocab?.filter((_, i) => sure[i] > 0.5),
  )
  t.deepEqual([probs.shape, decoded.dtype], [[3], 'bool'])
  t.is(await dls.showBatch({ file: join(folder, 'batch.svg') }), join(folder, 'batch.svg'))
  t.is(await learn.showResults({ file: join(folder, 'results.svg') }), join(folder, 'results.svg'))
})

test.serial('numbers: one or several, the loss is their squared error', async t => {
  const single = await lists(t, [0.5, 1, 2, 3, 4, 5])
  t.deepEqual([single.c, single.vocab], [1, undefined])
  t.true(single.lossFunc instanceof MSELossFlat)
  t.deepEqual((await single.oneBatch())[1].shape, [2])
  t.deepEqual((await both(single)).map(Number).sort(), [0.5, 1, 2, 3, 4, 5])
  const points = await lists(t, [
    [0, 1],
    [2, 3],
    [4, 5],
    [6, 7],
    [8, 9],
    [10, 11],
  ])
  t.deepEqual([points.c, (await points.oneBatch())[1].shape], [2, [2, 2]])
  const model = new nn.Sequential(new nn.Flatten(), new nn.Linear(192, 2))
  const learn = new Learner(points, model, { metrics: [mse] }).removeCb(ProgressCallback)
  learn.logger = () => undefined
  await learn.fit(1)
  const { label } = await learn.predict(join(points.path, '0.png'))
  t.is((label as number[]).length, 2)
  const file = join(points.path, 'results.svg')
  t.is(await learn.showResults({ file }), file)
  const column = await lists(t, [1, 2, 3, 4, 5, 6], { yBlock: new RegressionBlock({ nOut: 1 }) })
  t.deepEqual([column.c, (await column.oneBatch())[1].shape], [1, [2]])
})

test('classes: given ones keep their order, numbers are sorted as numbers', async t => {
  const labels = ['s', 'l', 's', 'm', 'l', 's']
  const vocab = ['s', 'm', 'l', 'xl']
  for (const options of [{ vocab }, { yBlock: new CategoryBlock({ vocab }) }]) {
    const dls = await lists(t, labels, options)
    t.deepEqual([dls.vocab, dls.c], [vocab, 4])
    t.deepEqual((await both(dls)).map(Number).sort(), [0, 0, 0, 1, 2, 2])
  }
  const digits = await lists(t, [9, 10, 9, 10, 10, 9], { yBlock: CategoryBlock })
  t.deepEqual(digits.vocab, ['9', '10'])
  t.deepEqual(new Vocab(['b', 'a', 'b'], { sort: false }).items, ['b', 'a'])
})

test('labels by name: a function, and of several classes', async t => {
  const { folder, names } = await files(t)
  const paths = names.map(name => join(folder, name))
  const dls = await ImageDataLoaders.fromNameFunc(folder, paths, name => (name < '3' ? 'low' : 'high'), {
    bs: 2,
    seed: 1,
  })
  t.deepEqual(dls.vocab, ['high', 'low'])
  const tags = (path: string) => TAGS[Number(path.at(-5))]
  const several = await ImageDataLoaders.fromPathFunc(folder, paths, tags, {
    bs: 2,
    seed: 1,
    yBlock: MultiCategoryBlock,
  })
  t.deepEqual(several.vocab, ['cat', 'dog', 'grass'])
})

test('a table of several labels, of flags, of numbers', async t => {
  const { folder } = await files(t)
  const rows = TAGS.map((tags, i) => {
    const flags = ['cat', 'dog', 'grass'].map(name => Number(tags.includes(name)))
    return [i, tags.join(' '), ...flags, i / 4].join()
  })
  await writeFile(join(folder, 'labels.csv'), ['name,tags,cat,dog,grass,age', ...rows].join('\n'))
  const open = (options: Parameters<typeof ImageDataLoaders.fromCsv>[1]) =>
    ImageDataLoaders.fromCsv(folder, { suff: '.png', bs: 2, shuffle: false, seed: 1, validPct: 0.34, ...options })
  const tagged = await open({ labelDelim: ' ' })
  t.deepEqual(tagged.vocab, ['cat', 'dog', 'grass'])
  const vocab = ['cat', 'dog', 'grass']
  const flags = await open({ labelCol: vocab, yBlock: new MultiCategoryBlock({ vocab, encoded: true }) })
  t.deepEqual(await both(flags), await both(tagged))
  const ages = await open({ labelCol: 'age', yBlock: RegressionBlock })
  t.deepEqual((await both(ages)).map(Number).sort(), [0, 0.25, 0.5, 0.75, 1, 1.25])
  const pairs = await open({ labelCol: ['age', 2], yBlock: RegressionBlock })
  t.is(pairs.c, 2)
  await writeFile(join(folder, 'labels.csv'), ['name,age', '0,1', '1,', '2,3', '3,4'].join('\n'))
  await coded(t, () => open({ yBlock: RegressionBlock }), 'ERR_FILE_FORMAT', /labels\.csv has no label in line 3$/)
})

test('labels that do not fit', async t => {
  const refused = (labels: unknown[], options: object, message: RegExp) =>
    coded(t, () => lists(t, labels as Label[], options), 'ERR_INVALID_ARG', message)
  await refused([1, 2, 1, 2, 1, 2], {}, /whole numbers, such as 1, may be classes or values: say which with yBlock/)
  await refused(
    TAGS,
    { yBlock: CategoryBlock },
    /a class's name for the label of .*\.png but received .*Several labels a sample need yBlock: MultiCategoryBlock/,
  )
  await refused(
    ['a', 'b', 'a', 'b', 'a', 'b'],
    { yBlock: MultiCategoryBlock },
    /an array of class names for the labels of .*\.png/,
  )
  await refused(
    [1.5, 'x', 2, 3, 4, 5],
    { yBlock: RegressionBlock },
    /a finite number for the label of .*\.png but received "x"/,
  )
  await refused([[1, 2], [1], [1, 2], [1, 2], [1, 2], [1, 2]], {}, /finite numbers? for the label of/)
  await refused(
    [undefined, 'a', 'b', 'a', 'b', 'a'],
    {},
    /a class's name for the label of .*\.png but received undefined/,
  )
  await refused(
    ['a', 'b', 'a', 'b', 'a', 'c'],
    { vocab: ['a', 'b'] },
    /Label "c" of .*5\.png was not included in the training dataset/,
  )
  await refused(
    ['a', 'b', 'a', 'b', 'a', 'b'],
    { vocab: ['a', 'b'], yBlock: CategoryBlock },
    /nothing together with yBlock/,
  )
  await refused(
    ['a', 'b', 'a', 'b', 'a', 'b'],
    { yBlock: 'category' },
    /CategoryBlock, MultiCategoryBlock, RegressionBlock or another/,
  )
  await refused(
    [
      [1, 0],
      [0, 2],
      [1, 1],
      [1, 1],
      [1, 1],
      [1, 1],
    ],
    { yBlock: new MultiCategoryBlock({ vocab: ['a', 'b'], encoded: true }) },
    /2 zeros and ones for the labels of/,
  )
  await coded(
    t,
    () => lists(t, [[], [], [], [], [], []], { yBlock: MultiCategoryBlock }),
    'ERR_NO_DATA',
    /None of the 4 training samples has a label/,
  )
  await coded(
    t,
    () => new MultiCategoryBlock({ encoded: true }),
    'ERR_INVALID_ARG',
    /names of the classes for MultiCategoryBlock's vocab/,
  )
  await coded(t, () => new CategoryBlock({ vocab: ['a', 'a'] }), 'ERR_INVALID_ARG', /an array of different class names/)
  await coded(
    t,
    () => new RegressionBlock({ nOut: 0 }),
    'ERR_INVALID_ARG',
    /a whole number from 1 for RegressionBlock's nOut/,
  )
  const { folder } = await files(t, 1)
  const named = (label: unknown) => () =>
    Reflect.apply(ImageDataLoaders.fromNameFunc, ImageDataLoaders, [folder, [], label])
  await coded(t, named('cat'), 'ERR_INVALID_ARG', /a function from a file's name to its label for label/)
  await coded(
    t,
    () => Reflect.apply(ImageDataLoaders.fromPathFunc, ImageDataLoaders, [folder, [], 5]),
    'ERR_INVALID_ARG',
    /a function from a path/,
  )
  t.is((await getImageFiles(folder)).length, 1)
})

test('testDl with labels: found by the path, or given', async t => {
  const { folder, names } = await files(t)
  const paths = names.map(name => join(folder, name))
  const options = { bs: 2, seed: 1 }
  const named = await ImageDataLoaders.fromNameFunc(folder, paths, name => (name < '3' ? 'low' : 'high'), options)
  t.deepEqual(await targets(named.testDl(paths.slice(2, 5), { withLabels: true })), [1, 0, 0])
  t.deepEqual(await targets(named.testDl(paths.slice(0, 2), { withLabels: ['high', 'low'] })), [0, 1])
  for await (const batch of named.testDl(paths.slice(0, 2))) t.is(batch.length, 1)
  const listed = await ImageDataLoaders.fromLists(
    folder,
    names,
    names.map(name => String(name < '3')),
    options,
  )
  await coded(
    t,
    () => listed.testDl(paths, { withLabels: true }),
    'ERR_STATE',
    /pass an array of labels instead of true/,
  )
  await coded(
    t,
    () => named.testDl(paths.slice(0, 1), { withLabels: ['top'] }),
    'ERR_INVALID_ARG',
    /Label "top" of .*0.png was not/,
  )
  const fewer = named.new({ bs: 1 })
  t.true(fewer instanceof ImageDataLoaders)
  t.deepEqual([fewer.vocab, fewer.train.length, fewer.badFiles], [named.vocab, 5, named.badFiles])
})

test('a splitter of your own', async t => {
  const { folder, names } = await files(t)
  const paths = names.map(name => join(folder, name))
  const open = (options: ImageDataLoadersOptions) =>
    ImageDataLoaders.fromNameFunc(folder, paths, name => String(Number(name[0]) % 2), { bs: 2, ...options })
  const byNumber = await open({
    splitter: paths => [[0, 1, 2, 3], paths.flatMap((path, i) => (/[45]\.png$/.test(path) ? [i] : []))],
  })
  t.deepEqual(await targets(byNumber.valid ?? []), [0, 1])
  await coded(
    t,
    () => open({ splitter: () => [[0, 1], [9]] }),
    'ERR_INVALID_ARG',
    /whole numbers below 6 for the splitter's indices but received 9/,
  )
  await coded(
    t,
    () => open({ splitter: () => [[0, 1], []] }),
    'ERR_NO_DATA',
    /The splitter of 6 pictures leaves none for validation/,
  )
  await coded(
    t,
    () => open({ splitter: () => [[0], [1]], validPct: 0.2 }),
    'ERR_INVALID_ARG',
    /nothing together with splitter for validPct/,
  )
  await writeFiles(folder, {
    'a/train/x/1.png': await picture(8, 8).png().toBuffer(),
    'a/train/y/1.png': await picture(8, 8).png().toBuffer(),
  })
  await writeFiles(folder, { 'a/valid/x/1.png': await picture(8, 8).png().toBuffer() })
  const nested = await ImageDataLoaders.fromFolder(join(folder, 'a'), { splitter: GrandparentSplitter(), bs: 1 })
  t.deepEqual(
    nested.loaders.map(({ n }) => n),
    [2, 1],
  )
  const misplaced = (options: object) => () =>
    Reflect.apply(ImageDataLoaders.fromFolder, ImageDataLoaders, [join(folder, 'a'), options])
  await coded(
    t,
    misplaced({ validPct: 0.5, train: 'train' }),
    'ERR_INVALID_ARG',
    /nothing together with validPct or splitter for train and valid/,
  )
  const unknown = () => open({ train: 'train' } as ImageDataLoadersOptions)
  await coded(t, unknown, 'ERR_INVALID_ARG', /but received "train"/)
  await coded(t, () => ImageDataLoaders.fromCsv(folder, { validCol: 1, validPct: 0.2 }), 'ERR_NOT_FOUND', /labels.csv/)
  await writeFiles(folder, { 'labels.csv': 'name,class,valid\n0.png,a,1\n1.png,b,0\n' })
  const both = () => ImageDataLoaders.fromCsv(folder, { validCol: 'valid', validPct: 0.2 })
  await coded(t, both, 'ERR_INVALID_ARG', /nothing together with validCol for validPct/)
})
