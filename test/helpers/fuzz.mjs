// Calls random operators and everything public with random arguments; run in a process of its own, since the point is
// that the process survives. Arguments: seed, number of calls, file for the call being made, [first call].
//
// Half of the calls are of operators, the other half go through the public functions, classes and Tensor's methods by
// turns, so that each is called as often as the others.
import { mkdtempSync, openSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tl from '../../dist/index.js'
import { native } from '../../dist/native/index.js'

const [seed, count, logFile, first = 0] = process.argv.slice(2)
let state = 0
// some functions write files
process.chdir(mkdtempSync(join(tmpdir(), 'torch-learner-fuzz-')))

/** mulberry32: uniform in [0, 1) */
function random() {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}
const chance = p => random() < p
const integer = n => Math.floor(random() * n)
const pick = list => list[integer(list.length)]
const many = (max, make) => Array.from({ length: integer(max + 1) }, make)

const DTYPES = ['float32', 'float64', 'float16', 'bfloat16', 'int64', 'int32', 'int16', 'int8', 'uint8', 'bool']
const WORDS = [
  ...DTYPES,
  'cpu',
  'cuda',
  'cuda:9',
  'meta',
  'mean',
  'sum',
  'floor',
  'same',
  'valid',
  'fro',
  'ij',
  '',
  'nonsense',
]
const FORMATS = ['contiguous_format', 'channels_last', 'channels_last_3d', 'preserve_format']

/** Small, so that nothing needs terabytes, or so large that no machine has them. */
const whole = () => (chance(0.03) ? pick([2 ** 45, -(2 ** 31), -(2 ** 45), 2 ** 53]) : integer(9) - 2)
const number = () => (chance(0.5) ? whole() : pick([0.5, -0.5, 1.5, 1e-3, 1e30, -0, Number.NaN, Infinity, -Infinity]))

/** In half of the calls most tensors are alike, so that more than the checks of arguments is reached. */
let alike = null

function smallTensor() {
  const fresh = { shape: many(4, () => 1 + integer(4)), dtype: chance(0.5) ? 'float32' : pick(DTYPES) }
  if (chance(0.1)) fresh.shape = many(5, () => integer(3))
  const { shape, dtype } = alike !== null && chance(0.9) ? alike : fresh
  const size = shape.reduce((a, b) => a * b, 1)
  const low = dtype === 'uint8' || dtype === 'bool' ? 0 : -2
  const values = Array.from({ length: size }, () =>
    dtype.includes('float') && chance(0.7) ? random() * 4 - 2 : low + integer(5),
  )
  let x = tl.tensor(Float64Array.from(values), { shape, dtype: 'float64' }).to({ dtype })
  if (shape.length === 4 && chance(0.3)) x = x.contiguous({ memoryFormat: 'channels_last' })
  if (shape.length > 1 && chance(0.2)) x = x.transpose(0, 1)
  if (dtype.includes('float') && chance(0.3)) x.requiresGrad = true
  if (chance(0.02)) x = x.to({ device: 'meta' })
  return x
}

const KINDS = [
  smallTensor,
  smallTensor,
  smallTensor,
  number,
  whole,
  () => many(4, whole),
  () => many(4, number),
  () => many(3, smallTensor),
  () => many(3, () => chance(0.5)),
  () => pick(WORDS),
  () => chance(0.5),
  () => null,
  () => undefined,
  () => ({}),
  () => ({ [pick(['dim', 'dtype', 'out', 'keepdim', 'x'])]: pick(KINDS)() }),
  () => BigInt(whole()),
  () => new tl.Generator(1),
  () => new Float32Array(3),
  () => Symbol('s'),
  () => () => 1,
  () => Promise.resolve(1),
  () => [[1], [2]],
  () => new Map([['a', 1]]),
  () => new Date(0),
]
const anything = () => pick(KINDS)()

/** A value of a schema's type. */
function ofType(type) {
  if (type.endsWith('?')) return chance(0.3) ? null : ofType(type.slice(0, -1))
  const list = /^(.*)\[\d*\]$/.exec(type)
  if (list !== null) return many(4, () => ofType(list[1]))
  switch (type) {
    case 'Tensor':
      return smallTensor()
    case 'Scalar':
    case 'number':
    case 'float':
      return number()
    case 'int':
    case 'SymInt':
      return whole()
    case 'bool':
      return chance(0.5)
    case 'ScalarType':
      return pick(DTYPES)
    case 'Device':
      return pick(['cpu', 'cpu', 'meta', 'cuda'])
    case 'MemoryFormat':
      return pick(FORMATS)
    case 'Generator':
      return new tl.Generator(integer(5))
    case 'Layout':
      return 'strided'
    case 'str':
      return pick(WORDS)
    default:
      return anything()
  }
}

function schemaArguments(schema) {
  const args = []
  const named = {}
  const inside = schema.slice(schema.indexOf('(') + 1, schema.lastIndexOf(') ->'))
  let keyword = false
  for (const part of inside.replace(/\([a-z!|* >-]*\)/g, '').split(/,\s*(?![^[]*\])/)) {
    if (part === '' || part === '*') {
      keyword = part === '*'
      continue
    }
    const [, type, name, fallback] = /^(\S+) (\w+)(=.*)?$/.exec(part) ?? [null, 'x', 'x', '=']
    if (fallback !== undefined && chance(0.5)) {
      if (chance(0.5)) keyword = true
      continue
    }
    const value = chance(alike === null ? 0.08 : 0.01) ? anything() : ofType(type)
    if (keyword) named[name] = value
    else args.push(value)
  }
  return Object.keys(named).length > 0 ? [...args, named] : args
}

/** Not public: marked @internal in src/tensor/tensor.ts. */
const EXCLUDED = new Set(['handOver', 'take', 'written'])

const operators = native.operators().filter(name => !/::_/.test(name) && !EXCLUDED.has(name))
const methods = Object.getOwnPropertyNames(tl.Tensor.prototype).filter(name => {
  const { value } = Object.getOwnPropertyDescriptor(tl.Tensor.prototype, name)
  return typeof value === 'function' && name !== 'constructor' && !EXCLUDED.has(name)
})

// Errors are made by us alone; what else the abstract handlers take comes from their subclasses; the constructor of
// ClassificationInterpretation is private
for (const name of ['StateDictError', 'TorchLearnerError', 'MixHandler', 'RegionMix', 'ClassificationInterpretation'])
  EXCLUDED.add(name)

/** What can be called or constructed in a namespace, as `name -> (args) => result`. */
function callables(prefix, space) {
  return Object.entries(space)
    .filter(([name, value]) => typeof value === 'function' && !EXCLUDED.has(name))
    .map(([name, value]) => {
      const isClass = /^class\b/.test(Function.prototype.toString.call(value))
      return [`${isClass ? 'new ' : ''}${prefix}${name}`, args => (isClass ? new value(...args) : value(...args))]
    })
}

const publicCalls = [
  // Tensor's own constructor takes over native handles: it is internal, too
  ...callables('', tl).filter(([name]) => name !== 'new Tensor'),
  ...callables('nn.', tl.nn),
  ...callables('optim.', tl.optim),
  ...callables('hostRandom.', tl.hostRandom),
  ...callables('cuda.', tl.cuda),
  ...methods.map(name => [`Tensor.${name}`, ([self, ...args]) => self[name](...args)]),
]

function choose(turn) {
  alike = chance(0.5) ? { shape: many(4, () => 1 + integer(4)), dtype: chance(0.7) ? 'float32' : pick(DTYPES) } : null
  if (turn % 2 === 0) {
    const name = pick(operators)
    const [space, base] = name.split('::')
    const args = chance(0.85) ? schemaArguments(pick(native.schemas(name))) : many(6, anything)
    return { name, args, call: () => (tl.ops[space] ?? tl.ops.aten)[base](...args) }
  }
  const [name, make] = publicCalls[((turn - 1) / 2) % publicCalls.length]
  const args = many(4, anything)
  if (name.startsWith('Tensor.')) args.unshift(smallTensor())
  return { name, args, call: () => make(args) }
}

async function settle(value, depth = 0) {
  if (value instanceof tl.Tensor) {
    if (value.numel < 1e6) await value.data()
  } else if (Array.isArray(value) && depth < 3) {
    for (const item of value.slice(0, 10)) await settle(item, depth + 1)
  } else if (value instanceof Promise) {
    const result = await Promise.race([value, new Promise(resolve => setTimeout(resolve, 2000, null))])
    if (depth < 3) await settle(result, depth + 1)
  }
}

const show = value => {
  if (value instanceof tl.Tensor) {
    try {
      return `${value.dtype}[${value.shape}]${value.requiresGrad ? '*' : ''}${value.device === 'cpu' ? '' : value.device}`
    } catch {
      return 'Tensor?'
    }
  }
  if (Array.isArray(value)) return `[${value.map(show)}]`
  if (typeof value === 'object' && value !== null && value.constructor === Object) {
    return `{${Object.entries(value).map(([key, item]) => `${key}: ${show(item)}`)}}`
  }
  return typeof value === 'bigint' || typeof value === 'symbol'
    ? String(value)
    : (JSON.stringify(value) ?? String(value))
}

const log = openSync(logFile, 'w')
const counts = { returned: 0, coded: 0 }
const wrong = new Map()
process.on('unhandledRejection', error => note(error, 'unhandled'))

/** Every error must be one of ours that says something, on one line. */
function note(error, name) {
  const { code, message } = error ?? {}
  const said = typeof message === 'string' && /^\S[^\n]*\S$/.test(message)
  if (error instanceof tl.TorchLearnerError && /^ERR_[A-Z_]+$/.test(code) && said) counts.coded++
  else wrong.set(name, String(error?.stack ?? error).slice(0, 400))
}

for (let i = Number(first); i < Number(count); i++) {
  state = (Number(seed) * 100_003 + i) | 0
  await tl.scope(async () => {
    const { name, args, call } = choose(i)
    writeSync(log, `${i} ${name}(${args.map(show)})\n`.padEnd(400).slice(0, 400), 0)
    try {
      await settle(await call())
      counts.returned++
    } catch (error) {
      note(error, name)
    }
    await tl.mark().catch(error => note(error, name))
  })
}
console.log(JSON.stringify({ ...counts, wrong: [...wrong], names: publicCalls.length }))
process.exit(0)
