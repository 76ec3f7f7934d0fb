import { constants } from 'node:buffer'
import { createHash, webcrypto } from 'node:crypto'
import { type FileHandle, open, stat } from 'node:fs/promises'
import {
  checkArguments,
  device,
  field,
  invalidArgument,
  isPlainObject,
  strictObject,
  TorchLearnerError,
} from '../check/index.js'
import { native } from '../native/index.js'
import { context, type DType, Tensor } from '../tensor/index.js'
import { checkFile, reading } from './files.js'
import { type Entry, elementBytes, encodeHeader, HEADER_LIMIT, HeaderError, shown } from './safetensors-header.js'
import { decodeHeader, inOrder } from './safetensors-parse.js'
import { type StateDict, stateEntries } from './state-dict.js'
import { takeTurns } from './turns.js'

const strings = field<Readonly<Record<string, string>>>(
  'an object of strings',
  value => isPlainObject(value) && Object.values(value).every(item => typeof item === 'string'),
)
const saveSchema = strictObject({ metadata: strings.default({}) })
const loadSchema = strictObject({ device: device.default('cpu') })

import { writeAside } from './write-aside.js'

const { subtle } = webcrypto

/** Options of {@link saveSafetensors}. */
export interface SaveSafetensorsOptions {
  /** Strings that are kept beside the tensors. */
  metadata?: Readonly<Record<string, string>>
}

/** Options of {@link loadSafetensors}. */
export interface LoadSafetensorsOptions {
  /** The device of the tensors: `cpu` (default), `cuda`, ... */
  device?: string
}

/** What a safetensors file holds: see {@link readSafetensors}. */
export interface SafetensorsContent {
  /** By name, in the file's order. */
  tensors: Map<string, Tensor>
  /** What the writer noted besides. */
  metadata: Record<string, string>
}

/**
 * Writes tensors to a file in the safetensors format, which Python's `safetensors` and the services built on it read as
 * well. What is written are the values of this moment, even if the tensors change before the promise resolves. The
 * file appears whole or not at all: it is written under another name, flushed to disk and renamed. Folders are made.
 * Tensors that share memory are written one by one.
 *
 * @param state tensors by name, as `model.stateDict()` gives them
 * @throws TorchLearnerError `ERR_INVALID_ARG`; `ERR_UNSUPPORTED` for dtypes that the format doesn't have (complex numbers);
 * `ERR_WRITE` when the file can't be written
 * @example await saveSafetensors('model.safetensors', model.stateDict())
 */
