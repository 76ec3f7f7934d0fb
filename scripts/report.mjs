// @ts-check
// How scripts end when they can't go on: the sentence, without the stack of our own code.
import { isError, messageOf } from '../dist/check/index.js'

/** @param {unknown} error @returns {never} */
export function fail(error) {
  const text = process.env.TORCH_LEARNER_DEBUG && isError(error) ? error.stack : messageOf(error)
  console.error(`\ntorch-learner: ${text}\n`)
  process.exit(1)
}
