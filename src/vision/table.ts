import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { parseCsv } from '../data/index.js'
import { describe, TorchLearnerError } from '../native/index.js'

/** A picture file and its label. */
export interface Item {
  readonly file: string
  readonly label: string
}

const column = z.union([z.int().min(0), z.string()], { error: "a column's number or name" })

export const CsvOptions = z.strictObject({
  csvFname: z.string({ error: "a file's name" }).default('labels.csv'),
  delimiter: z.string({ error: 'one character' }).length(1, { error: 'one character' }).default(','),
  header: z.boolean({ error: 'true or false' }).default(true),
  fnCol: column.default(0),
  labelCol: column.default(1),
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
  /** Columns by number from 0 or by name: files (default 0), labels (default 1), and which are for validation (default: none). */
  fnCol?: number | string
  labelCol?: number | string
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
  const columns = { file: indexOf(table.fnCol), label: indexOf(table.labelCol), valid: indexOf(table.validCol ?? 0) }
  return rows.map((row, i) => {
    const field = (at: number) => {
      if (at < row.length) return row[at]
      throw wrong(`${row.length} columns in row ${i + 1} of its pictures, where column ${at} is needed`)
    }
    return {
      file: join(path, table.folder, field(columns.file) + table.suff),
      label: field(columns.label),
      valid: table.validCol !== undefined && /^(true|1|yes|valid)$/i.test(field(columns.valid).trim()),
    }
  })
}
