import { expect, test } from '@jest/globals'
import { train } from './train.mjs'

test('a fit', async () => {
  const started = performance.now()
  const result = await train(await import('torch-learner'), started)
  expect(result.loss).toBeGreaterThan(0)
  process.stdout.write(`\nDRILL ${JSON.stringify(result)}\n`)
}, 60_000)
