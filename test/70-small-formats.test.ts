// GIF, PNM and DIB, which the addon decodes itself: what Pillow 12.3 makes of the same bytes.
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { getImageFiles, ImageDataLoaders, imageSize, openImage, Resize } from 'torch-learner'
import { coded, temporaryFolder } from './helpers/pictures.js'

type Rgb = [number, number, number]

async function opened(t: ExecutionContext, name: string, bytes: Uint8Array) {
  const file = join(await temporaryFolder(t), name)
  await writeFile(file, bytes)
  return await openImage(file)
}

async function pixelsOf(t: ExecutionContext, name: string, bytes: Uint8Array): Promise<Rgb[]> {
  const { data, width, height } = await opened(t, name, bytes)
  return Array.from({ length: width * height }, (_, i): Rgb => [data[3 * i], data[3 * i + 1], data[3 * i + 2]])
}

const words = (...values: number[]) => values.flatMap(value => [value & 255, value >> 8])

/** LZW with codes of 9 bits, each a pixel, in one block. */
function lzw(indices: number[]): number[] {
  const codes = [256, ...indices, 257]
  const bytes = Array<number>(Math.ceil((codes.length * 9) / 8)).fill(0)
  for (const [i, code] of codes.entries()) {
    for (let bit = 0; bit < 9; bit++) bytes[(9 * i + bit) >> 3] |= ((code >> bit) & 1) << ((9 * i + bit) & 7)
  }
  return [8, bytes.length, ...bytes, 0]
}

interface GifParts {
  canvas: [number, number]
  rect: [number, number, number, number]
  indices: number[]
  global?: number[]
  local?: number[]
  transparent?: number
}

/** Palettes are of 4 colours. */
function gif({ canvas, rect, indices, global, local, transparent }: GifParts): Buffer {
  const control = transparent === undefined ? [] : [0x21, 0xf9, 4, 1, 0, 0, transparent, 0]
  const head = [...Buffer.from('GIF89a'), ...words(...canvas), global ? 0x81 : 0, 1, 0, ...(global ?? []), ...control]
  return Buffer.from([...head, 0x2c, ...words(...rect), local ? 0x81 : 0, ...(local ?? []), ...lzw(indices), 0x3b])
}

const global = [0, 1, 2, 3].flatMap(i => [10 + i, 50 + i, 90 + i])
const local = [0, 1, 2, 3].flatMap(i => [200 + i, 150 + i, 100 + i])
const small = { canvas: [4, 4], rect: [1, 1, 2, 2], indices: [2, 3, 1, 2] } satisfies GifParts

test('a GIF whose first frame is smaller than its canvas: around it the transparent colour, else the first', async t => {
  const around: [Partial<GifParts>, Rgb, Rgb][] = [
    [{ global }, [10, 50, 90], [12, 52, 92]],
    [{ global, transparent: 3 }, [13, 53, 93], [12, 52, 92]],
    [{ global, transparent: 2 }, [12, 52, 92], [12, 52, 92]],
    [{ global, transparent: 100 }, [0, 0, 0], [12, 52, 92]],
    [{ global, local }, [200, 150, 100], [202, 152, 102]],
    [{ local, transparent: 3 }, [203, 153, 103], [202, 152, 102]],
    [{}, [0, 0, 0], [2, 2, 2]],
    [{ transparent: 7 }, [7, 7, 7], [2, 2, 2]],
  ]
  for (const [parts, outside, inside] of around) {
    const pixels = await pixelsOf(t, 'a.gif', gif({ ...small, ...parts }))
    t.deepEqual([pixels[0], pixels[15], pixels[5]], [outside, outside, inside], JSON.stringify(parts))
  }
})

test('a GIF whose frame reaches beyond its canvas; a colour that the palette lacks', async t => {
  const { width, height } = await opened(t, 'a.gif', gif({ ...small, rect: [3, 3, 2, 3], indices: [2, 3, 1, 2, 1, 1] }))
  t.deepEqual([width, height], [5, 6])
  const beyond = gif({ canvas: [2, 2], rect: [0, 0, 2, 2], indices: [2, 3, 77, 200], global })
  t.deepEqual(await pixelsOf(t, 'a.gif', beyond), [
    [12, 52, 92],
    [13, 53, 93],
    [0, 0, 0],
    [0, 0, 0],
  ])
})

