import { TorchLearnerError } from '../native/index.js'

/**
 * The rows of a table in CSV (RFC 4180): fields may be quoted, and quoted ones hold delimiters, line ends and doubled quotes.
 *
 * @param where for the error message
 * @throws TorchLearnerError `ERR_FILE_FORMAT` when a quote isn't closed
 */
export function parseCsv(text: string, delimiter: string, where: string): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  let field = ''
  let quoted = false
  const endRow = () => {
    row.push(field)
    if (row.length > 1 || row[0] !== '') rows.push(row)
    row = []
    field = ''
  }
  const content = text.replace(/^\uFEFF/, '')
  for (let i = 0; i < content.length; i++) {
    const char = content[i]
    if (quoted) {
      if (char !== '"') field += char
      else if (content[i + 1] === '"') field += content[++i]
      else quoted = false
    } else if (char === '"' && field === '') quoted = true
    else if (char === delimiter) {
      row.push(field)
      field = ''
    } else if (char === '\n') endRow()
    else if (char !== '\r' || content[i + 1] !== '\n') field += char
  }
  if (quoted) throw new TorchLearnerError('ERR_FILE_FORMAT', `${where} has a quote that isn't closed`)
  endRow()
  return rows
}
