import { constants, type Stats } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { TextDecoder } from 'node:util'
import { TorchLearnerError } from '../../check/index.js'
import { type FileKind, fileKind, KIND_BYTES } from '../download/file-kind.js'
import { encodingOf, whatIsWrong } from './encoding.js'

/** Bytes that are decoded at a time: a few milliseconds of work, then others have their turn. */
const SLICE = 1 << 18

/**
 * The text of a table's file, piece by piece, in UTF-8 with or without a byte order mark, or in UTF-16 with one.
 *
 * @throws TorchLearnerError `ERR_NOT_FOUND` for what isn't there or isn't a file; `ERR_FILE_FORMAT`, with line and byte, for what isn't
 * text in these encodings
 */
export async function* readText(file: string): AsyncGenerator<string, void, void> {
  const handle = await openFile(file)
  try {
    const slice = Buffer.allocUnsafe(SLICE)
    const read = async () => {
      const { bytesRead } = await handle.read(slice, 0, SLICE).catch(cause => unreadable(file, cause.message, cause))
      return slice.subarray(0, bytesRead)
    }
    let bytes = await read()
    checkHead(file, bytes)
    const encoding = encodingOf(bytes)
    const decoder = new TextDecoder(encoding, { fatal: true })
    for (; ; bytes = await read()) {
      const last = bytes.length === 0
      const text = decode(decoder, bytes, last)
      if (text === undefined || text.includes('\0')) throw notText(file, await whatIsWrong(file, encoding))
      if (text !== '') yield text
      if (last) return
    }
  } finally {
    await handle.close()
  }
}

async function openFile(file: string): Promise<FileHandle> {
  // NONBLOCK: opening a FIFO would wait for a writer, on a thread that others need
  const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)
  const handle = await open(file, flags).catch((cause: NodeJS.ErrnoException) =>
    unreadable(file, cause.code === 'ENOENT' ? 'there is no such file' : cause.message, cause),
  )
  const found = await handle.stat()
  if (found.isFile()) return handle
  await handle.close()
  return unreadable(file, `it is ${kindOf(found)}, not a file`)
}

function unreadable(file: string, reason: string, cause?: unknown): never {
  throw new TorchLearnerError('ERR_NOT_FOUND', `Cannot read the table ${file}: ${reason}`, { cause })
}

function kindOf(found: Stats): string {
  if (found.isDirectory()) return 'a folder'
  if (found.isFIFO()) return 'a FIFO'
  return found.isSocket() ? 'a socket' : 'a device'
}

const REMEDIES: Partial<Record<FileKind, string>> = {
  gzip: 'unpack it with gunzip',
  bzip2: 'unpack it with bunzip2',
  xz: 'unpack it with unxz',
  zstd: 'unpack it with unzstd',
  zip: 'Excel workbooks (.xlsx) are such archives too: save the table as CSV, or unpack the archive',
  xls: 'save the table as CSV in UTF-8',
  html: 'fetch the table itself rather than a page about it',
  lfs: 'fetch the file with git lfs pull',
}

/** Says what a file that isn't a table is instead. */
function checkHead(file: string, bytes: Buffer): void {
  const seen = fileKind(bytes.subarray(0, KIND_BYTES))
  if (seen && seen.kind !== 'json') {
    throw notText(file, `is ${seen.name}: ${REMEDIES[seen.kind] ?? 'give the file of the table, in CSV'}`)
  }
  const starts = (...values: number[]) => values.every((value, i) => bytes[i] === value)
  const remedy = 'save it as UTF-8'
  if (starts(0xff, 0xfe, 0, 0) || starts(0, 0, 0xfe, 0xff)) throw notText(file, `is text in UTF-32: ${remedy}`)
  const at = bytes.subarray(0, KIND_BYTES).indexOf(0)
  if (at === -1 || encodingOf(bytes) !== 'utf-8') return
  // in UTF-16 every other byte of plain letters is zero
  const isWide = bytes.length > 3 && bytes[at ^ 1] !== 0 && bytes[at ^ 2] === 0
  const what = isWide ? 'seems to be UTF-16 without a byte order mark' : 'is not text: it holds zero bytes'
  throw notText(file, isWide ? `${what}: ${remedy}` : what)
}

const notText = (file: string, what: string) => new TorchLearnerError('ERR_FILE_FORMAT', `The table ${file} ${what}`)

/** Nothing for what can't be decoded. */
function decode(decoder: TextDecoder, bytes: Buffer, last: boolean): string | undefined {
  try {
    return decoder.decode(bytes, { stream: !last })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return undefined
    throw error
  }
}
