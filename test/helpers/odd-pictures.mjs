// Pictures of one to a few pixels a side, in every format, cut and resized in every way, one and two steps: run with checked memory
// by scripts/check-asan.mjs, and in a process of its own, since the point is that the process survives. Argument: a folder.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { openImage, TorchLearnerError } from '../../dist/index.js'
import { native } from '../../dist/native/index.js'
import { decodeInto } from '../../dist/vision/decode/decode.js'

const [folder] = process.argv.slice(2)
const SIDES = [1, 2, 3, 4, 5, 6, 17]
const TARGETS = [1, 2, 5, 24]
const common = { padMode: 'reflection', random: false }
const area = { method: 'area', minScale: 0.3, maxScale: 1, minRatio: 0.7, maxRatio: 1.4 }
const kinds = [{ method: 'crop' }, { method: 'pad' }, { method: 'squish' }, { method: 'cut' }, area]

function bmp(rgb, width, height) {
  const stride = (width * 3 + 3) & ~3
  const file = Buffer.alloc(54 + stride * height)
  file.write('BM')
  file.writeUInt32LE(54, 10)
  file.writeUInt32LE(40, 14)
  file.writeInt32LE(width, 18)
  file.writeInt32LE(-height, 22)
  file.writeUInt16LE(1, 26)
  file.writeUInt16LE(24, 28)
  for (let y = 0; y < height; y++) file.set(rgb.subarray(y * width * 3, (y + 1) * width * 3), 54 + y * stride)
  return file
}

/** The same pixels in every format. */
async function filesOf(rgb, width, height) {
  const picture = () => sharp(rgb, { raw: { width, height, channels: 3 } })
  const [grey, palette] = [picture().greyscale(), picture()]
  return {
    'rgb.png': await picture().png().toBuffer(),
    'interlaced.png': await picture().png({ progressive: true }).toBuffer(),
    'grey.png': await grey.clone().png().toBuffer(),
    'palette.png': await palette.png({ palette: true }).toBuffer(),
    'rgb.jpg': await picture().jpeg().toBuffer(),
    'progressive.jpg': await picture().jpeg({ progressive: true, chromaSubsampling: '4:4:4' }).toBuffer(),
    'grey.jpg': await grey.clone().jpeg().toBuffer(),
    'rgb.gif': await picture().gif().toBuffer(),
    'rgb.webp': await picture().webp({ lossless: true }).toBuffer(),
    'rgb.tiff': await picture().tiff().toBuffer(),
    'rgb.bmp': bmp(rgb, width, height),
    'rgb.ppm': Buffer.concat([Buffer.from(`P6\n${width} ${height}\n255\n`), rgb]),
  }
}

let count = 0
async function decode(file, steps) {
  const { width, height } = steps[steps.length - 1]
  const request = { steps, maxPixels: 1e6 }
  const draws = new Float64Array(steps.reduce((sum, { method }) => sum + (method === 'area' ? 22 : 0), 0)).fill(0.7)
  try {
    await decodeInto([file], draws, new Uint8Array(width * height * 3), [0], request)
  } catch (error) {
    if (!(error instanceof TorchLearnerError)) throw error
  }
  count++
}

for (const width of SIDES) {
  for (const height of SIDES) {
    const rgb = Buffer.from(Uint8Array.from({ length: width * height * 3 }, (_, i) => 37 * i + 11))
    for (const [name, bytes] of Object.entries(await filesOf(rgb, width, height))) {
      const file = join(folder, name)
      writeFileSync(file, bytes)
      await openImage(file)
      for (const [i, kind] of kinds.entries()) {
        for (const to of TARGETS) {
          const step = { ...common, ...kind, width: to, height: TARGETS[(i + to) % TARGETS.length] }
          await decode(file, [step])
          await decode(file, [
            { ...step, width: 3, height: 2 },
            { ...common, ...kinds[(i + 1) % kinds.length], width: 7, height: to },
          ])
        }
      }
      // what is missing at the end of the file must not be read either
      for (let cut = 1; cut < Math.min(bytes.length, 48); cut += 5) {
        writeFileSync(file, bytes.subarray(0, -cut))
        await openImage(file).catch(() => undefined)
      }
    }
  }
}
console.log(`${count} pictures of 1 to 17 pixels a side by ${native.imageCodecs().join(', ')}`)
