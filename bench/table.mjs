export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Prints rows `{ what, here, reference, ratio, aim }` as a Markdown table. */
export function print(rows) {
  const columns = ['what', 'here', 'reference', 'ratio', 'aim']
  const titles = { what: 'measured', here: 'torch-learner', reference: 'reference', ratio: 'ratio', aim: 'aim' }
  const all = [titles, ...rows]
  const width = column => Math.max(...all.map(row => String(row[column] ?? '-').length))
  const line = row => `| ${columns.map(column => String(row[column] ?? '-').padEnd(width(column))).join(' | ')} |`
  console.log(line(titles))
  console.log(`|${columns.map(column => '-'.repeat(width(column) + 2)).join('|')}|`)
  for (const row of rows) console.log(line(row))
}
