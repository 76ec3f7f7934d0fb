// Pictures go from the decoder to the resizer row by row: the same pixels as of the whole, and nothing missed of a file.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import sharp from 'sharp'
import { openImage, Resize } from 'torch-learner'
import { native } from '../dist/native/index.js'
import { decodeInto } from '../dist/vision/decode/decode.js'
import { decodeBySharp } from '../dist/vision/decode/sharp.js'
import { coded, picture, temporaryFolder } from './helpers/pictures.js'

const METHODS = ['crop', 'pad', 'squish'] as const
const SIZES = [7, 24, 100, [9, 40], [61, 43]] as const

test('resized while it is decoded, and after: the same', async t => {
  const folder = await temporaryFolder(t)
  const files = {
    'a.png': picture(61, 43).png(),
    'interlaced.png': picture(61, 43).png({ progressive: true }),
    'palette.png': picture(61, 43).png({ palette: true }),
    'a.webp': picture(61, 43).webp({ lossless: true }),
  }
  for (const [name, made] of Object.entries(files)) {
    const file = join(folder, name)
    await made.toFile(file)
    const { data, width, height } = await decodeBySharp(file, { maxPixels: 1e6 })
    for (const method of METHODS) {
      for (const size of SIZES) {
        const transform = new Resize(size, { method })
        const request = { steps: transform.steps(true), maxPixels: 1e6 }
        const draws = Float64Array.from(method === 'squish' ? [] : [0.2, 0.9])
        const [now, after] = [0, 1].map(() => new Uint8Array(transform.width * transform.height * 3))
        await decodeInto([file], draws, now, [0], request)
        await native.resizePixels(data, width, height, draws, after, 0, request)
        t.deepEqual(now, after, `${name} ${method} ${size}`)
      }
    }
  }
})

test('a crop of the top finds that the bottom is missing', async t => {
  const folder = await temporaryFolder(t)
  const noise = sharp({
    create: {
      width: 60,
      height: 300,
      channels: 3,
      background: 'red',
      noise: { type: 'gaussian', mean: 128, sigma: 60 },
    },
  })
  const request = { steps: new Resize(30).steps(true), maxPixels: 1e6 }
  for (const format of ['jpeg', 'png'] as const) {
    const file = join(folder, `a.${format}`)
    const bytes = await noise.clone().toFormat(format).toBuffer()
    const top = () => decodeInto([file], Float64Array.of(0, 0), new Uint8Array(2700), [0], request)
    await writeFile(file, bytes)
    await t.notThrowsAsync(top)
    await writeFile(file, bytes.subarray(0, Math.floor(bytes.length * 0.8)))
    await coded(t, top, 'ERR_DECODE', /a\.(jpeg|png): ./)
    await coded(t, () => openImage(file), 'ERR_DECODE', /a\.(jpeg|png): ./)
  }
})

test('a file takes nothing over from the one before it', async t => {
  const folder = await temporaryFolder(t)
  const whole = await picture(64, 48).jpeg({ quality: 60 }).toBuffer()
  // without its tables a JPEG is read with those of the standard, never with those of another file
  const tables = whole.indexOf(Buffer.from([0xff, 0xc4]))
  const bare = Buffer.concat([whole.subarray(0, tables), whole.subarray(whole.indexOf(Buffer.from([0xff, 0xda])))])
  const [first, second] = ['first.jpg', 'second.jpg'].map(name => join(folder, name))
  await writeFile(second, bare)
  const read = async () => await openImage(second).then(({ data }) => [...data], String)
  const alone = await read()
  for (const quality of [10, 95]) {
    await writeFile(first, await picture(64, 48).jpeg({ quality, optimizeCoding: true }).toBuffer())
    await openImage(first)
    t.deepEqual(await read(), alone)
  }
})
