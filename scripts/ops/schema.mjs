// Operator schemas, `aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor`, as TypeScript.

const RESERVED_WORDS = new Set([
  'default',
  'in',
  'with',
  'function',
  'new',
  'delete',
  'var',
  'export',
  'import',
  'class',
  'end',
])

/** Splits at commas that are outside of brackets. */
function split(text) {
  const parts = []
  let depth = 0
  let start = 0
  for (let i = 0; i < text.length; i++) {
    if ('([{'.includes(text[i])) depth++
    else if (')]}'.includes(text[i])) depth--
    else if (text[i] === ',' && depth === 0) {
      parts.push(text.slice(start, i).trim())
      start = i + 1
    }
  }
  const last = text.slice(start).trim()
  return last === '' ? parts : [...parts, last]
}

/** @param {string} text a schema as the dispatcher prints it */
export function parseSchema(text) {
  const match = /^([\w:]+)(?:\.(\w+))?\((.*)\) -> (.*)$/s.exec(text)
  if (match === null) throw new Error(`not a schema: ${text}`)
  const [, name, overload = '', args, returns] = match
  let keyword = false
  const parsed = []
  for (const part of split(args)) {
    if (part === '*') {
      keyword = true
      continue
    }
    const [, rawType, argName, fallback] = /^(.*?) (\w+)(?:=(.*))?$/s.exec(part)
    parsed.push({
      type: rawType.replace(/\([^)]*\)/g, ''),
      name: argName,
      written: /\([a-z]+!/.test(rawType),
      optional: fallback !== undefined,
      keyword,
    })
  }
  const inner = returns.startsWith('(') && !/^\([a-z!]+\)$/.test(returns) ? split(returns.slice(1, -1)) : [returns]
  return {
    text,
    name,
    overload,
    args: parsed,
    returns: inner.map(type => type.replace(/\([^)]*\)/g, '').split(' ')[0]),
  }
}

/** Overloads which JavaScript can call: no out= variants (unless `out`), no names of dimensions. */
export function callable(schema, { out = false } = {}) {
  return (
    (out || !schema.args.some(arg => arg.written && arg.keyword)) &&
    !schema.args.some(arg => arg.type.startsWith('Dimname')) &&
    schema.args.every(arg => arg.optional || typeOf(arg.type) !== null) &&
    schema.returns.every(type => resultType(type) !== null)
  )
}

/** Methods of PyTorch's tensors whose schema doesn't begin with the tensor: `x.where(condition, other)`. */
const SELF_IS_SECOND = new Set(['aten::where', 'aten::polygamma'])

/** The place of the tensor in the schema, when the operator is a method of it; else -1. */
export function selfPosition(schema) {
  const place = schema.args.findIndex(arg => arg.name === 'self' && arg.type === 'Tensor')
  return place === (SELF_IS_SECOND.has(schema.name) ? 1 : 0) ? place : -1
}

const SCALARS = {
  Tensor: 'Tensor',
  Scalar: 'Scalar',
  number: 'Scalar',
  int: 'number',
  SymInt: 'number',
  float: 'number',
  bool: 'boolean',
  str: 'string',
  ScalarType: 'DType',
  Device: 'Device',
  MemoryFormat: 'MemoryFormat',
  Layout: "'strided'",
  Generator: 'Generator',
}

function typeOf(type) {
  if (type.endsWith('?')) {
    const inner = typeOf(type.slice(0, -1))
    return inner === null ? null : `${inner} | null`
  }
  const list = /^(.*)\[(\d*)\]$/.exec(type)
  if (list === null) return SCALARS[type] ?? null
  const item = typeOf(list[1])
  if (item === null) return null
  const array = item.includes('|') ? `readonly (${item})[]` : `readonly ${item}[]`
  return list[2] === '' || item === 'Tensor' ? array : `${item} | ${array}`
}

/** What a call gives back: tensors at once, anything else by promise. */
function resultType(type) {
  if (type === 'Tensor') return 'Tensor'
  if (type === 'Tensor[]') return 'Tensor[]'
  if (['int', 'SymInt', 'float', 'Scalar', 'number'].includes(type)) return 'number'
  if (type === 'bool') return 'boolean'
  if (type === 'str') return 'string'
  if (type === 'ScalarType') return 'number'
  return type === '' ? 'void' : null
}

function returnType(schema) {
  const types = schema.returns.filter(type => type !== '').map(resultType)
  if (types.length === 0) return 'void'
  const value = types.length === 1 ? types[0] : `[${types.join(', ')}]`
  return types.every(type => type.startsWith('Tensor')) ? value : `Promise<${value}>`
}

const camel = name => name.replace(/(?<=[a-z0-9])_([a-z0-9])/g, (_, letter) => letter.toUpperCase())

function parameter(arg) {
  const name = camel(arg.name)
  return RESERVED_WORDS.has(name) ? `${name}_` : name
}

/**
 * The TypeScript signatures of a schema: everything in its place, and, where there is something to leave out, what is
 * optional by name.
 */
export function typescriptSignatures(schema, method) {
  const own = method ? selfPosition(schema) : -1
  const args = schema.args.filter((_, place) => place !== own).filter(arg => typeOf(arg.type) !== null)
  const positional = args.filter(arg => !arg.keyword)
  const required = positional.filter(arg => !arg.optional)
  const keyword = args.filter(arg => arg.keyword)
  const result = returnType(schema)
  const list = (some, rest) => [
    ...some.map(arg => `${parameter(arg)}${arg.optional ? '?' : ''}: ${typeOf(arg.type)}`),
    ...rest,
  ]
  const signature = (some, named) => {
    const must = named.some(arg => !arg.optional)
    const fields = named.map(arg => `${camel(arg.name)}${arg.optional ? '?' : ''}: ${typeOf(arg.type)}`)
    return `(${list(some, fields.length ? [`options${must ? '' : '?'}: { ${fields.join('; ')} }`] : []).join(', ')}): ${result}`
  }
  // PyTorch's order may put a required argument behind an optional one; TypeScript can't say that
  let seenOptional = false
  for (const arg of positional) {
    if (seenOptional && !arg.optional) return [signature(required, [...positional.filter(a => a.optional), ...keyword])]
    seenOptional ||= arg.optional
  }
  const signatures = [signature(positional, keyword)]
  if (positional.length > required.length) {
    signatures.push(signature(required, [...positional.filter(arg => arg.optional), ...keyword]))
  }
  return signatures
}
