// Whole trainings, step by step, against recordings of the reference: same weights, data and random choices.
import test from 'ava'
import { GradientAccumulation, GradientClip, MixUp, setNumThreads } from 'torch-learner'
import { assertRun, type Run, replay } from './helpers/e2e.js'
import { golden } from './helpers/golden.js'

setNumThreads(1)

const mixup = (run: Run) => new MixUp({ alpha: 0.4, random: replay(run.steps) })

for (const fixture of ['e2e_plain', 'e2e_mixup']) {
  for (const [i, run] of golden<{ runs: Run[] }>(fixture).runs.entries()) {
    for (const channelsLast of [false, true]) {
      const title = `${fixture} ${i}: ${run.fit}, ${run.opt}, ${run.loss}${channelsLast ? ', channels last' : ''}`
      test.serial(title, async t => {
        await assertRun(t, run, { channelsLast, cbs: run.kind === 'mixup' ? [mixup(run)] : [] })
      })
    }
  }
}

const [clipped, accumulated] = golden<{ runs: Run[] }>('e2e_extras').runs

test.serial('e2e_extras 0: gradients clipped', async t => {
  await assertRun(t, clipped as Run, { cbs: [mixup(clipped as Run), new GradientClip(0.1)] })
})

test.serial('e2e_extras 1: gradients accumulated', async t => {
  await assertRun(t, accumulated as Run, { cbs: [mixup(accumulated as Run), new GradientAccumulation({ nAcc: 12 })] })
})
