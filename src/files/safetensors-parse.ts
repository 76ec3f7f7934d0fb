import { dtypeOf, type Entry, type Header, HeaderError, METADATA, NAME_LIMIT, shown } from './safetensors-header.js'
import { takeTurns } from './turns.js'

/**
 * Reads and checks a header: the tensors must fill the data from its first byte to its last, none twice, each with as
 * many bytes as its shape takes. Other threads' work and timers get their turn, however long the header is.
 *
 * @param bytes the header, without its length
 * @param dataBytes bytes of the file behind the header
 */
export async function decodeHeader(bytes: ArrayBuffer, dataBytes: number): Promise<Header> {
  const header = await new HeaderParser(decodeText(bytes)).run()
  let end = 0
  for (const entry of inOrder(header.entries)) {
    if (entry.begin !== end) throw new HeaderError(`${shown(entry.name)} begins at byte ${entry.begin}, not ${end}`)
    end = entry.end
  }
  if (end !== dataBytes) throw new HeaderError(`it has ${dataBytes} bytes of data where its header tells of ${end}`)
  return header
}

/** Entries as their data follow each other. */
export function inOrder(entries: readonly Entry[]): Entry[] {
  return entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)
}

function decodeText(bytes: ArrayBuffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw new HeaderError('its header is not UTF-8', { cause: error })
  }
}

const QUOTE = 34
const BACKSLASH = 92
/** Characters of a long string that are looked at in one go: about a millisecond. */
const PIECE = 256 * 1024

/**
 * Takes just the JSON that a header may be: an object of objects with a dtype, a shape and offsets, besides strings. What
 * `JSON.parse` would make of other JSON (millions of names, lists nested as deep) is never made, and a name that comes
 * twice is noticed.
 */
class HeaderParser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  async run(): Promise<Header> {
    const turn = takeTurns()
    const names = new Set<string>()
    const entries: Entry[] = []
    let metadata: Record<string, string> = {}
    for (const name of this.#keys(names)) {
      if (name === METADATA) metadata = await this.#metadata(turn)
      else entries.push(this.#entry(name))
      const wait = turn()
      if (wait) await wait
    }
    this.#blanks()
    if (this.#at < this.#text.length) throw notJson()
    return { entries, metadata }
  }

  /** The keys of an object; between two of them the caller takes the value. */
  *#keys(seen: Set<string>): Generator<string> {
    this.#expect('{')
    if (this.#accept('}')) return
    do {
      const key = this.#string(NAME_LIMIT)
      if (seen.has(key)) throw new HeaderError(`its header names ${shown(key)} twice`)
      seen.add(key)
      this.#expect(':')
      yield key
    } while (this.#accept(','))
    this.#expect('}')
  }

  async #metadata(turn: () => Promise<void> | undefined): Promise<Record<string, string>> {
    const pairs: [string, string][] = []
    for (const key of this.#keys(new Set())) {
      this.#blanks()
      if (this.#text.charCodeAt(this.#at) !== QUOTE) throw new HeaderError('its metadata are not strings')
      pairs.push([key, await this.#longString(turn)])
      const wait = turn()
      if (wait) await wait
    }
    return Object.fromEntries(pairs)
  }

  #entry(name: string): Entry {
    let code: string | undefined
    let shape: number[] | undefined
    let offsets: number[] | undefined
    this.#blanks()
    if (this.#text[this.#at] !== '{') throw new HeaderError(`${shown(name)} is not described`)
    for (const field of this.#keys(new Set())) {
      if (field === 'dtype') code = this.#string(NAME_LIMIT)
      else if (field === 'shape') shape = this.#numbers(64, `${shown(name)} has no proper shape`)
      else if (field === 'data_offsets') offsets = this.#numbers(2, `${shown(name)} has no proper offsets`)
      else throw new HeaderError(`${shown(name)} has a field ${shown(field)} that is not known here`)
    }
    const type = code === undefined ? undefined : dtypeOf(code)
    if (type === undefined) throw new HeaderError(`${shown(name)} has elements of an unknown type`)
    if (shape === undefined) throw new HeaderError(`${shown(name)} has no proper shape`)
    if (offsets?.length !== 2) throw new HeaderError(`${shown(name)} has no proper offsets`)
    const [begin, end] = offsets
    // a product beyond 2^53 is inexact, but never comes back down to a file's size: sizes of 0 are taken first
    const elements = shape.includes(0) ? 0 : shape.reduce((product, size) => product * size, 1)
    if (end - begin !== elements * type.bytes) {
      throw new HeaderError(`${shown(name)} has ${end - begin} bytes where its shape takes ${elements * type.bytes}`)
    }
    return { name, dtype: type.dtype, shape, begin, end }
  }

  #numbers(most: number, complaint: string): number[] {
    const numbers: number[] = []
    if (!this.#accept('[')) throw new HeaderError(complaint)
    if (this.#accept(']')) return numbers
    do {
      this.#blanks()
      const start = this.#at
      while (isDigit(this.#text.charCodeAt(this.#at)) && this.#at - start <= 16) this.#at++
      const digits = this.#text.slice(start, this.#at)
      const number = Number(digits)
      if (!/^(?:0|[1-9]\d*)$/.test(digits) || !Number.isSafeInteger(number)) throw new HeaderError(complaint)
      if (numbers.push(number) > most) throw new HeaderError(complaint)
    } while (this.#accept(','))
    if (!this.#accept(']')) throw new HeaderError(complaint)
    return numbers
  }

  /** @param most characters it may have, as it is written */
  #string(most: number): string {
    this.#expect('"')
    const start = this.#at - 1
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (Number.isNaN(code)) throw notJson()
      this.#at += code === BACKSLASH ? 2 : 1
      if (code === QUOTE) break
      if (this.#at - start > most + 1) throw new HeaderError(`its header has a name of more than ${most} characters`)
    }
    try {
      return String(JSON.parse(this.#text.slice(start, this.#at)))
    } catch (error) {
      throw notJson(error)
    }
  }

  /** A string of any length, piece by piece. */
  async #longString(turn: () => Promise<void> | undefined): Promise<string> {
    this.#expect('"')
    const pieces: string[] = []
    for (;;) {
      const start = this.#at
      const isEnd = this.#skipPiece(start + PIECE)
      const text = this.#text.slice(start, isEnd ? this.#at - 1 : this.#at)
      try {
        pieces.push(String(JSON.parse(`"${text}"`)))
      } catch (error) {
        throw notJson(error)
      }
      if (isEnd) return pieces.join('')
      const wait = turn()
      if (wait) await wait
    }
  }

  /** Goes on to `until`, but not into the middle of an escape, or behind the quote. @returns whether that came */
  #skipPiece(until: number): boolean {
    while (this.#at < until) {
      const code = this.#text.charCodeAt(this.#at)
      if (Number.isNaN(code)) throw notJson()
      if (code === BACKSLASH) this.#at += this.#text[this.#at + 1] === 'u' ? 6 : 2
      else this.#at++
      if (code === QUOTE) return true
    }
    return false
  }

  #blanks(): void {
    while (' \t\n\r'.includes(this.#text.charAt(this.#at)) && this.#at < this.#text.length) this.#at++
  }

  #accept(sign: string): boolean {
    this.#blanks()
    if (this.#text[this.#at] !== sign) return false
    this.#at++
    return true
  }

  #expect(sign: string): void {
    if (!this.#accept(sign)) throw notJson()
  }
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57
}

function notJson(cause?: unknown): HeaderError {
  return new HeaderError('its header is not the JSON that describes tensors', { cause })
}
