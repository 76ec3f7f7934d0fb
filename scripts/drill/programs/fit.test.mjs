import { expect, test } from 'vitest'
import { train } from './train.mjs'

test('a fit', async () => {
  const started = performance.now()
  const result = await train(await import('torch-learner'), started)
  expect(result.loss).toBeGreaterThan(0)
  console.log(`\nDRILL ${JSON.stringify(result)}`)
}, 60_000)
