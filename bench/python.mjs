// Runs bench/reference.py or another script as a partner that takes turns with us.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/**
 * Starts the reference with the Python that PYTHON names (default python3); null when it lacks what the script imports.
 *
 * @param {number} threads
 * @param {string} name of the script in this folder
 */
export async function startReference(threads, name = 'reference.py') {
  const script = fileURLToPath(new URL(name, import.meta.url))
  const child = spawn(process.env.PYTHON ?? 'python3', [script], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // with libgomp's own waiting policy, which is the best for PyTorch on a quiet machine
    env: { ...process.env, BENCH_THREADS: String(threads) },
  })
  let complaint = ''
  child.stderr.on('data', text => {
    complaint += text
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  child.on('error', error => {
    complaint += error.message
  })
  const first = await lines.next()
  if (first.done || !first.value.startsWith('ready ')) {
    return { reference: null, reason: complaint.trim().split('\n').at(-1) ?? 'it printed nothing' }
  }
  return {
    reference: {
      version: first.value.split(' ')[1],
      /** Sends one command and returns the seconds of each repetition. */
      async ask(command) {
        child.stdin.write(`${command}\n`)
        const answer = await lines.next()
        if (answer.done) throw new Error(`the reference stopped: ${complaint.trim()}`)
        return answer.value.split(' ').map(Number)
      },
      stop: () => child.stdin.end('\n'),
    },
    reason: '',
  }
}
