import { constants } from 'node:buffer'
import { createHash, webcrypto } from 'node:crypto'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { hasCode, invalidArgument, native, TorchLearnerError } from '../native/index.js'
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

const { subtle } = webcrypto

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
  /** By name, in the file's order. */
  tensors: Map<string, Tensor>
  /** What the writer noted besides. */
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
  await save(file, state, metadata, false)
}

/**
 * {@link saveSafetensors} with a digest of all data, for {@link readSealed}. Nothing is copied: the tensors must stay as
 * they are until the promise resolves.
 */
export async function saveSealed(file: string, state: StateDict, metadata: Record<string, string>): Promise<void> {
  await save(file, state, metadata, true)
}

async function save(
  file: string,
  state: StateDict,
  metadata: Readonly<Record<string, string>>,
  sealed: boolean,
): Promise<void> {
  const named = [...stateEntries(state)]
  if (named.some(([name]) => name === '__metadata__')) {
    throw invalidArgument('state', 'names other than __metadata__, which the format keeps for itself', '__metadata__')
  }
  // all asked for before the first is awaited, so that they belong to one moment
  const reads = named.map(([, tensor]) => native.read(tensor.handle, !sealed))
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
  const told = sealed ? { ...metadata, [SEAL]: await digest(items, metadata) } : metadata
  const header = encodeHeader({ entries, metadata: told })
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
  return await read(file, options.device ?? 'cpu', false)
}

/** What {@link saveSealed} wrote, every bit of it: a file that has changed since is refused. */
export async function readSealed(file: string): Promise<SafetensorsContent> {
  return await read(file, 'cpu', true)
}

async function read(file: string, device: string, sealed: boolean): Promise<SafetensorsContent> {
  const handle = await openFile(file)
  try {
    return await readContent(handle, device, sealed)
  } catch (error) {
    if (!(error instanceof HeaderError)) throw error
    throw refused(file, error)
  } finally {
    await handle.close()
  }
}

function refused(file: string, { message, cause }: HeaderError): TorchLearnerError {
  return new TorchLearnerError('ERR_FILE_FORMAT', `Expected a safetensors file but received ${file}: ${message}`, {
    cause,
  })
}

async function openFile(file: string): Promise<FileHandle> {
  try {
    // asked before it is opened: opening a pipe would wait for a writer
    if (!(await stat(file)).isFile()) throw refused(file, new HeaderError('it is not a file'))
    return await open(file, 'r')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) {
      throw new TorchLearnerError('ERR_NOT_FOUND', `There is no file ${file}`, { cause: error })
    }
    throw error
  }
}

async function readContent(handle: FileHandle, device: string, sealed: boolean): Promise<SafetensorsContent> {
  const { size } = await handle.stat()
  if (size < 8) throw new HeaderError(`it is cut off after ${size} bytes`)
  const length = Buffer.from(await readExactly(handle, 8, 0)).readBigUInt64LE()
  if (length > HEADER_LIMIT) throw new HeaderError(`its header is said to have ${length} bytes`)
  const start = 8 + Number(length)
  if (start > size) throw new HeaderError(`its header is said to have ${length} bytes, which it doesn't`)
  const { entries, metadata } = decodeHeader(await readExactly(handle, Number(length), 8), size - start)
  const buffers: ArrayBuffer[] = []
  for (const entry of entries) buffers.push(await readTensor(handle, entry, start))
  if (sealed) await checkSeal(entries, buffers, metadata)
  const tensors = entries.map(({ name, dtype, shape }, i): [string, Tensor] => {
    const made = new Tensor(native.fromBuffer(buffers[i], 0, shape, dtype, false))
    if (device === 'cpu') return [name, made]
    const placed = made.to({ device })
    made.dispose()
    return [name, placed]
  })
  return { tensors: new Map(tensors), metadata }
}

/** Key of the digest in a sealed file's metadata. */
const SEAL = 'sha256'

type Item = Pick<Entry, 'name' | 'dtype' | 'shape'> & { buffer: ArrayBuffer }

/** SHA-256 of everything a file says; of the tensors' data it is computed in libuv's threads. */
async function digest(items: readonly Item[], metadata: Readonly<Record<string, string>>): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(metadata))
  for (const { name, dtype, shape, buffer } of items) {
    hash.update(JSON.stringify([name, dtype, shape]))
    hash.update(new Uint8Array(await subtle.digest('SHA-256', buffer)))
  }
  return hash.digest('hex')
}

async function checkSeal(
  entries: readonly Entry[],
  buffers: readonly ArrayBuffer[],
  { [SEAL]: seal, ...metadata }: Record<string, string>,
): Promise<void> {
  const items = entries.map((entry, i) => ({ ...entry, buffer: buffers[i] }))
  if (seal !== (await digest(items, metadata))) throw new HeaderError('its content is not what was written')
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
