import { join, sep } from 'node:path'
import {
  describe,
  field,
  flag,
  list,
  type Output,
  strictObject,
  string,
  TorchLearnerError,
  text,
  whole,
} from '../../check/index.js'
import { columnValues, isBlank, isMissing, type Label, readCsv } from '../../data/index.js'
import { inTurns, mapped } from '../../files/index.js'

/** A picture file and its label. */
export interface Item {
  readonly file: string
  readonly label: Label
}

const column = whole(0).or(string(), "a column's number or name")

export const CsvOptions = strictObject({
  csvFname: string("a file's name").default('labels.csv'),
  delimiter: field<string>('one character', value => typeof value === 'string' && value.length === 1)
    .and('a character other than a quote or a line end', value => !/["\r\n]/.test(value))
    .default(','),
  header: flag.default(true),
  fnCol: column.default(0),
  labelCol: column.or(list(column, 'an array', 1), "a column's number or name, or an array").default(1),
  labelDelim: text('a string').optional(),
  validCol: column.optional(),
  folder: string("a folder's name").default(''),
  suff: string("what to put behind the files' names").default(''),
})

/** What a table of pictures looks like. */
export interface CsvTableOptions {
  /**
   * The table, in `path`: a file in UTF-8, or in UTF-16 with a byte order mark; lines end with LF, CRLF or CR. Default `labels.csv`.
   */
  csvFname?: string
  /** Between columns; default `,`. */
  delimiter?: string
  /** The first row names the columns. Default true. */
  header?: boolean
  /** The files' column, by number from 0 or by name. Default 0. */
  fnCol?: number | string
  /**
   * The labels' column; default 1. Several columns hold a label each, or a number each.
   *
   * Columns are read as pandas reads them: where every cell is a number, labels are numbers (`01` is 1) and the classes are in the order
   * of numbers: 1, 2, 10. Else, and whenever `vocab` names the classes, labels are text as it is written.
   */
  labelCol?: number | string | readonly (number | string)[]
  /** What stands between several labels of a field: `cat dog` with a space. Default: a field is one label. */
  labelDelim?: string
  /**
   * The column that says which pictures are for validation: `true`, `yes`, `valid` or a number other than 0; those of training have
   * `false`, `no`, `train`, 0 or nothing there. Default: a random share is taken.
   */
  validCol?: number | string
  /** The files' folder in `path`; default `path` itself. */
  folder?: string
  /** Put behind each file's name: `.jpg`. */
  suff?: string
}

/** A picture of a table. */
export interface TableItem extends Item {
  /** It is for validation. */
  readonly valid: boolean
}

/** How labels are read. */
export interface LabelRules {
  /** The classes' names, where they are given: then labels are text as it is written. */
  readonly vocab?: readonly string[]
  /** A picture may have none. */
  readonly none: boolean
}

/** The pictures of a table. */
export async function readTable(
  path: string,
  table: Output<typeof CsvOptions>,
  rules: LabelRules,
): Promise<TableItem[]> {
  const file = join(path, table.csvFname)
  const reader = new TableReader(file, join(path, table.folder), table, rules)
  await readCsv(file, table.delimiter, (fields, line) => reader.row(fields, line))
  const items = await reader.items()
  if (items.length === 0) throw new TorchLearnerError('ERR_NO_DATA', `The table ${file} has no rows of pictures`)
  return items
}

/** A column of labels: each cell's number among the different ones. */
interface LabelColumn {
  readonly at: number
  readonly numbers: number[]
  readonly cells: Map<string, number>
}

const isNumbers = (parts: readonly (string | number)[]): parts is number[] =>
  parts.every(part => typeof part === 'number')

const YES = /^\s*(true|t|yes|y|valid|validation|val)\s*$/i
const NO = /^\s*(false|f|no|n|train|training)?\s*$/i
/** Paths with parts that `join` leaves out or resolves. */
const UNUSUAL = /(^|\/)\.{0,2}(\/|$)/

class TableReader {
  readonly #file: string
  readonly #folder: string
  readonly #prefix: string
  readonly #table: Output<typeof CsvOptions>
  readonly #rules: LabelRules
  readonly #files: string[] = []
  readonly #isValid = new Map<string, boolean>()
  readonly #valid: boolean[] = []
  #header: readonly string[] = []
  #width = 0
  #columns?: { readonly file: number; readonly labels: readonly LabelColumn[]; readonly valid?: number }

  constructor(file: string, folder: string, table: Output<typeof CsvOptions>, rules: LabelRules) {
    this.#file = file
    this.#folder = folder
    this.#prefix = folder === '.' ? '' : folder.replace(/\/*$/, '/')
    this.#table = table
    this.#rules = rules
  }

  row(fields: readonly string[], line: number): void {
    if (this.#columns === undefined) {
      this.#width = fields.length
      if (this.#table.header) this.#header = fields
      this.#columns = this.#findColumns()
      if (this.#table.header) return
    }
    if (fields.length > this.#width && !fields.slice(this.#width).every(isBlank)) {
      const remedy = 'a field that holds the delimiter must be quoted'
      throw this.#wrong(`${fields.length} fields in line ${line}, but ${this.#width} columns: ${remedy}`)
    }
    const cell = (at: number) => {
      if (at < fields.length) return fields[at]
      throw this.#wrong(`${fields.length} columns in line ${line}, where column ${at} is needed`)
    }
    const { file, labels, valid } = this.#columns
    const name = cell(file)
    if (isBlank(name)) throw this.#wrong(`no file's name in line ${line}`)
    this.#files.push(this.#fileOf(name))
    this.#valid.push(valid !== undefined && this.#readValid(cell(valid), line))
    for (const { at, numbers, cells } of labels) {
      const text = cell(at)
      const known = cells.get(text)
      if (known === undefined) {
        this.#checkLabel(text, line)
        cells.set(text, cells.size)
      }
      numbers.push(known ?? cells.size - 1)
    }
  }

  /** As `join` has it. Array.join makes a string of its own, which holds no part of the table's text in memory. */
  #fileOf(name: string): string {
    const { suff } = this.#table
    if (sep === '/' && !UNUSUAL.test(name) && !suff.includes('/')) return [this.#prefix, name, suff].join('')
    return join(this.#folder, name + suff)
  }

  /** The pictures, once all rows have been read. */
  async items(): Promise<TableItem[]> {
    const { labelCol, labelDelim } = this.#table
    const isSingle = !Array.isArray(labelCol) && labelDelim === undefined
    const columns = this.#labelColumns()
    const labelOf = (i: number): Label => {
      if (isSingle) return columns[0].values[columns[0].numbers[i]][0]
      const parts = columns.flatMap(({ numbers, values }) => values[numbers[i]])
      return isNumbers(parts) ? parts : parts.map(String)
    }
    return await inTurns(mapped(this.#files, (file, i) => ({ file, label: labelOf(i), valid: this.#valid[i] })))
  }

  /** The label columns, with what each of their different cells says: no label, one or several. */
  #labelColumns() {
    const { labelDelim } = this.#table
    return (this.#columns?.labels ?? []).map(({ numbers, cells }) => {
      const texts = [...cells.keys()]
      if (labelDelim !== undefined) {
        const split = (text: string) => text.split(labelDelim).map(part => part.trim())
        return { numbers, values: texts.map(text => split(text).filter(part => part !== '')) }
      }
      const inferred = this.#rules.vocab ? undefined : columnValues(texts)
      return { numbers, values: texts.map(text => (isBlank(text) ? [] : [inferred?.get(text) ?? text])) }
    })
  }

  #findColumns() {
    const { fnCol, labelCol, validCol } = this.#table
    const indexOf = (wanted: number | string) => {
      const index = typeof wanted === 'number' ? wanted : this.#header.indexOf(wanted)
      if (index < 0) throw this.#wrong(`no column ${describe(wanted)}, only ${describe(this.#header)}`)
      return index
    }
    const labels = [labelCol].flat().map(wanted => ({ at: indexOf(wanted), numbers: [], cells: new Map() }))
    return { file: indexOf(fnCol), labels, valid: validCol === undefined ? undefined : indexOf(validCol) }
  }

  #checkLabel(text: string, line: number): void {
    const { vocab, none } = this.#rules
    if (isBlank(text) ? none : !isMissing(text) || vocab?.includes(text)) return
    const meaning = `${describe(text)} stands for a missing value, as in pandas. If it is a class, name all classes with vocab`
    throw this.#wrong(`no label in line ${line}${isBlank(text) ? '' : `: ${meaning}`}`)
  }

  #readValid(text: string, line: number): boolean {
    const known = this.#isValid.get(text)
    if (known !== undefined) return known
    const number = Number(text)
    if (YES.test(text) || NO.test(text) || !Number.isNaN(number)) {
      const isValid = YES.test(text) || (!NO.test(text) && number !== 0)
      this.#isValid.set(text, isValid)
      return isValid
    }
    const expected = 'true or false, 1 or 0, yes or no, valid or train'
    throw this.#wrong(`${describe(text)} in line ${line} of the column for validation: expected ${expected}`)
  }

  #wrong(what: string): TorchLearnerError {
    return new TorchLearnerError('ERR_FILE_FORMAT', `The table ${this.#file} has ${what}`)
  }
}