test('a GIF of which pixels are missing', async t => {
  const whole = gif({ canvas: [4, 4], rect: [0, 0, 4, 4], indices: Array<number>(16).fill(1), global })
  t.is((await opened(t, 'a.gif', whole)).width, 4)
  t.is((await opened(t, 'a.gif', whole.subarray(0, -2))).width, 4, 'the pixels are there')
  const zeroed = Buffer.concat([whole.subarray(0, 36), Buffer.alloc(24)])
  for (const bytes of [
    whole.subarray(0, -3),
    whole.subarray(0, 40),
    zeroed,
    gif({ ...small, rect: [0, 0, 4, 4], global }),
  ]) {
    await coded(t, () => opened(t, 'a.gif', bytes), 'ERR_DECODE', /the GIF is damaged or cut off: /)
  }
  const version = Buffer.from(whole)
  version[4] = 0x38
  await coded(t, () => opened(t, 'a.gif', version), 'ERR_DECODE', /its version is unknown$/)
  const huge = gif({ canvas: [9000, 9000], rect: [0, 0, 9000, 9000], indices: [1], global })
  await coded(t, () => opened(t, 'a.gif', huge), 'ERR_DECODE', /its bytes are too few for its size$/)
})

const deep = (...values: number[]) => values.flatMap(value => [value >> 8, value & 255])
const pnm = (text: string, bytes: number[] = []) => Buffer.concat([Buffer.from(text), Buffer.from(bytes)])

test('PBM, PGM and PPM, as bytes and as text, of any range', async t => {
  const greys: [Buffer, number[]][] = [
    [pnm('P5 3 2 255\n', [1, 2, 3, 4, 5, 6]), [1, 2, 3, 4, 5, 6]],
    [pnm('P5 3 2 255\n', [1, 2, 3, 4, 5, 6, 7]), [1, 2, 3, 4, 5, 6]],
    [pnm('P5\t3\r2 # comment\n100 ', [1, 2, 3, 50, 100, 200]), [3, 5, 8, 128, 255, 255]],
    [pnm('P5 3 2 65535\n', deep(1, 255, 256, 300, 1000, 65535)), [1, 255, 255, 255, 255, 255]],
    [pnm('P5 3 2 1000\n', deep(1, 2, 3, 4, 500, 1000)), [66, 131, 197, 255, 255, 255]],
    [pnm('P4 3 2\n', [0b10100000, 0b01000000]), [0, 255, 0, 255, 0, 255]],
    [pnm('P1 3 2\n101010'), [0, 255, 0, 255, 0, 255]],
    [pnm('P1 3 2\n1 #x\n0 1\n0 1 0\n'), [0, 255, 0, 255, 0, 255]],
    [pnm('P2 3 2 15\n1 2 3 4 5 15'), [17, 34, 51, 68, 85, 255]],
    [pnm('P2 3 2 65535\n1 2 3 4 500 65535\n'), [1, 2, 3, 4, 255, 255]],
  ]
  for (const [bytes, expected] of greys) {
    const pixels = await pixelsOf(t, 'a.pnm', bytes)
    t.deepEqual(
      pixels,
      expected.map((level): Rgb => [level, level, level]),
      bytes.toString('latin1'),
    )
  }
  const colours: [Buffer, number[]][] = [
    [pnm('P6\n# hello\n2 # c\n1\n255\n', [1, 2, 3, 50, 100, 200]), [1, 2, 3, 50, 100, 200]],
    [pnm('P6 2 1 65535\n', deep(1, 255, 256, 300, 1000, 65535)), [0, 1, 1, 1, 4, 255]],
    [pnm('P6 2 1 1000\n', deep(1, 2, 3, 4, 500, 1000)), [0, 1, 1, 1, 128, 255]],
    [pnm('P3 2 1 255\n1 2 3 4 5 6'), [1, 2, 3, 4, 5, 6]],
  ]
  for (const [bytes, expected] of colours) t.deepEqual([...(await opened(t, 'a.ppm', bytes)).data], expected)
})

