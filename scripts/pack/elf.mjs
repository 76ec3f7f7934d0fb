// @ts-check
// What a Linux binary asks of a machine, and what it says of the one that it was made on.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'

/** libtorch itself needs these. */
const FLOOR = { GLIBC: '2.28', GLIBCXX: '3.4.22' }

/** Libraries that every machine with Node and libtorch has. Codecs are not among them: they are linked in. */
const ALLOWED =
  /^(libtorch_cpu|libc10|libgomp|libstdc\+\+|libm|libgcc_s|libc|libdl|librt|libpthread|ld-linux-[\w-]+)\.so/

/** @param {string} program @param {string[]} args */
const output = (program, args) => execFileSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 28 })

/** @param {string} a @param {string} b */
const isNewer = (a, b) => a.localeCompare(b, 'en', { numeric: true }) > 0

/** @param {string} file @returns {[family: keyof typeof FLOOR, version: string, symbol: string][]} */
function versionedSymbols(file) {
  const symbols = output('objdump', ['-T', file]).matchAll(/\((GLIBC|GLIBCXX)_([\d.]+)\)\s+(\S+)/g)
  return [...symbols].map(([, family, version, symbol]) => [
    /** @type {keyof typeof FLOOR} */ (family),
    String(version),
    String(symbol),
  ])
}

/** The newest versions of the C and C++ libraries that a file asks for. @param {string} file */
export function floorOf(file) {
  /** @type {Record<string, string>} */
  const floor = {}
  for (const [family, version] of versionedSymbols(file)) {
    if (isNewer(version, floor[family] ?? '0')) floor[family] = version
  }
  return floor
}

/** @param {string} file @param {string} tag of the dynamic section @returns {string[]} */
const dynamic = (file, tag) =>
  [...output('objdump', ['-p', file]).matchAll(new RegExp(`^\\s+${tag}\\s+(\\S+)`, 'gm'))].map(([, value]) =>
    String(value),
  )

/**
 * What is wrong with a binary that goes to others, as sentences.
 * @param {string} file
 * @param {string[]} folders of this machine that it must not name
 * @returns {string[]}
 */
export function complaints(file, folders) {
  const newer = versionedSymbols(file).filter(([family, version]) => isNewer(version, FLOOR[family]))
  const foreign = dynamic(file, 'NEEDED').filter(name => !ALLOWED.test(name))
  const search = [...dynamic(file, 'RUNPATH'), ...dynamic(file, 'RPATH')].join(':').split(':')
  const strange = search.filter(path => path !== '' && !path.startsWith('$ORIGIN'))
  const paths = pathsIn(file, folders)
  return [
    newer.length > 0 &&
      `needs a newer system than libtorch does: ${newer.map(([family, version, symbol]) => `${symbol}@${family}_${version}`).join(', ')}`,
    foreign.length > 0 && `needs libraries that are not linked in: ${foreign.join(', ')}`,
    strange.length > 0 && `searches folders of this machine: ${strange.join(', ')}`,
    paths.length > 0 && `names files of this machine: ${paths.slice(0, 5).join(', ')}`,
  ].flatMap(text => (text ? [text] : []))
}

/** Full paths of sources, and whatever lies in `folders` or at home. @param {string} file @param {string[]} folders */
function pathsIn(file, folders) {
  const text = readFileSync(file, 'latin1')
  const sources = text.match(/(?<![\w.$+-])(?:\/[\w.+@-]+)+\.(?:c|cc|cpp|cu|h|hpp)\b/g) ?? []
  const known = [...folders, homedir()].filter(folder => folder.length > 1 && text.includes(folder))
  return [...new Set([...known, ...sources])]
}
