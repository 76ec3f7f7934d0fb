import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import type { Parser, ReadEntry } from 'tar'
import { codeOf } from '../../check/index.js'
import { ArchiveError, type Extraction, type FileWriter } from './extraction.js'
import { fileKind, isTarHeader } from './file-kind.js'

const SLICE = 1 << 16
const BLOCK = 512
const FILES = ['File', 'OldFile', 'ContiguousFile']

/**
 * Unpacks a tar, plain or compressed by gzip. The bytes are unpacked on other threads and flow no faster than they are written.
 *
 * @throws ArchiveError for what is damaged or can't be unpacked rightly: links, devices, sparse files, unknown kinds of entries
 */
export async function readTar(archive: string, isGzip: boolean, into: Extraction): Promise<void> {
  const tar = await import('tar') // here: few programs unpack anything, and every one would wait for it
  const reader = new TarReader(new tar.Parser({ strict: true, zstd: false }), into)
  const source = createReadStream(archive, { highWaterMark: SLICE })
  let failure: unknown
  const take = async (chunks: Readable | AsyncIterable<Buffer>) => {
    try {
      for await (const chunk of chunks) await reader.push(chunk)
      await reader.end()
    } catch (error) {
      failure = error
      throw error
    }
  }
  try {
    await (isGzip ? pipeline(source, createGunzip({ chunkSize: SLICE }), take) : pipeline(source, take))
  } catch (error) {
    // what makes the reader give up the pipeline may hide behind its own "aborted"
    throw failure === undefined || codeOf(failure) === 'ABORT_ERR' ? error : failure
  }
}

/** What the parser says of a piece of the archive, in order. */
type Part = { entry: ReadEntry } | { chunk: Buffer } | 'end'

class TarReader {
  readonly #parser: Parser
  readonly #into: Extraction
  /** The start of the bytes, until there is a block. */
  #head: Buffer | null = Buffer.alloc(0)
  #parts: Part[] = []
  #file?: FileWriter
  #isOver = false
  #failure?: Error

  constructor(parser: Parser, into: Extraction) {
    this.#parser = parser
    this.#into = into
    const fail = (what: string) => {
      this.#failure ??= new ArchiveError(what)
    }
    this.#parser.on('entry', (entry: ReadEntry) => {
      this.#parts.push({ entry })
      entry.on('end', () => this.#parts.push('end'))
      entry.on('data', chunk => this.#parts.push({ chunk }))
    })
    this.#parser.on('ignoredEntry', ({ path, type }: ReadEntry) =>
      fail(`it holds ${path}, which is ${kindName(type)}: such entries can't be unpacked`),
    )
    this.#parser.on('meta', (text: string) => {
      if (text.includes('GNU.sparse.')) fail("it holds sparse files, which can't be unpacked")
    })
    this.#parser.on('error', (error: Error) => fail(error.message))
    this.#parser.on('eof', () => {
      this.#isOver = true
    })
  }

  /** The parser takes a piece at once; then what was in it is written, before the next piece. */
  async push(chunk: Buffer): Promise<void> {
    this.#into.count(chunk.length)
    if (this.#isOver) return // what follows the end, zeros mostly, is only counted
    let bytes = chunk
    if (this.#head) {
      this.#head = bytes = Buffer.concat([this.#head, chunk])
      if (bytes.length < BLOCK) return
      checkHeader(bytes)
      this.#head = null
    }
    this.#parser.write(bytes)
    await this.#write()
  }

  async end(): Promise<void> {
    if (this.#head) throw new ArchiveError(`it is not a tar archive: it has ${this.#head.length} bytes`)
    this.#parser.end()
    await this.#write()
  }

  async #write(): Promise<void> {
    if (this.#failure) throw this.#failure
    const parts = this.#parts
    this.#parts = []
    for (const part of parts) {
      if (part === 'end') {
        await this.#file?.end()
        this.#file = undefined
      } else if ('chunk' in part) await this.#file?.write(part.chunk)
      else await this.#begin(part.entry)
    }
  }

  async #begin({ path, type, size, mode }: ReadEntry): Promise<void> {
    const isFile = FILES.includes(type)
    const isFolder = type === 'Directory' || (isFile && path.endsWith('/'))
    this.#into.admit(path, isFolder ? 'Directory' : isFile ? 'File' : type)
    if (isFolder) await this.#into.makeFolder(path)
    else this.#file = await this.#into.openFile(path, size, mode)
  }
}

const kindName = (type: string) => (type === 'Unsupported' ? 'of an unknown kind' : `a ${type}`)

function checkHeader(head: Buffer): void {
  const block = head.subarray(0, BLOCK)
  if (isTarHeader(block) && head[0] !== 0x1f) return
  if (block.every(byte => byte === 0)) return // an empty archive
  const seen = fileKind(block)
  throw new ArchiveError(`it is not a tar archive: its content is ${seen?.name ?? 'something else'}`)
}
