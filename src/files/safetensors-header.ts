import { TorchLearnerError } from '../check/index.js'
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
export const METADATA = '__metadata__'

/** The largest header that is read, in bytes: room for more than 100,000 tensors. */
export const HEADER_LIMIT = 16 * 1024 * 1024

/** The longest name of a tensor and key of the metadata, in characters as JSON writes them: room for any path of modules. */
export const NAME_LIMIT = 64 * 1024

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

/** Bytes an element of a dtype takes in a file, `null` for dtypes that the format doesn't have. */
export function elementBytes(dtype: string): number | null {
  return Object.hasOwn(TYPES, dtype) ? TYPES[dtype as DType][1] : null
}

/** The dtype with a name of the format, and bytes an element. */
export function dtypeOf(code: string): { dtype: DType; bytes: number } | undefined {
  return byCode.get(code)
}

/** The header's bytes with its length in front, padded so that the data begins at a multiple of 8. */
export function encodeHeader({ entries, metadata }: Header): Uint8Array {
  const names = [...entries.map(({ name }) => name), ...Object.keys(metadata)]
  const long = names.find(name => JSON.stringify(name).length - 2 > NAME_LIMIT)
  if (long !== undefined) {
    const expected = `names and keys of metadata of at most ${NAME_LIMIT} characters`
    throw new TorchLearnerError(
      'ERR_INVALID_ARG',
      `Expected ${expected} but received ${shown(long)}, which has ${long.length}`,
    )
  }
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

/** A name out of a file as a message shows it: short, on one line. */
export function shown(name: string): string {
  const text = JSON.stringify(name.slice(0, 60)).slice(1, -1)
  return `'${text}${name.length > 60 ? '...' : ''}'`
}
