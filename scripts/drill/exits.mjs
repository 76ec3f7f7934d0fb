// @ts-check
// Programs that end in the middle of a training: by exit, by an error, by a signal, by a worker that is terminated. They end soon,
// as they were told, and none of them by a crash.
import { MANAGERS } from './managers.mjs'
import { withProject } from './projects.mjs'

/** @typedef {Awaited<ReturnType<typeof import('./shell.mjs').run>>} Ran */

/** @type {Record<string, { argument: string, signal?: 'SIGINT' | 'SIGTERM', ended: (ran: Ran) => boolean }>} */
const EXITS = {
  'process.exit': { argument: 'exit', ended: ({ code }) => code === 0 },
  terminate: { argument: 'terminate', ended: ({ code }) => code === 0 },
  'uncaught error': {
    argument: 'uncaught',
    ended: ({ code, output }) => code === 1 && output.includes('drill: uncaught'),
  },
  SIGINT: { argument: 'signal', signal: 'SIGINT', ended: ({ code, signal }) => signal === 'SIGINT' || code === 130 },
  SIGTERM: { argument: 'signal', signal: 'SIGTERM', ended: ({ code, signal }) => signal === 'SIGTERM' || code === 143 },
}

/** Ten of each, at other moments of the training. @param {import('./cases.mjs').Drill} drill @param {RegExp} only */
export async function exits(drill, only) {
  const chosen = Object.entries(EXITS).filter(([name]) => only.test(`exits: ${name}`))
  const [npm] = MANAGERS
  if (chosen.length === 0 || !npm) return
  const times = drill.quick ? 2 : 10
  const used = withProject(drill, npm, {}, async ({ installed, runProgram }) => {
    for (const [name, { argument, signal, ended }] of chosen) {
      const all = repeat(times, async index => {
        let sent = false
        const ran = await runProgram(['exits.mjs', argument, String(index * 37)], {
          seconds: 60,
          onOutput: (child, text) => {
            if (!signal || sent || !text.includes('READY')) return
            sent = true
            child.kill(signal)
          },
        })
        if (!ended(ran)) {
          throw new Error(`try ${index + 1} ended with ${ran.signal ?? ran.code}: ${ran.output.trim().slice(-600)}`)
        }
      })
      await drill.report(`exits: ${name}, ${times} times`, all, installed)
    }
  })
  await used.catch(error => drill.report('exits', Promise.reject(error)))
}

/** @param {number} times @param {(index: number) => Promise<void>} step */
async function repeat(times, step) {
  const started = performance.now()
  for (let index = 0; index < times; index++) await step(index)
  return { import: undefined, loss: null, ms: performance.now() - started }
}
