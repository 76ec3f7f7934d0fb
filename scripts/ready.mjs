// @ts-check
// npm run ready: in a checkout, makes sure that there is an addon and the libtorch it needs. Does nothing when both are there.
import { makeReady } from '../dist/provision/index.js'
import { fail } from './report.mjs'

try {
  console.log(`torch-learner: ${await makeReady()}`)
} catch (error) {
  fail(error)
}