export async function saveSafetensors(
  file: string,
  state: StateDict,
  options: SaveSafetensorsOptions = {},
): Promise<void> {
  checkFile(file)
  const { metadata } = checkArguments(saveSchema, options, 'saveSafetensors')
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
  const reads = named.map(([, tensor]) => native.read(tensor.handle, !sealed, context().origin))
  const contents = await Promise.all(reads)
  const items = contents.map(({ buffer, dtype, shape }, i) => {
    const name = named[i][0]
    const size = elementBytes(dtype)
    if (size === null) throw unsupported(name, dtype)
    return { name, dtype: dtype as DType, shape, buffer, size }
  })
  // wide elements first, so that each tensor begins at a multiple of its elements' size
  const order = items.toSorted((a, b) => b.size - a.size)
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

function unsupported(name: string, dtype: string): TorchLearnerError {
  const parts = dtype.startsWith('complex') ? ': save its parts, as ops.aten.view_as_real gives them' : ''
  const message = `Expected tensors of a dtype that the safetensors format has, but ${shown(name)} is ${dtype}${parts}`
  return new TorchLearnerError('ERR_UNSUPPORTED', message)
}

/**
 * Reads the tensors of a safetensors file. Nothing in the file is trusted: its header is capped at 16 MiB and checked
 * before anything is allocated.
 *
 * @returns the tensors by name, in the header's order; load them with `model.loadStateDict`
 * @throws TorchLearnerError `ERR_NOT_FOUND`, also when it can't be read; `ERR_FILE_FORMAT` for anything that isn't a whole safetensors file
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
  return await read(file, checkArguments(loadSchema, options, 'loadSafetensors').device, false)
}

/** What {@link saveSealed} wrote, every bit of it: a file that has changed since is refused. */
export async function readSealed(file: string): Promise<SafetensorsContent> {
  return await read(file, 'cpu', true)
}

async function read(file: string, device: string, sealed: boolean): Promise<SafetensorsContent> {
  try {
    return await reading(file, async () => {
      // asked before it is opened: opening a pipe would wait for a writer
      if (!(await stat(file)).isFile()) throw new HeaderError('it is not a file')
      const handle = await open(file, 'r')
      try {
        return await readContent(handle, device, sealed)
      } finally {
        await handle.close()
      }
    })
  } catch (error) {
    if (!(error instanceof HeaderError)) throw error
    throw refused(file, error)
  }
}

function refused(file: string, { message, cause }: HeaderError): TorchLearnerError {
  return new TorchLearnerError('ERR_FILE_FORMAT', `Expected a safetensors file but received ${file}: ${message}`, {
    cause,
  })
}

async function readContent(handle: FileHandle, device: string, sealed: boolean): Promise<SafetensorsContent> {
  const { size } = await handle.stat()
  if (size < 8) throw new HeaderError(`it is cut off after ${size} bytes`)
  const length = Buffer.from(await readExactly(handle, 8, 0)).readBigUInt64LE()
  if (length > HEADER_LIMIT) throw new HeaderError(`its header is said to have ${length} bytes`)
  const start = 8 + Number(length)
  if (start > size) throw new HeaderError(`its header is said to have ${length} bytes, which it doesn't`)
  const { entries, metadata } = await decodeHeader(await readExactly(handle, Number(length), 8), size - start)
  const buffers = await readTensors(handle, entries, start)
  if (sealed) await checkSeal(entries, buffers, metadata)
  return { tensors: await makeTensors(entries, buffers, device), metadata }
}

async function makeTensors(
  entries: readonly Entry[],
  buffers: readonly ArrayBuffer[],
  device: string,
): Promise<Map<string, Tensor>> {
  const turn = takeTurns()
  const tensors = new Map<string, Tensor>()
  try {
    for (const [i, { name, dtype, shape }] of entries.entries()) {
      const made = new Tensor(native.fromBuffer(new Uint8Array(buffers[i]), shape, dtype, false))
      tensors.set(name, device === 'cpu' ? made : made.to({ device }))
      if (device !== 'cpu') made.dispose()
      const wait = turn()
      if (wait) await wait
    }
  } catch (error) {
    for (const tensor of tensors.values()) tensor.dispose()
    throw error
  }
  return tensors
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

/** Small tensors are read together, up to so many bytes at a time. */
const TOGETHER = 1024 * 1024

/** The tensors' bytes, which follow each other, in the order of `entries`. */
async function readTensors(handle: FileHandle, entries: readonly Entry[], start: number): Promise<ArrayBuffer[]> {
  const order = inOrder(entries)
  const found = new Map<Entry, ArrayBuffer>()
  const turn = takeTurns()
  for (let i = 0; i < order.length; ) {
    const { begin } = order[i]
    let next = i + 1
    while (next < order.length && order[next].end - begin <= TOGETHER) next++
    const bytes = await readExactly(handle, order[next - 1].end - begin, start + begin)
    for (const entry of order.slice(i, next)) {
      // memory of its own for each, so that each can be freed
      const buffer = next === i + 1 ? bytes : bytes.slice(entry.begin - begin, entry.end - begin)
      checkTruth(entry, buffer)
      found.set(entry, buffer)
      const wait = turn()
      if (wait) await wait
    }
    i = next
  }
  return entries.map(entry => found.get(entry) ?? new ArrayBuffer(0))
}

function checkTruth({ name, dtype }: Entry, buffer: ArrayBuffer): void {
  if (dtype === 'bool' && new Uint8Array(buffer).some(byte => byte > 1)) {
    throw new HeaderError(`${shown(name)} has truth values other than 0 and 1`)
  }
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
