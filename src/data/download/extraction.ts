import { type FileHandle, mkdir, open, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** An archive is not what it should be: damaged, dangerous or of another kind. */
export class ArchiveError extends Error {}

/** What unpacking may come to. */
export interface Limits {
  /** Bytes of all files, and of what an archive says of them. */
  readonly maxBytes: number
  /** Files and folders. */
  readonly maxEntries: number
}

/** Takes a file's content, piece by piece. */
export interface FileWriter {
  write(chunk: Buffer): Promise<void>
  end(): Promise<void>
}

/** Files up to this size are written together, bigger ones piece by piece. */
const SMALL = 1 << 18
/** So many small files are being written at a time. */
const WRITERS = 16

/** What the archive's content alone can be the reason for, in a folder that is new and nobody else's. */
const OF_CONTENT = [
  'EEXIST',
  'EISDIR',
  'ENOTDIR',
  'ENAMETOOLONG',
  'EINVAL',
  'EILSEQ',
  'ENOENT',
  'ERR_INVALID_ARG_VALUE',
]

/** Writes the content of an archive into a new folder, within limits and never outside of it. */
export class Extraction {
  readonly #folder: string
  readonly #limits: Limits
  readonly #made = new Set<string>()
  readonly #writers = new Map<string, Promise<void>>()
  #open?: FileHandle
  #failure?: Error
  #bytes = 0
  #entries = 0

  constructor(folder: string, limits: Limits) {
    this.#folder = folder
    this.#limits = limits
  }

  /** Bytes came out of the archive. @throws ArchiveError beyond the limit */
  count(bytes: number): void {
    this.#bytes += bytes
    const { maxBytes } = this.#limits
    if (this.#bytes > maxBytes) throw new LimitError(`it unpacks to more than ${maxBytes} bytes`, 'maxBytes')
  }

  /**
   * Checks an entry and where it goes.
   * @param kind what is unpacked is a `File` or a `Directory`
   * @throws ArchiveError for another kind, for a path out of the folder, and beyond the limit
   */
  admit(path: string, kind: string): void {
    const { maxEntries } = this.#limits
    if (++this.#entries > maxEntries) throw new LimitError(`it holds more than ${maxEntries} files`, 'maxEntries')
    const isInside = !/^([\\/]|[a-z]:)/i.test(path) && !path.split(/[\\/]/).includes('..') && !path.includes('\0')
    if (isInside && (kind === 'File' || kind === 'Directory')) return
    const name = isInside ? `${path}, which is a ${kind}` : path
    throw new ArchiveError(`it holds ${name}: neither links nor paths out of it are unpacked`)
  }

  async makeFolder(path: string): Promise<void> {
    await this.#makeFolder(join(this.#folder, path), path)
  }

  /**
   * Begins a file. Small ones may still be being written when their `end` resolves.
   * @param mode Unix permissions, of which only whether it can be run is kept
   */
  async openFile(path: string, size: number, mode = 0): Promise<FileWriter> {
    const target = join(this.#folder, path)
    await this.#makeFolder(dirname(target), path)
    // an archive may hold a file twice: the later one counts. On some disks names differ only in case
    const key = target.toLowerCase()
    await this.#writers.get(key)
    const permissions = 0o666 | (mode & 0o111)
    if (size <= SMALL) return this.#small(target, key, permissions, path)
    const file = await open(target, 'w', permissions).catch(error => {
      throw named(error, path)
    })
    this.#open = file
    const write = async (chunk: Buffer) => {
      await file.writeFile(chunk)
    }
    return { write, end: () => this.#close() }
  }

  /** Waits until nothing is being written any more. @throws the first error of a writer */
  async end(): Promise<void> {
    await Promise.all(this.#writers.values())
    await this.#close()
    if (this.#failure) throw this.#failure
  }

  async #close(): Promise<void> {
    await this.#open?.close()
    this.#open = undefined
  }

  #small(target: string, key: string, mode: number, path: string): FileWriter {
    const chunks: Buffer[] = []
    const write = async (chunk: Buffer) => void chunks.push(chunk)
    const end = async () => {
      while (this.#writers.size >= WRITERS) await Promise.race(this.#writers.values())
      if (this.#failure) throw this.#failure
      const job = writeFile(target, Buffer.concat(chunks), { mode }).catch(error => {
        this.#failure ??= named(error, path)
      })
      const done = job.then(() => void this.#writers.delete(key))
      this.#writers.set(key, done)
    }
    return { write, end }
  }

  async #makeFolder(folder: string, path: string): Promise<void> {
    if (this.#made.has(folder)) return
    // a file that is still being written may be in its way
    await Promise.all(this.#writers.values())
    await mkdir(folder, { recursive: true }).catch(error => {
      throw named(error, path)
    })
    this.#made.add(folder)
  }
}

/** More than the caller allows; the archive may be as it should be. */
export class LimitError extends ArchiveError {
  constructor(what: string, option: string) {
    super(`${what}: if it is meant to, raise untarData's ${option}`)
  }
}

function named(error: NodeJS.ErrnoException, path: string): Error {
  if (!OF_CONTENT.includes(error.code ?? '')) return error
  return new ArchiveError(
    `${path} can't be made of it (${error.code}): a name is a file's and a folder's, or is not one`,
  )
}
