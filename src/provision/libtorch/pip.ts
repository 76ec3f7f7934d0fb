// The same wheel through pip, which may know a mirror, a local folder or an authority that we don't.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { which } from '../addon/toolchain.js'
import { VERSION, WHEEL } from './release.js'

const ARGUMENTS = [
  ...['-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '--python-version', '3.11'],
  ...['--implementation', 'cp', '--abi', 'cp311', '--platform', 'manylinux_2_28_x86_64'],
  ...['--retries', '0', '--timeout', '10', '--disable-pip-version-check', '--no-input'],
]

/** For the whole download; pip's own timeout is only for a silent line. */
const LIMIT = 30 * 60_000

/** @param nearby path whose folder is on the right disk */
export async function pipDownload(nearby: string): Promise<{ archive: string; remove: () => void }> {
  const python = which('python3') ?? which('python')
  if (!python) throw new Error('python3 is not on PATH')
  const folder = mkdtempSync(join(dirname(nearby), 'torch-learner-pip-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  try {
    await run(python, [...ARGUMENTS, '--dest', folder, `torch==${VERSION}+cpu`])
    return { archive: join(folder, WHEEL.file), remove }
  } catch (error) {
    remove()
    throw error
  }
}

function run(program: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: LIMIT })
    let errors = ''
    child.stderr.setEncoding('utf8').on('data', text => {
      errors += text
    })
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) return resolve()
      const lines = errors.trim().split('\n')
      const last = lines.filter(line => /^ERROR|No module named/.test(line)).at(-1) ?? lines.at(-1)
      reject(
        new Error(`pip ${signal ? `was ended by ${signal}` : `failed with code ${code}`}: ${last || 'no message'}`),
      )
    })
  })
}
