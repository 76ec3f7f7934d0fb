// What reading pictures costs training: ResNet-18 with MixUp from JPEG files, against the same pictures kept in memory.
//   BENCH_PICTURES=<folder>   pictures to make the files of; default: drawn here
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import {
  CrossEntropyLossFlat,
  cat,
  DataLoader,
  DataLoaders,
  getImageFiles,
  ImageDataLoaders,
  IntToFloatTensor,
  imagenetStats,
  Learner,
  MixUp,
  Normalize,
  resnet18,
  TensorDataset,
} from 'torch-learner'
import { median } from './table.mjs'

const CLASSES = 10

/** A picture with edges and texture, as many bytes as a photograph of that size. */
function drawn(i, size) {
  const pixels = Buffer.alloc(size * size * 3)
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const wave = Math.sin((x * ((i % 7) + 1) + y * ((i % 5) + 1)) / 9)
      const edge = (x + i) % 23 < 11 === (y + 2 * i) % 29 < 14 ? 40 : 0
      const noise = ((x * 7919 + y * 104729 + i * 1299721) % 61) / 2
      for (let c = 0; c < 3; c++)
        pixels[(y * size + x) * 3 + c] = 110 + 60 * wave * (c === i % 3 ? 1 : 0.5) + edge + noise
    }
  }
  return sharp(pixels, { raw: { width: size, height: size, channels: 3 } })
}

/** Writes `n` JPEG files of `size` pixels squared into a folder for each class. */
async function writePictures(folder, n, size) {
  const { BENCH_PICTURES: given } = process.env
  const sources = given ? await getImageFiles(given) : []
  for (let k = 0; k < CLASSES; k++) await mkdir(join(folder, String(k)), { recursive: true })
  for (let i = 0; i < n; i++) {
    const picture = given ? sharp(sources[i % sources.length]).resize(size, size) : drawn(i, size)
    await writeFile(join(folder, String(i % CLASSES), `${i}.jpg`), await picture.jpeg({ quality: 90 }).toBuffer())
  }
}

/** The training pictures of `files`, decoded once: the same transforms follow. */
async function inMemory(files, { bs, batchTfms }) {
  const batches = []
  for await (const batch of new DataLoader(files.train.dataset, { bs })) batches.push(batch)
  const [x, y] = [0, 1].map(i => cat(batches.map(batch => batch[i])))
  for (const tensor of batches.flat()) tensor.dispose()
  return new DataLoader(new TensorDataset(x, y), {
    bs,
    shuffle: true,
    dropLast: true,
    batchTfms: [new IntToFloatTensor(), ...batchTfms],
  })
}

async function compare({ size, batch, aim }, { rounds, steps }) {
  const folder = await mkdtemp(join(tmpdir(), 'torch-learner-bench-'))
  try {
    const options = { bs: batch, batchTfms: [Normalize.fromStats(imagenetStats)] }
    await writePictures(folder, Math.ceil((steps * batch) / 0.9), size)
    const files = await ImageDataLoaders.fromFolder(folder, { ...options, validPct: 0.1, seed: 1 })
    const sides = { files: files.train, memory: await inMemory(files, options) }
    const learn = new Learner(new DataLoaders(files.train, []), resnet18({ numClasses: CLASSES }), {
      lossFunc: new CrossEntropyLossFlat(),
      cbs: new MixUp(0.4),
    })
    learn.logger = () => undefined
    learn.silent = true
    const times = { files: [], memory: [] }
    for (let round = -1; round < rounds; round++) {
      for (const name of round % 2 ? ['memory', 'files'] : ['files', 'memory']) {
        learn.dls = new DataLoaders(sides[name], [])
        const start = performance.now()
        await learn.fit(1)
        if (round >= 0) times[name].push((performance.now() - start) / sides[name].length)
      }
    }
    const ratio = median(times.files.map((time, i) => time / times.memory[i]))
    return {
      what: `ResNet-18 step with MixUp from JPEG files against memory, ${size}x${size}, batch ${batch}`,
      here: `${median(times.files).toFixed(0)} ms`,
      reference: `${median(times.memory).toFixed(0)} ms`,
      ratio: ratio.toFixed(3),
      aim: `<= ${aim}`,
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

export async function run({ rounds = 7, steps = 16 } = {}) {
  const settings = [
    { size: 64, batch: 64, aim: 1.05 },
    { size: 32, batch: 128, aim: 1.12 },
  ]
  const rows = []
  for (const setting of settings) rows.push(await compare(setting, { rounds, steps }))
  return rows
}
