import { messageOf, TorchLearnerError } from '../check/index.js'
import { runProgram } from './programs.js'

/** What `torch-learner setup` can bring. */
const MISSING = ['ERR_ADDON_MISSING', 'ERR_LIBTORCH_MISSING']

const isWanted = () => /^(1|on|true|yes)$/i.test(process.env.TORCH_LEARNER_AUTO_SETUP ?? '')

/**
 * Loads; and where the environment has TORCH_LEARNER_AUTO_SETUP=1 and something is missing, provides that and loads again. It
 * blocks, since loading does: in another process, whose lines go to stderr, and under the locks that `setup` takes.
 *
 * @throws the error of `load`; when providing failed too, one that says so
 */
export function withAutoSetup<T>(load: () => T): T {
  try {
    return load()
  } catch (error) {
    if (!isWanted() || !(error instanceof TorchLearnerError) || !MISSING.includes(error.code)) throw error
    setUp(error)
    return load()
  }
}

function setUp(missing: TorchLearnerError): void {
  const { status, signal, error } = runProgram('cli', ['setup', '--yes'], {
    // stdout belongs to the program that imports this
    stdio: ['ignore', 2, 2],
    env: { TORCH_LEARNER_AUTO_SETUP: '' },
  })
  if (status === 0) return
  const how = error ? messageOf(error) : signal ? `it was ended by ${signal}` : 'see its lines on stderr'
  throw new TorchLearnerError(
    missing.code,
    `TORCH_LEARNER_AUTO_SETUP is set, and \`torch-learner setup\` has failed: ${how}. ${missing.message}`,
    { cause: missing },
  )
}
