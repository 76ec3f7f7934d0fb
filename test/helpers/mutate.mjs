// Picture files, damaged in every way that a seed can think of; run in a process of its own, since the point is that the
// process survives. Arguments: seed, how many, a folder to work in, a log of the file in hand, [first].
import { openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { ImageDataLoaders, openImage, Resize, TorchLearnerError, verifyImages } from '../../dist/index.js'

const [seed, count, folder, logFile, first = 0] = process.argv.slice(2)
const recordings = JSON.parse(readFileSync(new URL('../fixtures/pictures.json', import.meta.url), 'utf8'))
const originals = recordings.map(({ name, file }) => ({ name, bytes: Buffer.from(file, 'base64') }))
const MAX_PIXELS = 4e6
/** So many files are verified and trained on together. */
const GROUP = 25

let state = 0
/** mulberry32: uniform in [0, 1) */
function random() {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}
const integer = n => Math.floor(random() * n)
const pick = list => list[integer(list.length)]
const LENGTHS = [0, 1, 2, 3, 7, 8, 255, 256, 32767, 32768, 65535, 65536, 2 ** 24, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]
const someLength = () => (random() < 0.3 ? integer(2 ** 32) : pick(LENGTHS))

function flip(bytes) {
  for (let i = 0; i <= integer(8); i++) bytes[integer(bytes.length)] ^= 1 << integer(8)
  return bytes
}

function overwrite(bytes) {
  for (let i = 0; i <= integer(8); i++) bytes[integer(bytes.length)] = pick([0, 255, 128, 127, integer(256)])
  return bytes
}

const cut = bytes => bytes.subarray(0, integer(bytes.length))

/** A stretch is taken out, doubled, or put somewhere else. */
function rearrange(bytes) {
  const from = integer(bytes.length)
  const part = bytes.subarray(from, from + 1 + integer(pick([4, 64, bytes.length])))
  const to = integer(bytes.length)
  const rest = random() < 0.5 ? Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + part.length)]) : bytes
  if (random() < 0.4) return rest
  return Buffer.concat([rest.subarray(0, to), part, rest.subarray(to)])
}

/** The headers are at the start: a number there becomes another one. */
function header(bytes) {
  const at = integer(Math.min(bytes.length - 4, 64))
  const method = pick(['writeUInt32BE', 'writeUInt32LE', 'writeUInt16BE', 'writeUInt16LE'])
  const value = someLength()
  bytes[method](method.includes('32') ? value : value % 65536, at)
  return bytes
}

function pngChunks(bytes) {
  const chunks = []
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at)
    chunks.push({ type: bytes.subarray(at + 4, at + 8), data: Buffer.from(bytes.subarray(at + 8, at + 8 + length)) })
    at += 12 + length
  }
  return chunks
}

function pngBytes(signature, chunks) {
  const parts = chunks.map(({ type, data, length = data.length }) => {
    const head = Buffer.alloc(4)
    head.writeUInt32BE(length)
    const body = Buffer.concat([type, data])
    const sum = Buffer.alloc(4)
    sum.writeUInt32BE(crc32(body))
    return Buffer.concat([head, body, sum])
  })
  return Buffer.concat([signature, ...parts])
}

/** Chunks change, but their checksums are right: the damage gets further. */
function png(bytes) {
  let chunks = pngChunks(bytes)
  const chunk = pick(chunks)
  const kind = integer(7)
  if (kind === 0 && chunks[0].data.length === 13) chunks[0].data.writeUInt32BE(someLength(), 4 * integer(2))
  if (kind === 1 && chunks[0].data.length === 13) chunks[0].data[8 + integer(5)] = pick([0, 1, 2, 3, 4, 6, 8, 16, 255])
  if (kind === 2 && chunk.data.length > 0) chunk.data = overwrite(chunk.data)
  if (kind === 3) chunks = chunks.filter(other => other !== chunk)
  if (kind === 4) chunks.splice(integer(chunks.length + 1), 0, chunk)
  if (kind === 5) chunk.length = someLength()
  if (kind === 6) chunk.data = cut(chunk.data)
  return pngBytes(bytes.subarray(0, 8), chunks)
}

/** A segment's length, or the size of the frame, or a table. */
function jpeg(bytes) {
  const markers = []
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff; ) {
    markers.push(at)
    if (bytes[at + 1] === 0xda) break
    at += 2 + bytes.readUInt16BE(at + 2)
  }
  const at = pick(markers)
  const frame = markers.find(
    marker => (bytes[marker + 1] & 0xf0) === 0xc0 && ![0xc4, 0xc8, 0xcc].includes(bytes[marker + 1]),
  )
  const kind = integer(4)
  if (kind === 0) bytes.writeUInt16BE(someLength() % 65536, at + 2)
  if (kind === 1 && frame !== undefined) bytes.writeUInt16BE(someLength() % 65536, frame + 5 + 2 * integer(2))
  if (kind === 2 && frame !== undefined) bytes[frame + 9 + integer(9)] = integer(256)
  if (kind === 3) bytes[at + 1] = 0xc0 + integer(64)
  return random() < 0.5 ? flip(bytes) : bytes
}

function mutated({ name, bytes }) {
  const copy = Buffer.from(bytes)
  const general = [flip, overwrite, cut, rearrange, header]
  const special = name.endsWith('.png') ? [png, png, png] : name.endsWith('.jpg') ? [jpeg, jpeg, jpeg] : []
  return pick([...general, ...special])(copy)
}

const wrong = []
const counts = { read: 0, refused: 0, verified: 0, batches: 0 }

/** Only errors of ours, with one line that says something, are right. */
function note(error, name) {
  const { code, message } = error ?? {}
  if (error instanceof TorchLearnerError && ['ERR_DECODE', 'ERR_NO_DATA'].includes(code) && /^[^\n]+$/.test(message))
    return
  wrong.push([name, String(error?.stack ?? error).slice(0, 400)])
}

async function trainOn(files, name) {
  const labels = files.map((_, i) => String(i % 2))
  const options = { maxPixels: MAX_PIXELS, bs: 4, seed: 1, onBadFile: 'skip', itemTfms: new Resize(16) }
  try {
    const dls = await ImageDataLoaders.fromLists('.', files, labels, options)
    for await (const batch of dls.train) {
      for (const tensor of batch) tensor.dispose()
      counts.batches++
    }
  } catch (error) {
    note(error, `batches of ${name}`)
  }
}

const log = openSync(logFile, 'w')
let files = []
for (let i = Number(first); i < Number(first) + Number(count); i++) {
  state = (Number(seed) * 1_000_003 + i) | 0
  const original = pick(originals)
  const bytes = mutated(original)
  const file = join(folder, `${i % GROUP}-${original.name}`)
  writeFileSync(file, bytes)
  writeSync(log, `${i} ${original.name}`.padEnd(60), 0)
  try {
    const { data, width, height } = await openImage(file, { maxPixels: MAX_PIXELS })
    if (data.length !== width * height * 3) wrong.push([`${i} ${original.name}`, 'the pixels do not fit the size'])
    counts.read++
  } catch (error) {
    counts.refused++
    note(error, `${i} ${original.name}`)
  }
  files.push(file)
  if (files.length < GROUP) continue
  counts.verified += (await verifyImages(files, { maxPixels: MAX_PIXELS, onProgress: () => undefined })).length
  await trainOn(files, `files before ${i}`)
  files = []
}
console.log(JSON.stringify({ ...counts, wrong, megabytes: process.resourceUsage().maxRSS / 1024 }))
