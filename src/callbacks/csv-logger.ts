import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import {
  checkOptions,
  flag,
  list,
  object,
  strictObject,
  string,
  TorchLearnerError,
  text,
  whole,
} from '../check/index.js'
import { checkTarget, reading, writing } from '../files/index.js'
import { Callback, type CallbackState, formatTime, readState, type SavedCallbackState } from '../learner/index.js'

/** Options of {@link CSVLogger}. */
export interface CSVLoggerOptions {
  /** The file, under the Learner's path. Default `history.csv`. */
  fname?: string
  /** Append to an existing file instead of overwriting it. Default false. */
  append?: boolean
}

const schema = strictObject({ fname: text('the name of a file').optional(), append: flag.optional() })

/** A row of the file by column: numbers as numbers, an empty cell as `null`. */
export type CSVRow = Record<string, number | string | null>

const stateSchema = object({
  lines: list(string('a line of text'), 'lines of text'),
  begin: whole(0).nullish(),
})

/**
 * Writes the table to a file, a line for each epoch that trained, once all callbacks have done with the epoch. Each line is
 * one write at the file's end, so that a process which dies leaves whole lines; with `append` the head is written once, and
 * a line that was cut off is ended.
 *
 * Epochs that a {@link Checkpoint} has saved, and no others, are in the file: a fit that resumes from it goes on with the
 * file, and whenever the process died, each epoch has one line in the end.
 *
 * @throws TorchLearnerError `ERR_WRITE` when the file can't be written, also when it is a folder, a pipe or a device;
 * `ERR_STATE` when it has other columns
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
  /** This fit's, of which the first so many are in the file. */
  #lines: string[] = []
  #written = 0
  /** How many of them a checkpoint has asked for. */
  #saved = 0
  /** Where in the file they begin, in bytes; `null` before it is open. */
  #begin: number | null = null
  #resumed = false

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
    this.#written = 0
    this.#saved = 0
    this.#begin = null
    this.#resumed = false
  }

  override async beforeEpoch(): Promise<void> {
    this.#began = performance.now()
    await this.#flush()
  }

  /** Opened here: predictions and validations outside of a fit leave the file alone. */
  override async beforeTrain(): Promise<void> {
    this.#trained = true
    if (this.learn.purpose !== 'find') await this.#start(this.learn.epoch)
  }

  /** Only noted: a line that is written before a checkpoint has it would be written again by a fit that resumes. */
  override afterEpoch(): void {
    const { learn } = this
    if (!this.#open || !this.#trained) return
    this.#trained = false
    const row = learn.recorder.values.at(-1) ?? []
    const time = learn.recorder.addTime ? [formatTime((performance.now() - this.#began) / 1000)] : []
    this.#lines.push(toLine([learn.epoch ?? 0, ...row, ...time]))
  }

  override async afterFit(): Promise<void> {
    if (this.#resumed) await this.#start(null) // a fit that was finished before doesn't train
    await this.#flush()
  }

  /** Of a fit that failed. An epoch that a checkpoint was to have and doesn't is going to be trained again. */
  override async cleanup(): Promise<void> {
    await this.#flush(this.learn.callback('checkpoint') ? this.#saved : undefined)
  }

  override saveState(): CallbackState {
    this.#saved = this.#lines.length
    return { values: { lines: [...this.#lines], begin: this.#begin } }
  }

  override loadState(state: SavedCallbackState): void {
    const { lines, begin = null } = readState(this.label, state, stateSchema).values
    this.#lines = [...lines]
    if (this.#open) return // in the middle of an epoch, once more
    this.#begin = begin
    this.#resumed = true
  }

  /**
   * What the file says.
   * @throws TorchLearnerError `ERR_NOT_FOUND`
   */
  async readLog(): Promise<CSVRow[]> {
    await this.#flush()
    const content = await reading(this.path, async () => {
      await checkTarget(this.path)
      return await readFile(this.path, 'utf8')
    })
    const [head = [], ...rows] = parse(content)
    return rows.map(row => Object.fromEntries(head.map((name, i) => [name, toValue(row[i] ?? '')])))
  }

  async #flush(upTo = this.#lines.length): Promise<void> {
    const lines = this.#lines.slice(this.#written, upTo)
    if (!this.#open || lines.length === 0) return
    this.#written = upTo
    await this.#use('a', file => file.appendFile(lines.join('')))
  }

  /** @param flags as `open` takes them */
  async #use(flags: string, body: (file: FileHandle) => Promise<void>): Promise<void> {
    await writing(this.path, async () => {
      await mkdir(dirname(this.path), { recursive: true })
      // asked before it is opened: opening a pipe would wait for a reader
      await checkTarget(this.path)
      await using file = await open(this.path, flags)
      await body(file)
    })
  }

  /** @param epoch the one that is going to be trained, `null` if none is */
  async #start(epoch: number | null): Promise<void> {
    if (this.#open) return
    const head = Buffer.from(toLine(this.learn.recorder.metricNames))
    await this.#use(this.append ? 'a+' : 'w+', async file => {
      const before = await file.readFile()
      const kept = this.append ? this.#kept(before, head) : head
      const content = Buffer.concat([kept, Buffer.from(this.#lines.join(''))])
      this.#begin = kept.length
      const same = commonLength(before, content)
      const rest = before.subarray(same)
      if (same === content.length) {
        // lines of epochs that no checkpoint has, and which are going to be trained again
        if (this.#resumed && epoch !== null && rest.toString().startsWith(`${epoch},`)) await file.truncate(same)
        return
      }
      // whole lines that someone else has added stay; half a line is written again
      const isForeign = rest.includes(NEWLINE) && content[same - 1] === NEWLINE
      if (!isForeign) await file.truncate(same)
      await file.appendFile(content.subarray(same))
    })
    this.#written = this.#lines.length
    this.#saved = this.#lines.length
    this.#open = true
  }

  /** With `append`: what was in the file before this fit, with a head, its last line ended. */
  #kept(before: Buffer, head: Buffer): Buffer {
    if (head.subarray(0, before.length).equals(before)) return head
    const first = before.subarray(0, before.indexOf('\n') + 1)
    if (!first.equals(head)) {
      throw new TorchLearnerError(
        'ERR_STATE',
        `Expected the columns ${head.toString().trim()} in ${this.path} but found ${first.toString().trim()}: choose ` +
          'another fname',
      )
    }
    const kept = before.subarray(0, this.#begin ?? before.length)
    return kept.at(-1) === NEWLINE ? kept : Buffer.concat([kept, Buffer.from('\n')])
  }
}

const NEWLINE = 10

function commonLength(a: Buffer, b: Buffer): number {
  let length = 0
  while (length < a.length && a[length] === b[length]) length++
  return Math.min(length, b.length)
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
