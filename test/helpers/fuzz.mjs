// Calls random operators and everything public with random arguments; run in a process of its own, since the point is
// that the process survives. Arguments: seed, number of calls, file for the call being made, [first call].
//
// Half of the calls are of operators, the other half go through the public functions, classes and Tensor's methods by
// turns, so that each is called as often as the others.
import { mkdtempSync, openSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tl from '../../dist/index.js'
import { native } from '../../dist/native/index.js'
import { unsafeKind } from '../../dist/tensor/unsafe.js'
import {
  anything,
  chance,
  chooseLikeness,
  many,
  pick,
  schemaArguments,
  seed as seedValues,
  show,
  smallTensor,
} from './fuzz-values.mjs'

const [seed, count, logFile, first = 0] = process.argv.slice(2)
// some functions write files
process.chdir(mkdtempSync(join(tmpdir(), 'torch-learner-fuzz-')))

/** Not public: marked @internal in src/tensor/tensor.ts. */
const EXCLUDED = new Set(['handOver', 'take', 'written'])

const operators = native.operators().filter(name => unsafeKind(name) === null && !EXCLUDED.has(name))
const methods = Object.getOwnPropertyNames(tl.Tensor.prototype).filter(name => {
  const { value } = Object.getOwnPropertyDescriptor(tl.Tensor.prototype, name)
  return typeof value === 'function' && name !== 'constructor' && !EXCLUDED.has(name)
})

// Errors are made by us alone; what else the abstract handlers take comes from their subclasses; the constructor of
// ClassificationInterpretation is private
for (const name of ['StateDictError', 'TorchLearnerError', 'MixHandler', 'RegionMix', 'ClassificationInterpretation'])
  EXCLUDED.add(name)

/** What can be called or constructed in a namespace, as `name -> (args) => result`. */
function callables(prefix, space) {
  return Object.entries(space)
    .filter(([name, value]) => typeof value === 'function' && !EXCLUDED.has(name))
    .map(([name, value]) => {
      const isClass = /^class\b/.test(Function.prototype.toString.call(value))
      return [`${isClass ? 'new ' : ''}${prefix}${name}`, args => (isClass ? new value(...args) : value(...args))]
    })
}

const publicCalls = [
  // Tensor's own constructor takes over native handles: it is internal, too
  ...callables('', tl).filter(([name]) => name !== 'new Tensor'),
  ...callables('nn.', tl.nn),
  ...callables('optim.', tl.optim),
  ...callables('hostRandom.', tl.hostRandom),
  ...callables('cuda.', tl.cuda),
  ...methods.map(name => [`Tensor.${name}`, ([self, ...args]) => self[name](...args)]),
]

function choose(turn) {
  chooseLikeness()
  if (turn % 2 === 0) {
    const name = pick(operators)
    const [space, base] = name.split('::')
    const args = chance(0.85) ? schemaArguments(pick(native.schemas(name))) : many(6, anything)
    return { name, args, call: () => (tl.ops[space] ?? tl.ops.aten)[base](...args) }
  }
  const [name, make] = publicCalls[((turn - 1) / 2) % publicCalls.length]
  const args = many(4, anything)
  if (name.startsWith('Tensor.')) args.unshift(smallTensor())
  return { name, args, call: () => make(args) }
}

async function settle(value, depth = 0) {
  if (value instanceof tl.Tensor) {
    if (value.numel < 1e6) await value.data()
  } else if (Array.isArray(value) && depth < 3) {
    for (const item of value.slice(0, 10)) await settle(item, depth + 1)
  } else if (value instanceof Promise) {
    const result = await Promise.race([value, new Promise(resolve => setTimeout(resolve, 2000, null))])
    if (depth < 3) await settle(result, depth + 1)
  }
}

const log = openSync(logFile, 'w')
const counts = { returned: 0, coded: 0 }
const wrong = new Map()
process.on('unhandledRejection', error => note(error, 'unhandled'))

/** Every error must be one of ours that says something, on one line. */
function note(error, name) {
  const { code, message } = error ?? {}
  const said = typeof message === 'string' && /^\S[^\n]*\S$/.test(message)
  if (error instanceof tl.TorchLearnerError && /^ERR_[A-Z_]+$/.test(code) && said) counts.coded++
  else wrong.set(name, String(error?.stack ?? error).slice(0, 400))
}

for (let i = Number(first); i < Number(count); i++) {
  seedValues(Number(seed) * 100_003 + i)
  await tl.scope(async () => {
    const { name, args, call } = choose(i)
    writeSync(log, `${i} ${name}(${args.map(show)})\n`.padEnd(400).slice(0, 400), 0)
    try {
      await settle(await call())
      counts.returned++
    } catch (error) {
      note(error, name)
    }
    await tl.mark().catch(error => note(error, name))
  })
}
console.log(JSON.stringify({ ...counts, wrong: [...wrong], names: publicCalls.length }))
process.exit(0)