test('PNM files that Pillow refuses', async t => {
  const bad = [
    'P5 3 2 255\n12345',
    'P5 3 2',
    'P5 3 2 0\n123456',
    'P5 3 2 65536\n123456123456',
    'P5 0 2 255\n',
    'P5 -3 2 255\n12',
  ]
  bad.push(
    'P1 3 2\n1 0 2 0 1 0',
    'P1 3 2\n1 0 1 0 1',
    'P2 3 2 15\n1 2 3 4 5 16',
    'P2 3 2 15\n1 2 3 4 5',
    'P2 1 1 255\n-6',
  )
  bad.push('P5 0000000000003 2 255\n123456', 'P2 1 1 255\n00000000006')
  for (const text of bad) {
    await coded(t, () => opened(t, 'a.pnm', pnm(text)), 'ERR_DECODE', /the PNM file is damaged or cut off: /)
  }
})

test('DIB: a BMP without the header of a file', async t => {
  const recordings: { name: string; file: string }[] = JSON.parse(
    readFileSync(new URL('./fixtures/pictures.json', import.meta.url), 'utf8'),
  )
  const folder = await temporaryFolder(t)
  let count = 0
  for (const { name, file } of recordings.filter(entry => entry.name.endsWith('.bmp'))) {
    const bytes = Buffer.from(file, 'base64')
    const whole = join(folder, 'a.bmp')
    const bare = join(folder, 'a.dib')
    await writeFile(whole, bytes)
    // where the header of a file skips what a bare one has to have, they differ
    const colours = bytes.readUInt32LE(14) > 12 ? bytes.readUInt32LE(46) || 2 ** bytes.readUInt16LE(28) : 0
    const palette = bytes.readUInt32LE(10) - 14 - bytes.readUInt32LE(14)
    if (bytes.readUInt16LE(28) <= 8 && palette !== 4 * colours) continue
    await writeFile(bare, bytes.subarray(14))
    t.deepEqual(await openImage(bare), await openImage(whole), name)
    count++
  }
  t.true(count >= 8, `${count} files`)
})

test('the last row of a BMP may lack what fills it up', async t => {
  const bmp = Buffer.alloc(54 + 4 + 3)
  bmp.write('BM')
  bmp.writeUInt32LE(54, 10)
  bmp.writeUInt32LE(40, 14)
  bmp.writeInt32LE(1, 18)
  bmp.writeInt32LE(2, 22)
  bmp.writeUInt16LE(1, 26)
  bmp.writeUInt16LE(24, 28)
  bmp.set([1, 2, 3, 0, 4, 5, 6], 54)
  t.deepEqual(await pixelsOf(t, 'a.bmp', bmp), [
    [6, 5, 4],
    [3, 2, 1],
  ])
  await coded(t, () => opened(t, 'a.bmp', bmp.subarray(0, -1)), 'ERR_DECODE', /its bytes are too few/)
})

test('a folder of them makes batches', async t => {
  const folder = await temporaryFolder(t)
  for (const [i, name] of ['a.ppm', 'b.pgm', 'c.pbm', 'd.dib', 'e.gif', 'f.pnm'].entries()) {
    const dib = Buffer.concat([Buffer.from([40, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 24, 0]), Buffer.alloc(28)])
    const bytes = [
      pnm('P6 1 1 255\n', [1, 2, 3]),
      pnm('P5 1 1 255\n', [9]),
      pnm('P4 1 1\n', [0]),
      dib,
      gif({ ...small, global }),
    ]
    await writeFile(join(folder, name), bytes[i % bytes.length])
  }
  const files = await getImageFiles(folder)
  t.is(files.length, 6)
  t.deepEqual(await imageSize(files[0]), { width: 1, height: 1 })
  const labels = files.map((_, i) => String(i % 2))
  const dls = await ImageDataLoaders.fromLists('.', files, labels, { bs: 2, itemTfms: new Resize(4), seed: 1 })
  let seen = 0
  for await (const batch of dls.train) {
    seen += batch[0].shape[0]
    for (const tensor of batch) tensor.dispose()
  }
  t.true(seen >= 4)
})
