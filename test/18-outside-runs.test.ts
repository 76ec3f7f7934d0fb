// The way out of a run, how deep named scopes may be, and failures of Learners that never run.
import test from 'ava'
import {
  Callback,
  isGradEnabled,
  noGrad,
  ones,
  onUnreadError,
  outsideRuns,
  scope,
  scopeSize,
  type Tensor,
  TorchLearnerError,
} from 'torch-learner'
import { runProgram } from './helpers/child.js'
import { shortly } from './helpers/failures.js'
import { tinyLearner } from './helpers/learning.js'

const failing = () => ones([2, 3]).mm(ones([2, 3]))

test.serial('what a callback starts outside of the run is not the run\u2019s', async t => {
  const caught: unknown[] = []
  const origins: unknown[] = []
  const stop = onUnreadError(error => origins.push(error.origin))
  const started: Promise<void>[] = []
  const work = async () => {
    const target = ones([2])
    target.add_(ones([7])) // an in-place failure of the run would reject it
    await new Promise(resolve => setImmediate(resolve))
    await failing()
      .data()
      .catch(error => caught.push(error.origin))
  }
  const cbs = new Callback({ beforeFit: () => void started.push(outsideRuns(work)) })
  await tinyLearner().fit(2, { cbs })
  await Promise.all(started)
  await shortly()
  stop()
  t.deepEqual(caught, [undefined])
  t.true(origins.every(origin => origin === undefined))
  const inside = new Callback({ beforeFit: () => void work() })
  await t.throwsAsync(tinyLearner().fit(2, { cbs: inside }), { message: /add_/ })
})

test('outside of runs is outside of everything that was in force', async t => {
  const seen = scope(() => noGrad(() => outsideRuns(() => [isGradEnabled(), scopeSize(), ones([1])] as const)))
  t.deepEqual(seen.slice(0, 2), [true, 0])
  t.is(await (seen[2] as Tensor).item(), 1)
  t.throws(() => outsideRuns(1 as unknown as () => void), { code: 'ERR_INVALID_ARG' })
})

test('named scopes within each other: some hundreds, then an error with a code', async t => {
  const nested = (depth: number): number =>
    depth === 0 ? 7 : scope(() => nested(depth - 1), { name: `level ${depth}` })
  t.is(nested(256), 7)
  const error = t.throws(() => nested(1000))
  t.true(error instanceof TorchLearnerError)
  t.regex(error?.message ?? '', /^Expected at most 256 for named scopes within each other but received 257/)
  const later = async (depth: number): Promise<number> => {
    await null
    return depth === 0 ? 7 : scope(() => later(depth - 1), { name: 'later' })
  }
  t.is(await later(256), 7)
  await t.throwsAsync(later(257), { code: 'ERR_INVALID_ARG' })
})

test('afterCreate that rejects in a Learner which never runs is warned of, with its origin', async t => {
  const program = (rest: string) => `
    const { Callback, Learner, MSELossFlat, nn } = tl
    process.on('warning', ({ code, message, origin }) => console.log(JSON.stringify({ code, message, origin })))
    class Late extends Callback {
      async afterCreate() { await null; throw new Error('too late') }
    }
    const learn = new Learner({ train: [], valid: [[tl.ones([1, 1]), tl.ones([1, 1])]] }, new nn.Linear(1, 1), { lossFunc: new MSELossFlat(), cbs: new Late() })
    ${rest}`
  const { stdout, code } = await runProgram(program(''))
  const said = JSON.parse(stdout.trim().split('\n')[0]) as {
    code: string
    message: string
    origin?: { callback?: string }
  }
  t.is(said.code, 'ERR_CALLBACK')
  t.regex(said.message, /^A callback failed and nobody was told: .*Late at afterCreate.*too late/)
  t.is(code, 1, 'the program ends as with any error that nobody handles')
  const told = await runProgram(program(`await learn.validate().catch(error => console.log('told', error.code))`))
  t.is(told.stdout.trim(), 'told ERR_CALLBACK')
})
