// @ts-check
// How scripts end when they can't go on: the sentence, without the stack of our own code.

/** @param {unknown} error @returns {never} */
export function fail(error) {
  const text = error instanceof Error ? (process.env.TORCH_LEARNER_DEBUG ? error.stack : error.message) : String(error)
  console.error(`\ntorch-learner: ${text}\n`)
  process.exit(1)
}
