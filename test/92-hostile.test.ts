// Hostile values in every place of the public surface: symbols, proxies, cycles, other realms, detached memory, endless text.
import test from 'ava'
import { runNode } from './helpers/child.js'

test.serial('whatever is passed, errors have a code and a message of one line', async t => {
  const { code, signal, stdout, stderr } = await runNode(['--expose-gc', 'test/helpers/hostile.mjs'], { seconds: 500 })
  t.is(signal, null)
  t.is(code, 0, stderr.slice(-2000))
  const { returned, coded, own, hung, calls, uncoded } = JSON.parse(stdout) as Record<
    'returned' | 'coded' | 'own' | 'hung' | 'calls',
    number
  > & { uncoded: [string, string[]][] }
  t.log(
    `${calls} functions: ${returned} returned, ${coded} coded errors, ${own} errors of the value's own, ${hung} waited on`,
  )
  t.true(calls > 300)
  t.true(coded > 50 * calls)
  t.deepEqual(uncoded, [])
})
