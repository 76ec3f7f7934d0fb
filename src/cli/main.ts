#!/usr/bin/env node
import { isError, messageOf } from '../check/index.js'
import { packageVersion } from '../provision/index.js'
import { UsageError } from './arguments.js'
import { cache } from './cache.js'
import { doctor } from './doctor.js'
import { build, setup } from './setup.js'

const USAGE = `torch-learner <command>

  setup        makes sure that libtorch and the compiled addon are here
    --backend auto|cpu|cu130   default auto: cpu, as long as there is no CUDA build
    --from <url|file|folder>   where libtorch comes from: a mirror of the wheel, the wheel, or an unpacked libtorch
    --sha256 <digits>          of the file of --from, if it isn't the official wheel
    --dev                      with the headers to compile with
    --yes, -y                  don't ask before fetching
  build        compiles the addon on this machine
  cache ls     what has been fetched and compiled: libtorch, addons, weights, datasets, downloads
  cache size   the room that it takes
  cache rm <kind or name>...   removes it; all: everything
  doctor       what is installed where, whether it works, and what to do if it doesn't; exits with 1 then
    --json                     for programs
  --version    the version of this package
  --help       this text`

/** What there is, each with what follows it. They return the exit code. */
const COMMANDS: Readonly<Record<string, (args: readonly string[]) => Promise<number>>> = {
  setup,
  build,
  cache,
  doctor,
}

/** Runs one command. @returns the exit code */
async function main(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args
  if (command === undefined) throw new UsageError('Expected a command')
  if (args.includes('--help') || args.includes('-h')) return print(USAGE)
  if (command === '--version' || command === '-v') return print(packageVersion())
  if (Object.hasOwn(COMMANDS, command)) return await COMMANDS[command](rest)
  throw new UsageError(`Expected a command but received ${JSON.stringify(command)}`)
}

function print(text: string): number {
  console.log(text)
  return 0
}

/** How a command ends that can't go on: the sentence, without the stack of our own code. */
function report(error: unknown): number {
  if (error instanceof UsageError) {
    console.error(`${error.message}\n\n${USAGE}`)
    return 2
  }
  const stack = process.env.TORCH_LEARNER_DEBUG && isError(error) ? error.stack : undefined
  console.error(`\ntorch-learner: ${stack ?? messageOf(error)}\n`)
  return 1
}

main(process.argv.slice(2))
  .catch(report)
  .then(code => {
    process.exitCode = code
  })
