// Pictures from files: every format against sharp's own decoding, and everything that isn't a picture.
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import sharp, { type Sharp } from 'sharp'
import { imageSize, openImage } from 'torch-learner'
import { native } from '../dist/native/index.js'
import { coded, pattern, picture, temporaryFolder, writeFiles } from './helpers/pictures.js'

/** The reference: sharp's pixels without transparency, 8 bits a channel. */
async function bySharp(file: string): Promise<Uint8Array> {
  return await sharp(file).removeAlpha().toColourspace('srgb').raw({ depth: 'uchar' }).toBuffer()
}

async function agrees(t: ExecutionContext, folder: string, name: string, made: Sharp, tolerance = 0): Promise<void> {
  const file = join(folder, name)
  await writeFile(file, await made.toBuffer())
  const expected = await bySharp(file)
  const { data, width, height } = await openImage(file)
  t.deepEqual(await imageSize(file), { width, height }, name)
  t.is(data.length, expected.length, name)
  t.is(data.length, width * height * 3, name)
  const worst = data.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0)
  t.true(worst <= tolerance, `${name}: off by ${worst}`)
}

// Without libspng or libjpeg-turbo at build time sharp decodes those formats too, and words its complaints its own way.
const codecs = native.imageCodecs()
const png = codecs.includes('png') ? 'the PNG is damaged or cut off: ' : ''
const jpeg = codecs.includes('jpeg') ? 'the JPEG is damaged or cut off: ' : ''

test('what this build decodes by itself', t => {
  t.true(['bmp', 'gif', 'pnm'].every(name => codecs.some(codec => codec === name)))
})

test('PNG: RGB, grey, alpha, palette, 16 bits, interlaced', async t => {
  const folder = await temporaryFolder(t)
  for (const [name, channels] of Object.entries({ grey: 1, greyAlpha: 2, rgb: 3, rgba: 4 } as const)) {
    await agrees(t, folder, `${name}.png`, picture(19, 11, channels).png())
    await agrees(t, folder, `${name}-interlaced.png`, picture(19, 11, channels).png({ progressive: true }))
  }
  await agrees(t, folder, 'palette.png', picture(19, 11).png({ palette: true, colours: 16 }))
  await agrees(t, folder, 'palette-alpha.png', picture(19, 11, 4).png({ palette: true }))
  await agrees(t, folder, 'bits16.png', picture(19, 11).toColourspace('rgb16').png(), 1)
  await agrees(t, folder, 'one.png', picture(1, 1).png())
})

test('JPEG: colour, grey, subsampled or not, progressive', async t => {
  const folder = await temporaryFolder(t)
  for (const chromaSubsampling of ['4:2:0', '4:4:4']) {
    await agrees(t, folder, 'a.jpg', picture(37, 23).jpeg({ chromaSubsampling }), 2)
    await agrees(t, folder, 'b.jpg', picture(37, 23).jpeg({ chromaSubsampling, progressive: true }), 2)
  }
  await agrees(t, folder, 'grey.jpg', picture(37, 23, 1).toColourspace('b-w').jpeg())
})

test('other formats by sharp', async t => {
  const folder = await temporaryFolder(t)
  await agrees(t, folder, 'a.webp', picture(17, 9).webp())
  await agrees(t, folder, 'a.gif', picture(17, 9).gif())
  await agrees(t, folder, 'a.tiff', picture(17, 9, 1).tiff())
  await agrees(t, folder, 'a.avif', picture(17, 9, 4).avif())
})

test('what counts is the content, not the name', async t => {
  const folder = await temporaryFolder(t)
  await agrees(t, folder, 'jpeg.png', picture(9, 9).jpeg(), 2)
  await agrees(t, folder, 'webp.jpg', picture(9, 9).webp())
})

test('a colour profile is not applied, as in Pillow', async t => {
  const folder = await temporaryFolder(t)
  for (const format of ['png', 'webp', 'tiff'] as const) {
    const file = join(folder, `p3.${format}`)
    await picture(17, 9).withIccProfile('p3').toFormat(format, { lossless: true }).toFile(file)
    const stored = await sharp(file, { ignoreIcc: true }).raw().toBuffer()
    t.notDeepEqual(await sharp(file).raw().toBuffer(), stored, format)
    t.deepEqual(Buffer.from((await openImage(file)).data), stored, format)
  }
})

test('a file that has changed is read anew, also by sharp', async t => {
  const file = join(await temporaryFolder(t), 'a.webp')
  for (const shift of [0, 40]) {
    await writeFile(file, await picture(17, 9, 3, shift).webp({ lossless: true }).toBuffer())
    t.deepEqual(Buffer.from((await openImage(file)).data), Buffer.from(pattern(17, 9, 3, shift)))
  }
})

test('an orientation tag is not obeyed', async t => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'turned.jpg')
  await writeFile(file, await picture(20, 10).jpeg().withMetadata({ orientation: 6 }).toBuffer())
  t.deepEqual(await imageSize(file), { width: 20, height: 10 })
})

