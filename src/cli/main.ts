#!/usr/bin/env node
import { doctor } from '../native/doctor.js'
import { packageVersion } from '../provision/index.js'

const USAGE = `torch-learner <command>

  doctor       what is installed where, in which version, and whether it works
  --version    the version of this package
  --help       this text`

/** Runs one command. @returns the exit code */
async function main(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args
  if (rest.length > 0) return misuse(`Expected one command but received ${args.length}: ${args.join(' ')}`)
  switch (command) {
    case 'doctor':
      return print(await doctor())
    case '--version':
    case '-v':
      return print(packageVersion())
    case '--help':
    case '-h':
      return print(USAGE)
    case undefined:
      return misuse('Expected a command')
    default:
      return misuse(`Expected a command but received ${JSON.stringify(command)}`)
  }
}

function print(text: string): number {
  console.log(text)
  return 0
}

function misuse(text: string): number {
  console.error(`${text}\n\n${USAGE}`)
  return 2
}

main(process.argv.slice(2)).then(
  code => {
    process.exitCode = code
  },
  (error: unknown) => {
    console.error(error)
    process.exitCode = 1
  },
)
