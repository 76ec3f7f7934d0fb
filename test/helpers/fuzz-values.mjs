// Random arguments for operators and public functions, reproducible from a number.
import * as tl from '../../dist/index.js'

let state = 0

/** Starts the sequence anew: equal numbers give equal arguments. */
export function seed(number) {
  state = number | 0
}

/** mulberry32: uniform in [0, 1) */
function random() {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}
export const chance = p => random() < p
export const integer = n => Math.floor(random() * n)
export const pick = list => list[integer(list.length)]
export const many = (max, make) => Array.from({ length: integer(max + 1) }, make)

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

/** Decides whether the tensors of the next call are alike. */
export function chooseLikeness() {
  alike = chance(0.5) ? { shape: many(4, () => 1 + integer(4)), dtype: chance(0.7) ? 'float32' : pick(DTYPES) } : null
}

export function smallTensor() {
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
export const anything = () => pick(KINDS)()

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

export function schemaArguments(schema) {
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

/** Arguments for a person to read. */
export const show = value => {
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
