// Whole trainings, step by step, against recordings of the reference: same weights, data and random choices.
import test from 'ava'
import { setNumThreads } from 'torch-learner'
import { assertRun, extras, mixing, type Run } from './helpers/e2e.js'
import { golden } from './helpers/golden.js'

setNumThreads(1)

for (const fixture of ['e2e_plain', 'e2e_mixup', 'e2e_cutmix']) {
  for (const [i, run] of golden<{ runs: Run[] }>(fixture).runs.entries()) {
    for (const channelsLast of [false, true]) {
      const title = `${fixture} ${i}: ${run.fit}, ${run.opt}, ${run.loss}${channelsLast ? ', channels last' : ''}`
      test.serial(title, async t => {
        await assertRun(t, run, { channelsLast, cbs: mixing(run) })
      })
    }
  }
}

for (const [i, run] of golden<{ runs: Run[] }>('e2e_extras').runs.entries()) {
  test.serial(`e2e_extras ${i}: ${run.extra_callbacks}`, async t => {
    const { cbs = [], ...rest } = extras(run)
    await assertRun(t, run, { cbs: [...mixing(run), ...cbs], ...rest })
  })
}
