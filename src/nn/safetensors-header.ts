import { TorchLearnerError } from '../native/index.js'
import type { DType } from '../tensor/index.js'

/** The format's names of the dtypes, and bytes an element. */
const TYPES = {
  float64: ['F64', 8],
  int64: ['I64', 8],
  float32: ['F32', 4],
  int32: ['I32', 4],
  float16: ['F16', 2],
  bfloat16: ['BF16', 2],
  int16: ['I16', 2],
  int8: ['I8', 1],
  uint8: ['U8', 1],
  bool: ['BOOL', 1],
} as const satisfies Record<DType, readonly [string, number]>

const byCode = new Map(
  Object.entries(TYPES).map(([dtype, [code, bytes]]) => [code as string, { dtype: dtype as DType, bytes }]),
)

/** Key under which a header keeps its strings. */
const METADATA = '__metadata__'

/** The largest header that is read, in bytes: room for more than 100,000 tensors. */
export const HEADER_LIMIT = 16 * 1024 * 1024

/** Where a tensor lies in a file's data. */
export interface Entry {
  name: string
  dtype: DType
  shape: number[]
  /** Offset from the start of the data, in bytes. */
  begin: number
  /** Offset of the first byte behind it. */
  end: number
}

/** What a header says. */
export interface Header {
  entries: Entry[]
  metadata: Record<string, string>
}

/** Bytes an element of a dtype takes in a file. */
export function elementBytes(dtype: DType): number {
  return TYPES[dtype][1]
}

/** The header's bytes with its length in front, padded so that the data begins at a multiple of 8. */
export function encodeHeader({ entries, metadata }: Header): Uint8Array {
  const fields: [string, unknown][] = entries.map(({ name, dtype, shape, begin, end }) => [
    name,
    { dtype: TYPES[dtype][0], shape, data_offsets: [begin, end] },
  ])
  if (Object.keys(metadata).length > 0) fields.unshift([METADATA, metadata])
  const text = Buffer.from(JSON.stringify(Object.fromEntries(fields)))
  const length = Math.ceil(text.byteLength / 8) * 8
  if (length > HEADER_LIMIT) {
    throw new TorchLearnerError(
      'ERR_INVALID_ARG',
      `Expected a state dict whose names and metadata fit into ${HEADER_LIMIT} bytes but received one of ${length}`,
    )
  }
  const bytes = Buffer.alloc(8 + length, ' ')
  bytes.writeBigUInt64LE(BigInt(length))
  text.copy(bytes, 8)
  return bytes
}

/** What is wrong with a file; the reader adds its name. */
export class HeaderError extends Error {}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

/**
 * Reads and checks a header: the tensors must fill the data from its first byte to its last, none twice, each with as
 * many bytes as its shape takes.
 *
 * @param bytes the header, without its length
 * @param dataBytes bytes of the file behind the header
 */
export function decodeHeader(bytes: ArrayBuffer, dataBytes: number): Header {
  const text = decodeText(bytes)
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    throw new HeaderError('its header is not JSON', { cause: error })
  }
  const twice = repeatedKey(text)
  if (twice !== null) throw new HeaderError(`its header names '${twice}' twice`)
  if (!isRecord(parsed)) throw new HeaderError('its header is not a JSON object')
  const { [METADATA]: metadata = {}, ...tensors } = parsed
  if (!isRecord(metadata) || !Object.values(metadata).every(value => typeof value === 'string')) {
    throw new HeaderError('its metadata are not strings')
  }
  const entries = Object.entries(tensors).map(([name, value]) => decodeEntry(name, value))
  let end = 0
  for (const entry of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (entry.begin !== end) throw new HeaderError(`'${entry.name}' begins at byte ${entry.begin} instead of ${end}`)
    end = entry.end
  }
  if (end !== dataBytes) throw new HeaderError(`it has ${dataBytes} bytes of data where its header tells of ${end}`)
  return { entries, metadata: metadata as Record<string, string> }
}

function decodeText(bytes: ArrayBuffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw new HeaderError('its header is not UTF-8', { cause: error })
  }
}

/** A key that an object of some JSON has twice, which `JSON.parse` passes over; `null` if there is none. */
function repeatedKey(json: string): string | null {
  const open: Set<string>[] = []
  // strings with the colon that makes them keys, and the ends of objects; in valid JSON nothing else matters
  for (const [token, string, colon] of json.matchAll(/("(?:[^"\\]|\\.)*")\s*(:)?|[{}]/g)) {
    if (token === '{') open.push(new Set())
    else if (token === '}') open.pop()
    else if (colon !== undefined) {
      const key = String(JSON.parse(string))
      if (open.at(-1)?.has(key)) return key
      open.at(-1)?.add(key)
    }
  }
  return null
}

function decodeEntry(name: string, value: unknown): Entry {
  const { dtype: code, shape, data_offsets: offsets } = isRecord(value) ? value : {}
  const type = typeof code === 'string' ? byCode.get(code) : undefined
  if (type === undefined) throw new HeaderError(`'${name}' has elements of an unknown type`)
  if (!Array.isArray(shape) || shape.length > 64 || !shape.every(isCount)) {
    throw new HeaderError(`'${name}' has no proper shape`)
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    throw new HeaderError(`'${name}' has no proper offsets`)
  }
  const [begin, end]: number[] = offsets
  // a product beyond 2^53 is inexact, but never comes back down to a file's size: sizes of 0 are taken first
  const elements = shape.includes(0) ? 0 : shape.reduce((product: number, size: number) => product * size, 1)
  if (end - begin !== elements * type.bytes) {
    throw new HeaderError(`'${name}' has ${end - begin} bytes where its shape takes ${elements * type.bytes}`)
  }
  return { name, dtype: type.dtype, shape, begin, end }
}
