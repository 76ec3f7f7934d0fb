// Random arguments for operators and public functions, reproducible from a number.
import * as tl from '../../dist/index.js'
import { chance, integer, many, pick, random, seed } from './fuzz-random.mjs'
import { noteOf, variant } from './fuzz-variants.mjs'

export { chance, many, pick, seed }

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
  'constant',
  'reflect',
  'bilinear',
  'nearest',
  'amax',
  'prod',
  'multiply',
  'reduced',
  'left',
  'ortho',
  'none',
  'tanh',
  '',
  'nonsense',
]
const LAYOUTS = ['sparse_coo', 'sparse_csr', 'sparse_csc', 'sparse_bsr', 'sparse_bsc', 'mkldnn', 'jagged']
const FORMATS = ['contiguous_format', 'channels_last', 'channels_last_3d', 'preserve_format']

/** The ends of the ranges of whole numbers, and what lies beside them. */
const HUGE = [
  ...[2 ** 45, -(2 ** 31), -(2 ** 45), 2 ** 53, 2 ** 31, 2 ** 31 - 1, -(2 ** 31) - 1, 2 ** 32, 2 ** 62, -(2 ** 62)],
  ...[Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 63n, 255, -128, 65536],
]

/** In a quarter of the calls huge numbers, NaN and infinities are frequent, in tensors too. */
let wild = false

/** Small, so that nothing needs terabytes, or so large that no machine has them. */
const whole = () => (chance(wild ? 0.2 : 0.03) ? pick(HUGE) : integer(9) - 2)
const number = () =>
  chance(0.5) ? whole() : pick([0.5, -0.5, 1.5, 1e-3, 1e30, 1e308, 5e-324, -1e308, -0, Number.NaN, Infinity, -Infinity])

/**
 * In half of the calls arguments fit each other, so that more than the checks of arguments is reached: most tensors are
 * alike, numbers are small and positive, and names say what is an index, a mask or a vector.
 */
let alike = null

/** The number of dimensions that an operator wants, as far as its name tells. */
function rankOf(operator) {
  const named = /([123])d/.exec(operator)
  if (named !== null) return Number(named[1]) + (chance(0.8) ? 2 : 1)
  if (/conv|grid|pixel|channel_|im2col|col2im|interpolate|upsample|augment/.test(operator)) return 4
  if (/bmm/.test(operator)) return 3
  if (/(^|_)(mm|addmm|mv|linalg|cholesky|tri[lu]|lu|qr|svd|inverse|det|lstsq|embedding)/.test(operator))
    return chance(0.8) ? 2 : 3
  return integer(5)
}

/** Decides whether the arguments of the next call fit each other, and how wild they are. */
export function chooseLikeness(operator = '') {
  alike = null
  wild = chance(0.25)
  if (chance(0.5)) return
  const rank = rankOf(operator)
  const side = 1 + integer(4)
  const even = chance(0.5) // equal sides fit products, convolutions and vectors
  alike = {
    shape: Array.from({ length: rank }, () => (even ? side : 1 + integer(4))),
    dtype: chance(0.8) ? 'float32' : pick(DTYPES),
    gradients: chance(0.3),
    sure: chance(0.7),
  }
}

