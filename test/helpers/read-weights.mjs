// Reads files of weights, one after the other, and tells of each how it went: { code, message, ms of CPU time, mb }.
// With --mutate it reads damaged copies instead: so many of each file, from a seed.
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { loadPth, loadSafetensors, zeros } from 'torch-learner'
import { readSealed } from '../../dist/files/safetensors.js'

const [mutate, ...files] = process.argv.slice(2)

/** A neighbour doesn't count. In ms. */
const cpu = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

const peak = () => process.resourceUsage().maxRSS / 1024

async function read(file) {
  if (extname(file) !== '.safetensors') return await loadPth(file)
  return file.includes('sealed') ? (await readSealed(file)).tensors : await loadSafetensors(file)
}

async function tell(name, file) {
  const before = peak()
  const began = cpu()
  const result = { name, code: 'read', message: '' }
  try {
    for (const tensor of (await read(file)).values()) {
      if (tensor.shape.reduce((product, size) => product * size, 1) > 1e6) throw new Error('a giant tensor was made')
      await tensor.to({ dtype: 'float64' }).sum().item()
      tensor.dispose()
    }
  } catch (error) {
    result.code = String(error.code)
    result.message = String(error.message)
  }
  return { ...result, ms: cpu() - began, mb: peak() - before }
}

/** Numbers from 0 to 1 that depend on a seed. */
function* random(seed) {
  for (let i = 0; ; i++) {
    const digest = createHash('sha256').update(`${seed}/${i}`).digest()
    for (let at = 0; at < 32; at += 4) yield digest.readUInt32LE(at) / 2 ** 32
  }
}

/** A copy with bytes changed, cut, doubled, exchanged with another file's, or with numbers made giant. */
function damaged(original, others, draw) {
  const below = n => Math.floor(draw() * n)
  let bytes = Buffer.from(original)
  for (let k = 0; k <= below(4) && bytes.length > 16; k++) {
    const at = below(bytes.length)
    const length = below(Math.min(64, bytes.length - at))
    const kind = below(6)
    if (kind === 0) bytes = bytes.subarray(0, at)
    else if (kind === 1) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at - length), bytes.subarray(at)])
    else if (kind === 2) {
      const other = others[below(others.length)]
      const from = below(other.length)
      other.copy(bytes, at, from, from + length)
    } else if (kind === 3) bytes.fill(0xff, at, at + Math.min(8, length))
    else if (kind === 4) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)])
    else bytes[at] = below(256)
  }
  return bytes
}

await zeros([1]).item()
if (mutate === '--plain') {
  for (const file of files) console.log(JSON.stringify(await tell(file, file)))
} else {
  const [count, seed] = mutate.split(':').map(Number)
  const folder = mkdtempSync(join(tmpdir(), 'torch-learner-damaged-'))
  const originals = files.map(file => readFileSync(file))
  const numbers = random(seed)
  const draw = () => numbers.next().value
  for (const [i, file] of files.entries()) {
    const copy = join(folder, `${file.includes('sealed') ? 'sealed' : 'copy'}${extname(file)}`)
    for (let n = 0; n < count; n++) {
      writeFileSync(copy, damaged(originals[i], originals, draw))
      console.log(JSON.stringify(await tell(`${file} ${n} of seed ${seed}`, copy)))
    }
  }
  rmSync(folder, { recursive: true })
}
