// @ts-check
// `instanceof Error`, `Map` or `Float32Array` says no to a thing of another realm (Jest, `vm`): every realm has classes of its
// own. src/check/kinds.ts tells such kinds apart; classes of this package are not concerned.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const KINDS = 'src/check/kinds.ts'
const QUESTIONS = [/\binstanceof\(? *([A-Za-z0-9]+)/g, /=== ([A-Za-z0-9]+)\.prototype\b/g]

/** @param {string} line */
const asksOfRealm = line =>
  QUESTIONS.some(question => [...line.matchAll(question)].some(([, type]) => Object.hasOwn(globalThis, type)))

let found = 0
for (const folder of ['src', 'scripts']) {
  const path = fileURLToPath(new URL(`../${folder}`, import.meta.url))
  for (const name of readdirSync(path, { recursive: true, encoding: 'utf8' })) {
    const file = `${folder}/${name}`
    if (!/\.(ts|mjs)$/.test(name) || file === KINDS) continue
    for (const [i, line] of readFileSync(`${path}/${name}`, 'utf8').split('\n').entries()) {
      if (!asksOfRealm(line) || line.startsWith('// ')) continue
      console.error(`${file}:${i + 1}: ${line.trim()}`)
      found++
    }
  }
}
if (found > 0) {
  console.error(
    `Fails for values of another realm: use what ${KINDS} exports (isError, messageOf, isTyped, isMap, ...)`,
  )
  process.exitCode = 1
}
