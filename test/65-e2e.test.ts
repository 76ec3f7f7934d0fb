// Whole trainings, step by step, against recordings of the reference: same weights, data and random choices.
import test from 'ava'
import { CutMix, GradientAccumulation, GradientClip, MixUp, setNumThreads } from 'torch-learner'
import { assertRun, type Run, replay } from './helpers/e2e.js'
import { golden } from './helpers/golden.js'

setNumThreads(1)

const cutmix = (run: Run) => new CutMix({ alpha: 1, random: replay(run.steps) })
const mixup = (run: Run) => new MixUp({ alpha: 0.4, random: replay(run.steps) })
const mixing = {
  none: () => [],
  mixup: (run: Run) => [mixup(run)],
  cutmix: (run: Run) => [cutmix(run)],
}

for (const fixture of ['e2e_plain', 'e2e_mixup', 'e2e_cutmix']) {
  for (const [i, run] of golden<{ runs: Run[] }>(fixture).runs.entries()) {
    for (const channelsLast of [false, true]) {
      const title = `${fixture} ${i}: ${run.fit}, ${run.opt}, ${run.loss}${channelsLast ? ', channels last' : ''}`
      test.serial(title, async t => {
        await assertRun(t, run, { channelsLast, cbs: mixing[run.kind](run) })
      })
    }
  }
}

const [clipped, accumulated, tuned] = golden<{ runs: Run[] }>('e2e_extras').runs

test.serial('e2e_extras 0: gradients clipped', async t => {
  await assertRun(t, clipped as Run, { cbs: [mixup(clipped as Run), new GradientClip(0.1)] })
})

test.serial('e2e_extras 1: gradients accumulated', async t => {
  await assertRun(t, accumulated as Run, { cbs: [mixup(accumulated as Run), new GradientAccumulation({ nAcc: 12 })] })
})

test.serial('e2e_extras 2: fineTune with CutMix', async t => {
  await assertRun(t, tuned as Run, { cbs: [cutmix(tuned as Run)], run: learn => learn.fineTune(1, { baseLr: 1e-2 }) })
})
