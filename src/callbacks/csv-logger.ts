import { appendFile, type FileHandle, mkdir, open, readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { checkOptions } from '../data/index.js'
import { Callback } from '../learner/callback.js'
import type { CallbackState, SavedCallbackState } from '../learner/callback-state.js'
import { formatTime } from '../learner/format.js'
import { TorchLearnerError } from '../native/index.js'
import { flag, text } from './options.js'

/** Options of {@link CSVLogger}. */
export interface CSVLoggerOptions {
  /** The file, under the Learner's path. Default `history.csv`. */
  fname?: string
  /** Add to a file that is there rather than start it anew. Default false. */
  append?: boolean
}

const schema = z.strictObject({ fname: text('the name of a file').optional(), append: flag.optional() })

/** A row of the file by column: numbers as numbers, an empty cell as `null`. */
export type CSVRow = Record<string, number | string | null>

/**
 * Writes the table to a file, a line after each epoch that trained. Each line is one write at the file's end, so that a
 * process which dies leaves whole lines; with `append` the head is written once, and a line that was cut off is ended. A
 * fit that resumes from a {@link Checkpoint} goes on with the file: epochs that are trained again have one line each.
 *
 * @example await learn.fit(3, { cbs: new CSVLogger({ fname: 'log.csv', append: true }) })
 */
export class CSVLogger extends Callback {
  override order = 60
  readonly fname: string
  readonly append: boolean
  #path: string | null = null
  #open = false
  #trained = false
  #began = 0
  /** What this fit has written. */
  #lines: string[] = []
  /** What a fit that is going on had written before, until the file is opened. */
  #before: string[] = []

  /** @param options the file's name, or {@link CSVLoggerOptions} */
  constructor(options: string | CSVLoggerOptions = {}) {
    super()
    const given = typeof options === 'string' ? { fname: options } : options
    const { fname = 'history.csv', append = false } = checkOptions(schema, given, 'CSVLogger')
    this.fname = fname
    this.append = append
  }

  /** Where the file is. Known once a fit has begun, or while the callback belongs to a Learner. */
  get path(): string {
    return this.#path ?? resolve(this.learn.path, this.fname)
  }

  override beforeFit(): void {
    this.#path = resolve(this.learn.path, this.fname)
    this.#open = false
    this.#trained = false
    this.#lines = []
    this.#before = []
  }

  override beforeEpoch(): void {
    this.#began = performance.now()
  }

  /** Opened here: predictions and validations outside of a fit leave the file alone. */
  override async beforeTrain(): Promise<void> {
    this.#trained = true
    if (this.#open || this.learn.callback('lrFinder')) return
    await this.#start(toLine(this.learn.recorder.metricNames))
    this.#open = true
  }

  override async afterEpoch(): Promise<void> {
    const { learn } = this
    if (!this.#open || !this.#trained) return
    this.#trained = false
    const row = learn.recorder.values.at(-1) ?? []
    const time = learn.recorder.addTime ? [formatTime((performance.now() - this.#began) / 1000)] : []
    const line = toLine([learn.epoch ?? 0, ...row, ...time])
    this.#lines.push(line)
    await appendFile(this.path, line)
  }

  override saveState(): CallbackState {
    return { values: { lines: this.#lines } }
  }

  override loadState({ values: { lines } }: SavedCallbackState): void {
    this.#lines = Array.isArray(lines) ? lines.map(String) : []
    this.#before = [...this.#lines]
  }

  /** What the file says. */
  async readLog(): Promise<CSVRow[]> {
    const [head = [], ...rows] = parse(await readFile(this.path, 'utf8'))
    return rows.map(row => Object.fromEntries(head.map((name, i) => [name, toValue(row[i] ?? '')])))
  }

  async #start(head: string): Promise<void> {
    await mkdir(dirname(this.path), { recursive: true })
    await using file = await open(this.path, this.append || this.#before.length > 0 ? 'a+' : 'w+')
    const before = await file.readFile('utf8')
    if (before === '') {
      await file.appendFile(head + this.#before.join(''))
      return
    }
    const first = before.slice(0, before.indexOf('\n') + 1)
    if (first !== head) {
      throw new TorchLearnerError(
        'ERR_STATE',
        `Expected the columns ${head.trim()} in ${this.path} but found ${first.trim()}: choose another fname`,
      )
    }
    if (this.#before.length > 0) await this.#goOn(file, before)
    else if (!before.endsWith('\n')) await file.appendFile('\n')
  }

  /** Cuts off what was written after the checkpoint, which is going to be written again. */
  async #goOn(file: FileHandle, before: string): Promise<void> {
    const known = this.#before.join('')
    const at = before.lastIndexOf(known)
    if (at >= 0) await file.truncate(Buffer.byteLength(before.slice(0, at + known.length)))
    else await file.appendFile(`${before.endsWith('\n') ? '' : '\n'}${known}`)
  }
}

function toLine(cells: readonly (string | number | null)[]): string {
  return `${cells.map(toCell).join(',')}\n`
}

function toCell(value: string | number | null): string {
  const cell = value === null ? '' : String(value)
  return /[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell
}

function toValue(cell: string): number | string | null {
  if (cell === '') return null
  const number = Number(cell)
  return Number.isNaN(number) && cell !== 'NaN' ? cell : number
}

/** Lines of cells; quoted ones may hold commas, line breaks and doubled quotes. */
function parse(csv: string): string[][] {
  const rows: string[][] = [[]]
  for (const [, quoted, plain = '', end] of csv.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n|$)/g)) {
    if (end === '' && quoted === undefined && plain === '') continue // after the last line break
    rows.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain)
    if (end === '\n') rows.push([])
  }
  return rows.filter(row => row.length > 0)
}