export function smallTensor() {
  const fresh = { shape: many(4, () => 1 + integer(4)), dtype: chance(0.5) ? 'float32' : pick(DTYPES) }
  if (chance(0.1)) fresh.shape = many(5, () => integer(3))
  const { shape, dtype } = alike !== null && chance(0.9) ? alike : fresh
  const size = shape.reduce((a, b) => a * b, 1)
  const low = dtype === 'uint8' || dtype === 'bool' ? 0 : -2
  const values = Array.from({ length: size }, () => {
    if (wild && chance(0.2)) return Number(number())
    return dtype.includes('float') && chance(0.7) ? random() * 4 - 2 : low + integer(5)
  })
  let x = tl.tensor(Float64Array.from(values), { shape, dtype: 'float64' }).to({ dtype })
  if (shape.length === 4 && chance(0.3)) x = x.contiguous({ memoryFormat: 'channels_last' })
  if (shape.length > 1 && chance(0.2)) x = x.transpose(0, 1)
  if (dtype.includes('float') && (alike?.gradients ?? true) && chance(0.3)) x.requiresGrad = true
  if (chance(0.25)) x = variant(x)
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

const INDEX = /(^|_)(ind(ex|ices)|perm|offsets|target|batch_sizes|lengths|pivots|col_offsets)/
const MASK = /(^|_)(mask|condition|mirror)/
const VECTOR = /(^|_)(bias|mean|var|invstd|vec\d?|lam|scale|zero_point|b_[ih]h)$|^running_/
const SIZE = /(size|stride|dilation|groups?|sections|chunks|kernel|num_|sizes|length)/
const POSITION =
  /^(dim\d?|axis\d?|dims|index|start|source|destination|padding|output_padding|storage_offset|offset|diagonal)$/

/** A tensor that its name speaks of, to fit the others. */
function namedTensor(name, operator) {
  const rank = alike.shape.length
  const side = alike.shape[Math.min(1, rank - 1)] ?? 1
  const of = (shape, dtype) =>
    tl
      .tensor(
        Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => integer(dtype === 'bool' ? 2 : side)),
        { shape, dtype: 'float64' },
      )
      .to({ dtype })
  const vector = /^(take|index|embedding|nll|cross|multi|bincount|mix|cut|perm)/.test(operator)
  if (INDEX.test(name)) return of(vector && chance(0.7) ? [alike.shape[0] ?? 1] : alike.shape, 'int64')
  if (MASK.test(name)) return of(alike.shape, 'bool')
  if (VECTOR.test(name) && chance(0.8)) return of([side], alike.dtype)
  if (/(^|_)(weight|w_[ih]h)$/.test(name) && /norm|loss|prelu/.test(operator) && chance(0.8))
    return of([side], alike.dtype)
  return smallTensor()
}

/** A number that its name speaks of. */
function namedNumber(name) {
  if (POSITION.test(name)) return integer(Math.max(1, Math.min(2, alike.shape.length)))
  if (SIZE.test(name)) return alike.shape.length > 0 && chance(0.4) ? pick(alike.shape) : 1 + integer(2)
  return chance(0.9) ? integer(4) : whole()
}

/** A value of a schema's type, for the parameter `name` of `operator`. */
function ofType(type, name, operator) {
  if (type.endsWith('?')) return chance(0.3) ? null : ofType(type.slice(0, -1), name, operator)
  const list = /^(.*)\[(\d*)\]$/.exec(type)
  if (list !== null) {
    const item = () => ofType(list[1], name, operator)
    const length = Number(list[2] || (alike !== null && chance(0.6) ? alike.shape.length : Number.NaN))
    if (length >= 0 && chance(0.9)) {
      if (alike !== null && /size|shape/.test(name) && length === alike.shape.length && chance(0.7)) return alike.shape
      return Array.from({ length }, item)
    }
    return many(4, item)
  }
  switch (type) {
    case 'Tensor':
      return alike?.sure ? namedTensor(name, operator) : smallTensor()
    case 'Scalar':
    case 'number':
    case 'float':
      return alike?.sure && chance(0.7) ? pick([0.5, 1, 0.1, 2, 1e-3]) : number()
    case 'int':
    case 'SymInt':
      return alike?.sure ? namedNumber(name) : whole()
    case 'bool':
      return chance(0.5)
    case 'ScalarType':
      return pick(DTYPES)
    case 'Device':
      return alike?.sure ? 'cpu' : pick(['cpu', 'cpu', 'meta', 'cuda'])
    case 'MemoryFormat':
      return pick(FORMATS)
    case 'Generator':
      return new tl.Generator(integer(5))
    case 'Layout':
      return chance(0.8) ? 'strided' : pick(LAYOUTS)
    case 'str':
      return pick(WORDS)
    default:
      return anything()
  }
}

export function schemaArguments(schema) {
  const operator = /::(\w+)/.exec(schema)?.[1] ?? ''
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
    const value = chance(alike === null ? 0.08 : 0.01) ? anything() : ofType(type, name, operator)
    if (keyword) named[name] = value
    else args.push(value)
  }
  return Object.keys(named).length > 0 ? [...args, named] : args
}

/** Arguments for a person to read. */
export const show = value => {
  if (value instanceof tl.Tensor) {
    const note = noteOf(value)
    try {
      return `${value.dtype}[${value.shape}]${value.requiresGrad ? '*' : ''}${value.device === 'cpu' ? '' : value.device}${note}`
    } catch {
      return `Tensor?${note}`
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
