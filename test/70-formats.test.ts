// Which formats are listed as pictures: just those that can be read; of others a folder says so.
import { writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import { getImageFiles, ImageDataLoaders, imageExtensions, openImage, Resize, verifyImages } from 'torch-learner'
import { golden } from './helpers/golden.js'
import { coded, picture, temporaryFolder, writeFiles } from './helpers/pictures.js'

const latin = (text: string) => Buffer.from(text, 'latin1')
const svg = latin('<svg xmlns="http://www.w3.org/2000/svg" width="2" height="2"><rect width="2" height="2"/></svg>')
/** Two pixels by two, without and with the header of a file. */
const dib = Buffer.concat([
  Buffer.from([40, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 24, 0, ...Array<number>(24).fill(0)]),
  Buffer.alloc(16, 9),
])
const bmp = Buffer.concat([latin('BM'), Buffer.from([70, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0]), dib])
const pnm = latin('P5 2 2 255\n1234')

/** By extension, such a file. */
async function readable(): Promise<Record<string, Buffer>> {
  const two = picture(2, 2)
  const [jpeg, png, tiff] = await Promise.all(
    [two.jpeg(), two.clone().png(), two.clone().tiff()].map(p => p.toBuffer()),
  )
  const all: Record<string, Buffer> = {
    '.apng': png,
    '.avif': await two.clone().avif().toBuffer(),
    '.bmp': bmp,
    '.dib': dib,
    '.gif': await two.clone().gif().toBuffer(),
    '.pbm': Buffer.concat([latin('P4 2 2\n'), Buffer.alloc(2)]),
    '.pgm': pnm,
    '.png': png,
    '.pnm': pnm,
    '.ppm': latin('P6 2 2 255\nabcdefghijkl'),
    '.svg': svg,
    '.svgz': gzipSync(svg),
    '.tif': tiff,
    '.tiff': tiff,
    '.webp': await two.clone().webp().toBuffer(),
  }
  for (const extension of ['.jfif', '.jpe', '.jpeg', '.jpg', '.pjpeg']) all[extension] = jpeg
  return all
}

const brands = (...names: string[]) => Buffer.concat([Buffer.from([0, 0, 0, 24]), latin(`ftyp${names.join('')}`)])

/** By extension and name in messages, how files begin that no build reads. */
const FOREIGN: readonly [extension: string, start: Buffer, name: string][] = [
  ['.heic', brands('heic', '\0\0\0\0', 'mif1', 'heic'), 'a HEIC picture'],
  ['.heif', brands('mif1', '\0\0\0\0', 'mif1', 'heic'), 'a HEIC picture'],
  ['.ico', Buffer.from([0, 0, 1, 0, 1, 0, 8, 8, 0, 0, 1, 0, 32, 0]), 'an icon (ICO)'],
  ['.j2k', latin('\xff\x4f\xff\x51'), 'a JPEG 2000 picture'],
  ['.jp2', latin('\0\0\0\x0cjP  \r\n\x87\n'), 'a JPEG 2000 picture'],
  ['.jxl', latin('\xff\x0a'), 'a JPEG XL picture'],
  ['.jxl', latin('\0\0\0\x0cJXL \r\n\x87\n'), 'a JPEG XL picture'],
  ['.pcx', Buffer.from([10, 5, 1, 8]), 'a PCX picture'],
  ['.xbm', latin('#define a_width 8\n#define a_height 1\nstatic char a_bits[] = {0};'), 'an XBM picture'],
  ['.xpm', latin('/* XPM */\nstatic char *a[] = {"1 1 1 1","a c #f00","a"};'), 'an XPM picture'],
]

test('every extension that is listed stands for pictures that can be read', async t => {
  const folder = await temporaryFolder(t)
  const files = await readable()
  for (const extension of imageExtensions) {
    t.truthy(files[extension], `a file ${extension} to try`)
    const file = join(folder, `a${extension}`)
    await writeFile(file, files[extension])
    const { width, height } = await openImage(file)
    t.deepEqual([width, height], [2, 2], extension)
  }
  t.is((await getImageFiles(folder)).length, imageExtensions.size)
  t.deepEqual(await verifyImages(await getImageFiles(folder)), [])
})

test('of what the reference lists only that is missing which no build reads', t => {
  const { common_ext } = golden<{ common_ext: Record<string, boolean> }>('image_dls')
  const foreign = new Set(FOREIGN.map(([extension]) => extension))
  for (const [extension, isPicture] of Object.entries(common_ext)) {
    t.is(imageExtensions.has(extension), isPicture && !foreign.has(extension), extension)
  }
})

test('a picture in a foreign format says which, and what to do', async t => {
  const folder = await temporaryFolder(t)
  const files: string[] = []
  for (const [i, [extension, start, name]] of FOREIGN.entries()) {
    t.false(imageExtensions.has(extension), extension)
    // under a name that is listed, as downloads have it
    const file = join(folder, `${i}.jpg`)
    await writeFile(file, Buffer.concat([start, Buffer.alloc(200)]))
    const message = `it is ${name}, a format that can't be read here: convert it to JPEG or PNG`
    await coded(t, () => openImage(file), 'ERR_DECODE', new RegExp(message.replace(/[()]/g, '\\$&')))
    files.push(file)
  }
  t.deepEqual(
    (await verifyImages(files)).map(({ file, reason }) => [file, /convert it to JPEG or PNG$/.test(reason)]),
    files.map(file => [file, true]),
  )
})

/** The warnings of pictures that were passed over while `body` ran, of one folder. */
async function passedOver(t: ExecutionContext, folder: string, body: () => Promise<unknown>): Promise<string[]> {
  const told: string[] = []
  const note = (warning: Error) => {
    if (warning.message.includes(folder) && 'code' in warning) told.push(`${warning.code}: ${warning.message}`)
  }
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  await body()
  await new Promise(resolve => setImmediate(resolve))
  process.off('warning', note)
  return told
}

const warning = (what: string, folder: string) =>
  `TORCH_LEARNER_PASSED_OVER: Passed over ${what} in ${folder}: pictures in such formats can't be read. ` +
  'To use them, convert them to JPEG or PNG'

test('a list of pictures tells once what it passed over', async t => {
  const folder = await temporaryFolder(t)
  await writeFiles(folder, { 'a/1.png': 'x', 'a/2.HEIC': 'x', 'b/3.heic': 'x', 'b/4.jxl': 'x', 'b/n.txt': 'x' })
  const names = async () => (await getImageFiles(folder)).map(file => basename(file))
  t.deepEqual(await passedOver(t, folder, async () => t.deepEqual(await names(), ['1.png'])), [
    warning('2 .heic and 1 .jxl files', folder),
  ])
  const part = async () => await getImageFiles(folder, { folders: ['a'] })
  t.deepEqual(await passedOver(t, folder, part), [warning('1 .heic file', folder)])
  t.deepEqual(await passedOver(t, folder, async () => await getImageFiles(folder, { recurse: false })), [])
  t.deepEqual(await passedOver(t, folder, async () => await getImageFiles(join(folder, 'a'), { folders: ['.'] })), [
    warning('1 .heic file', join(folder, 'a')),
  ])
})

test('a pass over a folder with foreign formats goes to its end', async t => {
  const folder = await temporaryFolder(t)
  const png = await picture(4, 4).png().toBuffer()
  const files: Record<string, Uint8Array> = {}
  for (const part of ['train', 'valid']) {
    for (const label of ['cat', 'dog']) {
      files[`${part}/${label}/1.png`] = png
      files[`${part}/${label}/2.heic`] = brands('heic')
    }
  }
  files['train/cat/3.ico'] = png
  await writeFiles(folder, files)
  const epoch = async (options: object) => {
    const dls = await ImageDataLoaders.fromFolder(folder, { bs: 2, itemTfms: new Resize(4), ...options })
    let seen = 0
    for (const loader of [dls.train, dls.valid]) {
      for await (const batch of loader ?? []) {
        seen += batch[0].shape[0]
        for (const tensor of batch) tensor.dispose()
      }
    }
    return seen
  }
  const all = warning('4 .heic and 1 .ico files', folder)
  t.deepEqual(await passedOver(t, folder, async () => t.is(await epoch({}), 4)), [all])
  t.deepEqual(await passedOver(t, folder, async () => t.is(await epoch({ validPct: 0.25 }), 3)), [all])
})

test('a folder with nothing but foreign formats says that there are no pictures to read', async t => {
  const folder = await temporaryFolder(t)
  await writeFiles(folder, { 'train/cat/1.jpg': 'x', 'train/dog/1.heic': 'x', 'valid/cat/2.heic': 'x' })
  await coded(
    t,
    () => ImageDataLoaders.fromFolder(folder),
    'ERR_NO_DATA',
    /There are no pictures in .*valid that can be read, only 1 \.heic file: convert them to JPEG or PNG$/,
  )
  await coded(
    t,
    () => ImageDataLoaders.fromFolder(join(folder, 'valid'), { validPct: 0.5 }),
    'ERR_NO_DATA',
    /that can be read, only 1 \.heic file/,
  )
})
