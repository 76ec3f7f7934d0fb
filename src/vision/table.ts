import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { type Label, parseCsv } from '../data/index.js'
import { describe, TorchLearnerError } from '../native/index.js'

/** A picture file and its label. */
export interface Item {
  readonly file: string
  readonly label: Label
}

const column = z.union([z.int().min(0), z.string()], { error: "a column's number or name" })

export const CsvOptions = z.strictObject({
  csvFname: z.string({ error: "a file's name" }).default('labels.csv'),
  delimiter: z.string({ error: 'one character' }).length(1, { error: 'one character' }).default(','),
  header: z.boolean({ error: 'true or false' }).default(true),
  fnCol: column.default(0),
  labelCol: z
    .union([column, z.array(column).min(1).readonly()], { error: "a column's number or name, or an array" })
    .default(1),
  labelDelim: z.string({ error: 'a string' }).min(1, { error: 'a string' }).optional(),
  validCol: column.optional(),
  folder: z.string({ error: "a folder's name" }).default(''),
  suff: z.string({ error: "what to put behind the files' names" }).default(''),
})

/** What a table of pictures looks like. */
export interface CsvTableOptions {
  /** The table, in `path`. Default `labels.csv`. */
  csvFname?: string
  /** Between columns; default `,`. */
  delimiter?: string
  /** The first row names the columns. Default true. */
  header?: boolean
  /** The files' column, by number from 0 or by name. Default 0. */
  fnCol?: number | string
  /** The labels' column; default 1. Several columns hold a label each, or a number each. */
  labelCol?: number | string | readonly (number | string)[]
  /** What stands between several labels of a field: `cat dog` with a space. Default: a field is one label. */
  labelDelim?: string
  /** The column that says `true` (or 1, yes, valid) for pictures of validation. Default: a random share is taken. */
  validCol?: number | string
  /** The files' folder in `path`; default `path` itself. */
  folder?: string
  /** Put behind each file's name: `.jpg`. */
  suff?: string
}

/** The pictures of a table; `valid`: those for validation. */
export async function readTable(
  path: string,
  table: z.output<typeof CsvOptions>,
): Promise<(Item & { valid: boolean })[]> {
  const file = join(path, table.csvFname)
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === 'ENOENT' ? 'there is no such file' : cause.message
    throw new TorchLearnerError('ERR_NOT_FOUND', `Cannot read the table ${file}: ${reason}`, { cause })
  })
  const rows = parseCsv(text, table.delimiter, file)
  const names = table.header ? (rows.shift() ?? []) : []
  const wrong = (what: string) => new TorchLearnerError('ERR_FILE_FORMAT', `${file} has ${what}`)
  const indexOf = (wanted: number | string) => {
    const index = typeof wanted === 'number' ? wanted : names.indexOf(wanted)
    if (index < 0) throw wrong(`no column ${describe(wanted)}, only ${describe(names)}`)
    return index
  }
  const { labelCol, labelDelim } = table
  const several = Array.isArray(labelCol)
  const columns = {
    file: indexOf(table.fnCol),
    labels: [labelCol].flat().map(indexOf),
    valid: indexOf(table.validCol ?? 0),
  }
  return rows.map((row, i) => {
    const field = (at: number) => {
      if (at < row.length) return row[at]
      throw wrong(`${row.length} columns in row ${i + 1} of its pictures, where column ${at} is needed`)
    }
    const fields = columns.labels.map(field)
    const labels =
      labelDelim === undefined ? fields : fields.flatMap(text => text.split(labelDelim)).map(one => one.trim())
    return {
      file: join(path, table.folder, field(columns.file) + table.suff),
      label: several || labelDelim !== undefined ? labels.filter(one => one !== '') : labels[0],
      valid: table.validCol !== undefined && /^(true|1|yes|valid)$/i.test(field(columns.valid).trim()),
    }
  })
}
