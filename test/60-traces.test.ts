// The order of events, with and without cancels, as the reference dispatched them.
import test, { type ExecutionContext } from 'ava'
import { type Learner, Recorder, TorchLearnerError } from 'torch-learner'
import { golden } from './helpers/golden.js'
import { camelEvent } from './helpers/learning.js'
import { type Case, type Row, run } from './helpers/traces.js'

const { cases } = golden<{ cases: Case[] }>('traces')

// Where the reference fails by itself, or leaves the loss swapped, and ours goes on (SPEC 13.1, 13.2).
const isDefect = ({ raised, loss_func_restored }: Case): boolean => raised === 'AttributeError' || !loss_func_restored

function sameRows(t: ExecutionContext, actual: Row[], expected: Row[]): void {
  const camel = expected.map(([event, ...rest]) => [event === '<body>' ? event : camelEvent(event), ...rest])
  t.deepEqual(actual, camel as Row[])
}

async function gradsAreZero(learn: Learner): Promise<boolean> {
  for (const { grad } of learn.model.parameters()) {
    if (grad && (await grad.abs().sum().item()) !== 0) return false
  }
  return true
}

for (const recorded of cases) {
  if (isDefect(recorded)) continue
  test(recorded.name, async t => {
    const outcome = await run(recorded)
    const { learn, rows, error } = outcome
    sameRows(t, rows, recorded.trace)
    if (recorded.raised === null) t.is(error, null)
    else if (recorded.raised === 'RuntimeError')
      t.true(error instanceof TorchLearnerError && error.code === 'ERR_CALLBACK')
    else t.is((error as Error).name, recorded.raised.replace('Exception', ''))
    t.is(outcome.steps, recorded.optimizer_steps, 'optimizer steps')
    t.is(outcome.backwards, recorded.backwards, 'backwards')
    t.is(learn.training, recorded.final_training_flag, 'training')
    t.is(learn.model.training, recorded.model_training, 'model.training')
    t.is(outcome.weightsChanged, recorded.weights_changed, 'weights changed')
    t.is(await gradsAreZero(learn), recorded.grads_zero, 'gradients zero')
    t.true(outcome.lossRestored)
    t.is(learn.cbs.length, outcome.cbsBefore, 'callbacks left')
    t.is(learn.callback(Recorder)?.values.length ?? 0, recorded.recorder_values_len)
  })
}

for (const recorded of cases.filter(isDefect)) {
  test(`${recorded.name}: as the reference should have`, async t => {
    const { learn, rows, error, lossRestored, cbsBefore } = await run(recorded)
    t.true(lossRestored)
    t.is(learn.cbs.length, cbsBefore)
    if (recorded.name.startsWith('mixup_error')) t.true(error instanceof TorchLearnerError)
    else t.is(error, null)
    // up to the place where the reference broke, or went on with the wrong loss, the traces agree
    const right = recorded.name.startsWith('mixup_epoch@')
      ? recorded.trace.findIndex(row => row[0] === 'after_epoch')
      : recorded.trace.length
    const common = recorded.trace.slice(0, right)
    sameRows(t, rows.slice(0, common.length), common)
    await learn.fit(1) // it goes on working
    t.is(learn.recorder.values.length, 1)
  })
}
