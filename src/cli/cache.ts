import { cacheEntries, cacheFolder, datasetsFolder, KINDS, removeEntry, weightsFolder } from '../provision/index.js'
import { parse, sizeText, UsageError } from './arguments.js'

/** `torch-learner cache ls|rm|size`: what has been fetched and compiled. @returns the exit code */
export async function cache(args: readonly string[]): Promise<number> {
  const { positionals } = parse({ args: [...args], options: {}, allowPositionals: true })
  const [action, ...names] = positionals
  if (action === 'rm') return await remove(names)
  if (action !== 'ls' && action !== 'size') {
    const received = action === undefined ? '' : ` but received ${JSON.stringify(action)}`
    throw new UsageError(`Expected ls, rm or size after cache${received}`)
  }
  if (names.length > 0) throw new UsageError(`Expected nothing after cache ${action} but received ${names.join(' ')}`)
  return action === 'ls' ? list() : sizes()
}

function list(): number {
  const entries = cacheEntries()
  for (const { kind, name, bytes, problem } of entries) {
    console.log(`${kind.padEnd(10)}${sizeText(bytes).padStart(10)}  ${name}${problem ? `  (${problem})` : ''}`)
  }
  if (entries.length === 0) console.log('nothing is kept')
  console.log(`\nlibtorch, addons: ${cacheFolder()}`)
  console.log(`weights: ${weightsFolder()} (PyTorch's too)\ndatasets: ${datasetsFolder()} (fastai's too)`)
  return 0
}

function sizes(): number {
  const entries = cacheEntries()
  const sum = (kind?: string) =>
    entries.filter(entry => kind === undefined || entry.kind === kind).reduce((total, { bytes }) => total + bytes, 0)
  for (const kind of KINDS) console.log(`${kind.padEnd(10)}${sizeText(sum(kind)).padStart(10)}`)
  console.log(`${'all'.padEnd(10)}${sizeText(sum()).padStart(10)}`)
  return 0
}

async function remove(names: readonly string[]): Promise<number> {
  const entries = cacheEntries()
  const known = [...KINDS, 'all']
  if (names.length === 0) throw new UsageError(`Expected ${known.join(', ')} or a name of \`cache ls\` after cache rm`)
  const chosen = new Set<(typeof entries)[number]>()
  for (const name of names) {
    const found = entries.filter(entry => name === 'all' || entry.kind === name || entry.name === name)
    if (found.length === 0 && !known.includes(name)) {
      throw new UsageError(
        `Expected ${known.join(', ')} or a name of \`cache ls\` but received ${JSON.stringify(name)}`,
      )
    }
    for (const entry of found) chosen.add(entry)
  }
  for (const entry of chosen) {
    await removeEntry(entry)
    console.log(`removed ${entry.name} (${sizeText(entry.bytes)})`)
  }
  if (chosen.size === 0) console.log('there is nothing of it')
  return 0
}
