import { TorchLearnerError } from '../../check/index.js'
import { readText } from './text-file.js'

const LF = 10
const CR = 13
const QUOTE = 34

/** Called with each row of a table, and of the line, from 1, that it begins in. */
export type OnRow = (fields: string[], line: number) => void

/**
 * Reads a table in CSV, in slices between which others have their turn: see {@link readText} for encodings, {@link CsvParser} for the rest.
 *
 * @param delimiter one character
 * @throws TorchLearnerError as `readText`; and `ERR_FILE_FORMAT` when a quote isn't closed
 */
export async function readCsv(file: string, delimiter: string, onRow: OnRow): Promise<void> {
  const parser = new CsvParser(delimiter, file, onRow)
  for await (const text of readText(file)) parser.push(text)
  parser.end()
}

/** Where in a row the text so far has ended. */
type State = 'row' | 'field' | 'plain' | 'quoted' | 'quote'

/**
 * Takes a table in CSV (RFC 4180) apart, piece by piece: fields may be quoted, and quoted ones hold delimiters, line ends and doubled
 * quotes. Rows end with LF, CRLF or CR; blank lines are left out.
 */
export class CsvParser {
  readonly #delimiter: number
  readonly #where: string
  readonly #onRow: OnRow
  #state: State = 'row'
  #fields: string[] = []
  /** What is known of the field that hasn't ended. */
  #field = ''
  /** The field, or the row's first one, was quoted: it may be empty on purpose. */
  #wasQuoted = false
  #afterCr = false
  /** The line that is being read, and the one the row began in. */
  #line = 1
  #rowLine = 1

  /**
   * @param delimiter one character
   * @param where for the error message
   */
  constructor(delimiter: string, where: string, onRow: OnRow) {
    this.#delimiter = delimiter.charCodeAt(0)
    this.#where = where
    this.#onRow = onRow
  }

  /** The next piece of text. */
  push(text: string): void {
    for (let at = 0; at < text.length; ) {
      if (this.#state === 'quoted') at = this.#readQuoted(text, at)
      else if (this.#state === 'plain') at = this.#readPlain(text, at)
      else at = this.#begin(text, at)
    }
  }

  /**
   * There is no more text.
   * @throws TorchLearnerError `ERR_FILE_FORMAT` when a quote isn't closed
   */
  end(): void {
    if (this.#state === 'quoted') {
      const reason = `has a quote that isn't closed: it opens in the row that begins in line ${this.#rowLine}`
      throw new TorchLearnerError('ERR_FILE_FORMAT', `${this.#where} ${reason}`)
    }
    if (this.#state !== 'row') this.#endRow()
  }

  /** At the start of a row or field, or behind a quote in a quoted field. */
  #begin(text: string, at: number): number {
    const code = text.charCodeAt(at)
    const afterCr = this.#afterCr
    this.#afterCr = false
    if (this.#state === 'row') {
      if (code === LF && afterCr) return at + 1
      this.#rowLine = this.#line
    }
    if (code === QUOTE) {
      // a second quote stands for one, else it opens the field
      if (this.#state === 'quote') this.#field += '"'
      this.#state = 'quoted'
      this.#wasQuoted = true
      return at + 1
    }
    this.#state = 'plain'
    return at
  }

  #readPlain(text: string, from: number): number {
    const delimiter = this.#delimiter
    let at = from
    let code = 0
    for (; at < text.length; at++) {
      code = text.charCodeAt(at)
      if (code === delimiter || code === LF || code === CR) break
    }
    const part = text.slice(from, at)
    this.#field = this.#field === '' ? part : this.#field + part
    if (at === text.length) return at
    if (code === delimiter) {
      this.#fields.push(this.#field)
      this.#field = ''
      this.#state = 'field'
    } else {
      this.#afterCr = code === CR
      this.#line++
      this.#endRow()
    }
    return at + 1
  }

  #readQuoted(text: string, from: number): number {
    const found = text.indexOf('"', from)
    const to = found === -1 ? text.length : found
    const part = text.slice(from, to)
    this.#field += part
    this.#countLines(part)
    if (found === -1) return to
    this.#state = 'quote'
    return to + 1
  }

  #countLines(part: string): void {
    for (let i = 0; i < part.length; i++) {
      const code = part.charCodeAt(i)
      if (code === CR || (code === LF && !this.#afterCr)) this.#line++
      this.#afterCr = code === CR
    }
  }

  #endRow(): void {
    const isBlank = this.#fields.length === 0 && !this.#wasQuoted && this.#field.trim() === ''
    this.#fields.push(this.#field)
    if (!isBlank) this.#onRow(this.#fields, this.#rowLine)
    this.#fields = []
    this.#field = ''
    this.#wasQuoted = false
    this.#state = 'row'
  }
}
