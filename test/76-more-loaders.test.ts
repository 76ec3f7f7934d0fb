// Pictures from lists and tables; bad files left out, and found beforehand.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { getImageFiles, ImageDataLoaders, type ImageDataLoadersOptions, verifyImages } from 'torch-learner'
import { classFolders, coded, picture, temporaryFolder, writeFiles } from './helpers/pictures.js'

async function animals(t: ExecutionContext): Promise<string> {
  const folder = await temporaryFolder(t)
  await classFolders(folder, { 'pics/cat': 5, 'pics/dog': 5 })
  return folder
}

/** Names of the classes of all validation pictures. */
async function labelsOf({ valid, vocab }: ImageDataLoaders): Promise<(string | undefined)[]> {
  const labels: (string | undefined)[] = []
  for await (const [, y] of valid ?? []) for (const i of await y.data()) labels.push(vocab?.[Number(i)])
  return labels
}

test('labels by path, and from a list', async t => {
  const folder = await animals(t)
  const files = await getImageFiles(folder)
  const byPath = await ImageDataLoaders.fromPathRe(folder, files, /pics\/([^/]+)\//, { bs: 2, seed: 1 })
  t.deepEqual(byPath.vocab, ['cat', 'dog'])
  const names = files.map(file => file.slice(folder.length + 1))
  const labels = names.map(name => name.split('/')[1].toUpperCase())
  const listed = await ImageDataLoaders.fromLists(folder, names, labels, { bs: 2, seed: 1 })
  t.deepEqual(listed.vocab, ['CAT', 'DOG'])
  t.deepEqual(
    await labelsOf(listed),
    (await labelsOf(byPath)).map(label => label?.toUpperCase()),
  )
  const wrong = (files: unknown, labels: unknown) => () =>
    Reflect.apply(ImageDataLoaders.fromLists, ImageDataLoaders, [folder, files, labels])
  await coded(t, wrong(names, ['cat']), 'ERR_INVALID_ARG', /an array of 10 labels, one a file, for labels/)
  await coded(t, wrong('a', []), 'ERR_INVALID_ARG', /an array of paths for files/)
})

test('a table', async t => {
  const folder = await animals(t)
  const rows = ['name,class,is_valid']
  for (const [i, label] of ['cat', 'dog'].entries()) {
    for (let k = 0; k < 5; k++)
      rows.push(`${label}/00${k},"${i === 0 ? 'a ""cat"", small' : 'dog'}",${k > 2 ? 'True' : 'False'}`)
  }
  await writeFile(join(folder, 'labels.csv'), `\uFEFF${rows.join('\r\n')}\r\n`)
  const options = { folder: 'pics', suff: '.png', bs: 2 }
  const dls = await ImageDataLoaders.fromCsv(folder, { ...options, labelCol: 'class', validCol: 'is_valid' })
  t.deepEqual(dls.vocab, ['a "cat", small', 'dog'])
  t.deepEqual(await labelsOf(dls), ['a "cat", small', 'a "cat", small', 'dog', 'dog'])
  const shared = await ImageDataLoaders.fromCsv(folder, { ...options, validPct: 0.4, seed: 2 })
  t.deepEqual(
    shared.loaders.map(({ n }) => n),
    [6, 4],
  )
  const open = (more: object) => () => ImageDataLoaders.fromCsv(folder, { ...options, ...more })
  await coded(
    t,
    open({ labelCol: 'kind' }),
    'ERR_FILE_FORMAT',
    /has no column "kind", only \["name", "class", "is_valid"\]/,
  )
  await coded(t, open({ labelCol: 7 }), 'ERR_FILE_FORMAT', /has 3 columns in line 2, where column 7 is needed/)
  await coded(t, open({ csvFname: 'none.csv' }), 'ERR_NOT_FOUND', /none.csv: there is no such file/)
  await coded(t, open({ delimiter: ';;' }), 'ERR_INVALID_ARG', /one character for ImageDataLoaders.fromCsv's delimiter/)
  await coded(t, open({ labelCols: 1 }), 'ERR_INVALID_ARG', /but received "labelCols"/)
  await writeFile(join(folder, 'open.csv'), 'a,"b\n')
  await coded(t, open({ csvFname: 'open.csv' }), 'ERR_FILE_FORMAT', /has a quote that isn't closed/)
})

async function withBadFiles(t: ExecutionContext): Promise<string> {
  const folder = await animals(t)
  const good = await picture(8, 8).jpeg().toBuffer()
  await writeFiles(folder, {
    'pics/cat/001.png': 'no picture',
    'pics/dog/003.png': '',
    'pics/dog/005.jpg': good.subarray(0, good.length / 2),
  })
  return folder
}

test('bad files are left out on request, the others stay with their labels', async t => {
  const folder = await withBadFiles(t)
  const files = await getImageFiles(folder)
  const open = (options: ImageDataLoadersOptions) =>
    ImageDataLoaders.fromPathRe(folder, files, /pics\/([^/]+)\//, {
      bs: 3,
      valBs: 5,
      validPct: 0.5,
      seed: 3,
      ...options,
    })
  const dls = await open({ onBadFile: 'skip', shuffle: false })
  const warnings: string[] = []
  const listen = ({ message }: Error) => warnings.push(message)
  process.on('warning', listen)
  const seen = { cat: 0, dog: 0 }
  for (const loader of dls.loaders) {
    for await (const [x, y] of loader) {
      t.is(x.shape[0], y.shape[0])
      for (const label of await y.data()) seen[dls.vocab?.[Number(label)] === 'cat' ? 'cat' : 'dog']++
    }
  }
  await labelsOf(dls)
  await new Promise(resolve => setImmediate(resolve))
  process.off('warning', listen)
  t.deepEqual([...dls.badFiles.keys()].map(file => file.slice(folder.length + 6)).sort(), [
    'cat/001.png',
    'dog/003.png',
    'dog/005.jpg',
  ])
  t.deepEqual(seen, { cat: 4, dog: 4 })
  t.regex(
    warnings.join('\n'),
    /Left out 3 pictures that can't be read: [^\n]*pics[^\n]*The loaders' badFiles lists all/,
  )
  const strict = await open({ shuffle: false })
  await coded(
    t,
    async () => {
      for (const loader of strict.loaders) for await (const batch of loader) t.is(batch.length, 2)
    },
    'ERR_DECODE',
    /^Cannot read the picture/,
  )
})

test('a batch of nothing but bad files', async t => {
  const folder = await temporaryFolder(t)
  await classFolders(folder, { 'train/a': 2, 'train/b': 2, 'valid/a': 1 })
  await writeFile(join(folder, 'valid/a/000.png'), 'x')
  const dls = await ImageDataLoaders.fromFolder(folder, { bs: 2, onBadFile: 'skip' })
  await coded(
    t,
    () => labelsOf(dls),
    'ERR_NO_DATA',
    /None of the 1 pictures of a pass can be read, the first: Cannot read/,
  )
})

test('verifyImages', async t => {
  const folder = await withBadFiles(t)
  const files = [...(await getImageFiles(folder)), join(folder, 'gone.png')]
  const progress: [number, number][] = []
  const bad = await verifyImages(files, { onProgress: (done, total) => progress.push([done, total]) })
  t.deepEqual(
    bad.map(({ file }) => file.split('/').at(-1)),
    ['001.png', '003.png', '005.jpg', 'gone.png'],
  )
  t.regex(bad[1].reason, /the file is empty/)
  t.deepEqual(progress.at(-1), [files.length, files.length])
  t.deepEqual(await verifyImages([]), [])
  t.is((await verifyImages(files, { maxPixels: 10, onProgress: () => undefined })).length, files.length)
  await coded(t, () => Reflect.apply(verifyImages, null, ['a']), 'ERR_INVALID_ARG', /an array of paths for files/)
})

test('a picture without a label is refused, wherever labels come from', async t => {
  const folder = await animals(t)
  const files = await getImageFiles(folder)
  const labels = files.map((file, i) => (i === 3 ? '' : file.includes('cat') ? 'cat' : 'dog'))
  const few = { bs: 2, seed: 1 }
  const roads: Record<string, () => Promise<ImageDataLoaders>> = {
    fromLists: () => ImageDataLoaders.fromLists(folder, files, labels, few),
    fromPathFunc: () => ImageDataLoaders.fromPathFunc(folder, files, file => labels[files.indexOf(file)], few),
    fromNameFunc: () => ImageDataLoaders.fromNameFunc(folder, files, () => '', few),
    'an empty group of fromNameRe': () => ImageDataLoaders.fromNameRe(folder, files, /^(x?)/, few),
    'an empty group of fromPathRe': () => ImageDataLoaders.fromPathRe(folder, files, /pics\/(x?)/, few),
  }
  for (const [road, open] of Object.entries(roads)) {
    const error = await t.throwsAsync(open(), undefined, road)
    t.regex(String(Reflect.get(error ?? {}, 'code')), /^ERR_/, road)
    t.regex(error?.message ?? '', /label (of \/.*|in ".*)\.png/, road)
  }
})
