// @ts-check
// Who imports whom in src/, folder by folder.
//   node scripts/imports.mjs           prints every folder, from the lowest up, with its arrows and how many imports each stands for
//   node scripts/imports.mjs --check   fails where the rule is broken: a folder imports only from the folders above it in the
//                                      table of ARCHITECTURE.md, through their index, and only types are imported in circles
import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** What says why the addon doesn't load: importing src/native/index.ts would load it. */
const WITHOUT_ADDON = ['native/doctor.ts', 'native/doctor/text.ts', 'native/locate.ts']

/** @typedef {{ from: string, to: string, line: number, typeOnly: boolean }} Import */

/** The folders in the order of the table: what stands above may be imported. */
function layers() {
  const rows = readFileSync(`${ROOT}/ARCHITECTURE.md`, 'utf8').matchAll(/^\| `(\w+)\/` \|/gm)
  return [...rows].map(([, folder]) => folder)
}

/** The folder of a file of src/; src/index.ts is in none. @param {string} file */
const folderOf = file => (file.includes('/') ? file.slice(0, file.indexOf('/')) : '')

const STATEMENT =
  /^(?:import|export)\s+(type\s)?([^'"]*?)\sfrom '(\.[^']+)'|^import '(\.[^']+)'|\bimport\('(\.[^']+)'\)/gm

/** `{ type A, type B }` @param {string} clause */
const namesTypesOnly = clause =>
  /^\{[^}]*\}$/s.test(clause) &&
  clause
    .slice(1, -1)
    .split(',')
    .every(name => /^\s*(type\s.*)?$/s.test(name))

/** The imports within src/ of a file of it. @param {string} file @returns {Import[]} */
function importsOf(file) {
  const text = readFileSync(`${ROOT}/src/${file}`, 'utf8')
  return [...text.matchAll(STATEMENT)]
    .map(({ 0: statement, 1: type, 2: clause, 3: named, 4: alone, 5: later, index }) => ({
      from: file,
      to: posix.join(posix.dirname(file), named ?? alone ?? later).replace(/\.js$/, '.ts'),
      line: text.slice(0, index + statement.search(/\S/)).split('\n').length,
      typeOnly: named !== undefined && (type !== undefined || namesTypesOnly(clause)),
    }))
    .filter(({ to }) => !to.startsWith('../'))
}

/**
 * Files that reach themselves by imports of values, in groups (Tarjan's strongly connected components).
 * @param {Import[]} imports
 */
function circles(imports) {
  /** @type {Map<string, string[]>} */
  const next = new Map()
  for (const { from, to, typeOnly } of imports) {
    if (!typeOnly) next.set(from, [...(next.get(from) ?? []), to])
  }
  /** @type {Map<string, { index: number, low: number, open: boolean }>} */
  const seen = new Map()
  /** @type {string[]} */
  const stack = []
  /** @type {string[][]} */
  const found = []
  /** @param {string} file */
  function visit(file) {
    const mark = { index: seen.size, low: seen.size, open: true }
    seen.set(file, mark)
    stack.push(file)
    for (const target of next.get(file) ?? []) {
      const known = seen.get(target) ?? visit(target)
      if (known.open) mark.low = Math.min(mark.low, known.low)
    }
    if (mark.low === mark.index) {
      const group = stack.splice(stack.indexOf(file))
      for (const member of group) /** @type {{ open: boolean }} */ (seen.get(member)).open = false
      if (group.length > 1) found.push(group)
    }
    return mark
  }
  for (const file of next.keys()) if (!seen.has(file)) visit(file)
  return found
}

const order = layers()
const files = readdirSync(`${ROOT}/src`, { recursive: true, encoding: 'utf8' })
  .map(name => name.replaceAll('\\', '/'))
  .filter(name => name.endsWith('.ts'))
  .sort()
const imports = files.flatMap(importsOf)
const arrows = imports.filter(({ from, to }) => folderOf(from) !== folderOf(to))

/** @type {string[]} */
const complaints = []
/** @param {Import} arrow */
const place = ({ from, line }) => `src/${from}:${line}`
const unlisted = [...new Set(files.map(folderOf))].filter(folder => folder !== '' && !order.includes(folder))
for (const folder of unlisted) complaints.push(`src/${folder}/ is not in the table of ARCHITECTURE.md`)
for (const arrow of arrows) {
  const [from, to] = [folderOf(arrow.from), folderOf(arrow.to)]
  if (from !== '' && order.indexOf(to) >= order.indexOf(from)) {
    complaints.push(`${place(arrow)}: upward: ${from}/ may not import from ${to === '' ? 'src/index.ts' : `${to}/`}`)
  } else if (arrow.to !== `${to}/index.ts` && !WITHOUT_ADDON.includes(arrow.to)) {
    complaints.push(
      `${place(arrow)}: past an index: take it from ${to}/index.js instead of ${arrow.to.replace(/ts$/, 'js')}`,
    )
  }
}
for (const circle of circles(imports))
  complaints.push(`values in a circle: ${circle.map(file => `src/${file}`).join(', ')}`)

if (!process.argv.includes('--check')) {
  for (const folder of [...order, '']) {
    const own = arrows.filter(({ from }) => folderOf(from) === folder)
    const targets = [...order, ''].map(target => [target, own.filter(({ to }) => folderOf(to) === target).length])
    const list = targets.filter(([, count]) => count).map(([target, count]) => `${target} ${count}`)
    const size = files.filter(file => folderOf(file) === folder).length
    console.log(`${(folder || 'index.ts').padEnd(11)}${String(size).padStart(3)} files  -> ${list.join(', ') || '-'}`)
  }
  console.log(`${imports.length} imports, ${arrows.length} from folder to folder`)
}
if (complaints.length > 0) {
  console.error(complaints.join('\n'))
  console.error(`${complaints.length} imports break the rule of ARCHITECTURE.md`)
  process.exitCode = 1
}
