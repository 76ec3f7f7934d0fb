// Calls each public operator many times with random arguments; run by scripts/check-fuzz.mjs in processes of its own,
// which may die. Arguments: seed, calls of each operator, file for the call being made, number of the first call,
// pattern of operators' names.
import { openSync, writeSync } from 'node:fs'
import * as tl from '../../dist/index.js'
import { native } from '../../dist/native/index.js'
import { unsafeKind } from '../../dist/tensor/unsafe.js'
import { anything, chance, chooseLikeness, many, pick, schemaArguments, seed, show } from './fuzz-values.mjs'

const [seedText, perOperator, logFile, first, pattern] = process.argv.slice(2)
tl.setNumThreads(1)
const names = native.operators().filter(name => unsafeKind(name) === null && new RegExp(pattern).test(name))
const schemas = names.map(name => native.schemas(name))
const log = openSync(logFile, 'w')
const counts = { returned: 0, refused: 0 }
const tried = new Set()
const succeeded = new Set()
const lastErrors = new Map()
const uncoded = new Map()

async function read(value, depth = 0) {
  if (value instanceof tl.Tensor) {
    if (value.numel < 1e6) await value.data()
  } else if (Array.isArray(value) && depth < 2) {
    for (const item of value.slice(0, 10)) await read(item, depth + 1)
  } else if (value instanceof Promise) {
    await read(await value, depth + 1)
  }
}

const total = names.length * Number(perOperator)
for (let i = Number(first); i < total; i++) {
  const index = Math.floor(i / Number(perOperator))
  seed(Number(seedText) * 1_000_003 + i)
  tried.add(names[index])
  await tl.scope(async () => {
    const [space, base] = names[index].split('::')
    chooseLikeness(base)
    const args = chance(0.93) ? schemaArguments(pick(schemas[index])) : many(6, anything)
    writeSync(log, `${i} ${names[index]}(${args.map(show)})\n`.padEnd(600).slice(0, 600), 0)
    try {
      await read(await tl.ops[space][base](...args))
      counts.returned++
      succeeded.add(names[index])
    } catch (error) {
      counts.refused++
      const { code, message } = error ?? {}
      lastErrors.set(names[index], String(message).slice(0, 200))
      const said = typeof message === 'string' && /^\S[^\n]*\S$/.test(message)
      if (!(error instanceof tl.TorchLearnerError && said))
        uncoded.set(names[index], `${code} ${String(error).slice(0, 200)}`)
    }
    await tl.mark().catch(() => undefined) // told above
  })
}
writeSync(log, `${total} done\n`.padEnd(600), 0)
const never = [...tried].filter(name => !succeeded.has(name)).map(name => [name, lastErrors.get(name)])
console.log(JSON.stringify({ ...counts, operators: tried.size, never, uncoded: [...uncoded] }))
process.exit(0)
