// Freezing, and what it leaves alone, against recordings of the reference.
import test from 'ava'
import type { Tensor } from 'torch-learner'
import { act, type FreezeCase, freezeLearner } from './helpers/freeze.js'
import { assertClose, golden } from './helpers/golden.js'

for (const fixture of golden<{ cases: FreezeCase[] }>('freeze').cases) {
  test.serial(`golden freeze: trainBn ${fixture.train_bn}`, async t => {
    const learn = freezeLearner(fixture)
    const { model } = learn
    for (const [i, { action, requires_grad, opt_state_keys, state }] of fixture.seq.entries()) {
      await act(learn, action)
      const named = new Map<string, Tensor>(model.namedParameters())
      for (const [name, expected] of Object.entries(requires_grad)) {
        t.is(named.get(name)?.requiresGrad, expected, `${i} ${action}: ${name}`)
      }
      const flags = [...named.keys()].map(name => opt_state_keys[name])
      const { state: saved } = learn.opt?.stateDict() ?? { state: [] }
      for (const [k, keys] of flags.entries()) {
        t.deepEqual(saved[k].tensors, {})
        t.is(saved[k].doWd, !keys.includes('do_wd'))
        t.is(saved[k].forceTrain, keys.includes('force_train'))
      }
      if (state === null) continue
      for (const [name, x] of model.stateDict()) await assertClose(t, x, state[name], { atol: 2e-6 }, `${i} ${name}`)
    }
  })
}