test('files that are no pictures', async t => {
  const folder = await temporaryFolder(t)
  const wholePng = await picture(64, 64).png().toBuffer()
  const wholeJpeg = await picture(64, 64).jpeg().toBuffer()
  const spoiled = Buffer.from(wholePng)
  spoiled[wholePng.length >> 1] ^= 0xff
  await writeFiles(folder, {
    'empty.png': '',
    'text.png': 'this is a text, not a picture',
    'cut.png': wholePng.subarray(0, wholePng.length >> 1),
    'head.png': wholePng.subarray(0, 20),
    'cut.jpg': wholeJpeg.subarray(0, wholeJpeg.length >> 1),
    'head.jpg': wholeJpeg.subarray(0, 12),
    'spoiled.png': spoiled,
    'cut.webp': (await picture(64, 64).webp({ lossless: true }).toBuffer()).subarray(0, 400),
  })
  await mkdir(join(folder, 'folder.png'))
  const expect = async (name: string, message: RegExp, code = 'ERR_DECODE') => {
    await coded(t, () => openImage(join(folder, name)), code, message)
  }
  await expect('missing.png', /^Cannot read the picture .*missing\.png: there is no such file$/, 'ERR_NOT_FOUND')
  await expect('empty.png', /empty\.png: the file is empty$/)
  await expect('folder.png', /folder\.png: it is a folder$/)
  await expect('text.png', /text\.png: it isn't a picture in a format known here$/)
  await expect('cut.png', new RegExp(`${png}.`))
  await expect('head.png', new RegExp(`${png}.`))
  await expect('spoiled.png', new RegExp(`${png}.`))
  // what sharp says is of all pictures that it decodes at the time: its details may go to another one
  await expect('cut.jpg', jpeg ? new RegExp(`${jpeg}.*premature end`, 'i') : /cut\.jpg: the JPEG is damaged or cut off/)
  await expect('head.jpg', new RegExp(`${jpeg}.`))
  await expect('cut.webp', /cut\.webp: /)
})

test('a pipe and a device are refused, not read for ever', async t => {
  const folder = await temporaryFolder(t)
  execFileSync('mkfifo', [join(folder, 'pipe.png')])
  await coded(t, () => openImage(join(folder, 'pipe.png')), 'ERR_DECODE', /it isn't a regular file$/)
  await coded(t, () => openImage('/dev/zero'), 'ERR_DECODE', /it isn't a regular file$/)
})

test('a file that may not be read', async t => {
  const folder = await temporaryFolder(t)
  await writeFiles(folder, { 'secret.png': 'x' })
  await chmod(join(folder, 'secret.png'), 0)
  if (process.getuid?.() === 0)
    await coded(t, () => openImage(join(folder, 'secret.png')), 'ERR_DECODE', /isn't a picture/) // root may
  else await coded(t, () => openImage(join(folder, 'secret.png')), 'ERR_DECODE', /Permission denied$/)
})

test('a bomb is refused by its header', async t => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'bomb.png')
  const huge = Buffer.from(await picture(2, 2).png().toBuffer())
  huge.writeUInt32BE(50_000, 16)
  huge.writeUInt32BE(50_000, 20)
  const { crc32 } = await import('node:zlib')
  huge.writeUInt32BE(crc32(huge.subarray(12, 29)), 29)
  await writeFile(file, huge)
  await coded(t, () => openImage(file), 'ERR_DECODE', /2500000000 pixels, more than the 100000000 allowed$|pixel limit/)
  const small = join(folder, 'small.png')
  await writeFile(small, await picture(20, 20).png().toBuffer())
  await coded(
    t,
    () => openImage(small, { maxPixels: 399 }),
    'ERR_DECODE',
    /20 x 20 = 400 pixels, more than the 399 allowed$/,
  )
  t.is((await openImage(small, { maxPixels: 400 })).width, 20)
})

test("the addon refuses arguments that don't fit together", async t => {
  const step = { width: 4, height: 4, method: 'squish', padMode: 'zeros', random: false } as const
  const request = { steps: [step], maxPixels: 1e6 }
  const out = new Uint8Array(48)
  const none = new Float64Array()
  const decode = (...args: unknown[]) => {
    const whole = [['a'], none, out, [0], request, 1, 0].map((value, i) => (i in args ? (args[i] ?? value) : value))
    return () => Reflect.apply(native.decodeImages, native, whole)
  }
  await coded(t, decode(null, null, null, [1]), 'ERR_INVALID_ARG', /more room in out/)
  await coded(t, decode(null, null, null, [-1]), 'ERR_INVALID_ARG', /non-negative/)
  await coded(t, decode(null, null, null, [0, 1]), 'ERR_INVALID_ARG', /a slot for each path/)
  await coded(t, decode(null, new Float64Array(1)), 'ERR_INVALID_ARG', /every draw of the steps/)
  await coded(t, decode(null, null, new Float32Array(48)), 'ERR_INVALID_ARG', /a Uint8Array for pixels/)
  await coded(t, decode(null, null, null, null, { ...request, steps: [] }), 'ERR_INVALID_ARG', /at least one step/)
  const flat = { ...request, steps: [{ ...step, width: 0 }] }
  await coded(t, decode(null, null, null, null, flat), 'ERR_INVALID_ARG', /positive numbers for width and height/)
  const random = { ...request, steps: [{ ...step, method: 'crop', random: true }] }
  await coded(t, decode(null, Float64Array.of(0.5, 1.5), null, null, random), 'ERR_INVALID_ARG', /from 0 to 1/)
  await coded(t, decode(null, null, null, null, null, 0), 'ERR_INVALID_ARG', /at least one thread/)
  await coded(t, () => Reflect.apply(native.decodeImages, native, []), 'ERR_INVALID_ARG', /\(paths, draws/)
  await coded(t, () => Reflect.apply(native.imageSize, native, [5, false]), 'ERR_INVALID_ARG', /wrong type/)
  const small = () => Reflect.apply(native.resizePixels, native, [out, 5, 5, none, out, 0, request])
  await coded(t, small, 'ERR_INVALID_ARG', /more pixels in rgb/)
  const rgb = pattern(5, 5, 3)
  t.is(await native.resizePixels(rgb, 5, 5, none, out, 0, request), undefined)
  t.not(out[0], 0)
  t.deepEqual(await native.decodeImages([], none, out, [], request, 1, 0), [])
})
