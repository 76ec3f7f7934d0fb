import { constants } from 'node:buffer'
import { type FileHandle, open } from 'node:fs/promises'
import { invalidArgument, native, TorchLearnerError } from '../native/index.js'
import { type DType, Tensor } from '../tensor/index.js'
import {
  decodeHeader,
  type Entry,
  elementBytes,
  encodeHeader,
  HEADER_LIMIT,
  HeaderError,
} from './safetensors-header.js'
import { type StateDict, stateEntries } from './state-dict.js'
import { knownOptions } from './validate.js'
import { writeAside } from './write-aside.js'

/** Options of {@link saveSafetensors}. */
export interface SaveSafetensorsOptions {
  /** Strings that are kept beside the tensors. */
  metadata?: Readonly<Record<string, string>>
}

/** Options of {@link loadSafetensors}. */
export interface LoadSafetensorsOptions {
  /** Where the tensors shall be: `cpu` (default), `cuda`, ... */
  device?: string
}

/** What a safetensors file holds: see {@link readSafetensors}. */
export interface SafetensorsContent {
  tensors: Map<string, Tensor>
  metadata: Record<string, string>
}

function checkFile(file: unknown): asserts file is string {
  if (typeof file !== 'string' || file === '') throw invalidArgument('file', 'a path', file)
}

/**
 * Writes tensors to a file in the safetensors format, which Python's `safetensors` and the services built on it read as
 * well. What is written are the values of this moment, even if the tensors change before the promise resolves. The
 * file appears whole or not at all: it is written under another name, flushed to disk and renamed. Folders are made.
 * Tensors that share memory are written one by one.
 *
 * @param state tensors by name, as `model.stateDict()` gives them
 * @throws TorchLearnerError `ERR_INVALID_ARG`; Node's own errors when the file can't be written
 * @example await saveSafetensors('model.safetensors', model.stateDict())
 */
export async function saveSafetensors(
  file: string,
  state: StateDict,
  options: SaveSafetensorsOptions = {},
): Promise<void> {
  checkFile(file)
  knownOptions('saveSafetensors', options, ['metadata'])
  const { metadata = {} } = options
  if (!Object.values(metadata).every(value => typeof value === 'string')) {
    throw invalidArgument('metadata', 'an object of strings', metadata)
  }
  const named = [...stateEntries(state)]
  if (named.some(([name]) => name === '__metadata__')) {
    throw invalidArgument('state', 'names other than __metadata__, which the format keeps for itself', '__metadata__')
  }
  // all asked for before the first is awaited, so that they belong to one moment
  const reads = named.map(([, tensor]) => native.read(tensor.handle, true))
  const contents = await Promise.all(reads)
  const items = contents.map(({ buffer, dtype, shape }, i) => ({
    name: named[i][0],
    dtype: dtype as DType,
    shape,
    buffer,
  }))
  // wide elements first, so that each tensor begins at a multiple of its elements' size
  const order = [...items].sort((a, b) => elementBytes(b.dtype) - elementBytes(a.dtype))
  const begins = new Map<string, number>()
  let next = 0
  for (const { name, buffer } of order) {
    begins.set(name, next)
    next += buffer.byteLength
  }
  const entries = items.map(({ name, dtype, shape, buffer }) => {
    const begin = begins.get(name) ?? 0
    return { name, dtype, shape, begin, end: begin + buffer.byteLength }
  })
  const header = encodeHeader({ entries, metadata })
  await writeAside(file, [header, ...order.map(({ buffer }) => new Uint8Array(buffer))])
}

/**
 * Reads the tensors of a safetensors file. Nothing in the file is trusted: its header is capped at 16 MiB and checked
 * before anything is allocated.
 *
 * @returns the tensors by name, in the header's order; load them with `model.loadStateDict`
 * @throws TorchLearnerError `ERR_NOT_FOUND`; `ERR_FILE_FORMAT` for anything that isn't a whole safetensors file
 * @example model.loadStateDict(await loadSafetensors('model.safetensors'))
 */
export async function loadSafetensors(
  file: string,
  options: LoadSafetensorsOptions = {},
): Promise<Map<string, Tensor>> {
  return (await readSafetensors(file, options)).tensors
}

/** {@link loadSafetensors}, together with the file's metadata. */
export async function readSafetensors(file: string, options: LoadSafetensorsOptions = {}): Promise<SafetensorsContent> {
  checkFile(file)
  knownOptions('loadSafetensors', options, ['device'])
  const handle = await openFile(file)
  try {
    return await readContent(handle, options.device ?? 'cpu')
  } catch (error) {
    if (!(error instanceof HeaderError)) throw error
    throw new TorchLearnerError(
      'ERR_FILE_FORMAT',
      `Expected a safetensors file but received ${file}: ${error.message}`,
      { cause: error.cause },
    )
  } finally {
    await handle.close()
  }
}

async function openFile(file: string): Promise<FileHandle> {
  try {
    return await open(file, 'r')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new TorchLearnerError('ERR_NOT_FOUND', `There is no file ${file}`, { cause: error })
    }
    throw error
  }
}

async function readContent(handle: FileHandle, device: string): Promise<SafetensorsContent> {
  const stat = await handle.stat()
  if (!stat.isFile()) throw new HeaderError('it is not a file')
  if (stat.size < 8) throw new HeaderError(`it is cut off after ${stat.size} bytes`)
  const length = Buffer.from(await readExactly(handle, 8, 0)).readBigUInt64LE()
  if (length > HEADER_LIMIT) throw new HeaderError(`its header is said to have ${length} bytes`)
  const start = 8 + Number(length)
  if (start > stat.size) throw new HeaderError(`its header is said to have ${length} bytes, which it doesn't`)
  const text = Buffer.from(await readExactly(handle, Number(length), 8)).toString('utf8')
  const { entries, metadata } = decodeHeader(text, stat.size - start)
  const buffers: ArrayBuffer[] = []
  for (const entry of entries) buffers.push(await readTensor(handle, entry, start))
  const tensors = entries.map(({ name, dtype, shape }, i): [string, Tensor] => {
    const made = new Tensor(native.fromBuffer(buffers[i], 0, shape, dtype, false))
    if (device === 'cpu') return [name, made]
    const placed = made.to({ device })
    made.dispose()
    return [name, placed]
  })
  return { tensors: new Map(tensors), metadata }
}

async function readTensor(handle: FileHandle, { name, dtype, begin, end }: Entry, start: number): Promise<ArrayBuffer> {
  const buffer = await readExactly(handle, end - begin, start + begin)
  if (dtype === 'bool' && new Uint8Array(buffer).some(byte => byte > 1)) {
    throw new HeaderError(`'${name}' has truth values other than 0 and 1`)
  }
  return buffer
}

/** One call of `read` takes less than 2 GiB. */
const PIECE = 256 * 1024 * 1024

async function readExactly(handle: FileHandle, length: number, position: number): Promise<ArrayBuffer> {
  if (length > constants.MAX_LENGTH) {
    throw new TorchLearnerError('ERR_OUT_OF_MEMORY', `A tensor of ${length} bytes is more than this Node can hold`)
  }
  const buffer = new ArrayBuffer(length)
  let done = 0
  while (done < length) {
    const piece = new Uint8Array(buffer, done, Math.min(PIECE, length - done))
    const { bytesRead } = await handle.read(piece, 0, piece.byteLength, position + done)
    if (bytesRead === 0) throw new HeaderError(`it is cut off after ${position + done} bytes`)
    done += bytesRead
  }
  return buffer
}
