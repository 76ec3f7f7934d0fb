// Defaults and refusals, as recorded.
import test from 'ava'
import { Adam, CutMix, Learner, MixHandler, MixUp, nn, SGD } from 'torch-learner'
import { assertNumbers, golden } from './helpers/golden.js'
import { tinyBatches, tinyLearner } from './helpers/learning.js'

const misc = golden<{
  default_cb_names: string[]
  signature_defaults: Record<string, Record<string, string>>
  alpha_validation: { cls: 'MixUp' | 'CutMix'; alpha: string; ok: boolean; error?: string }[]
}>('misc_learner')

/** A recorded default as a number. */
const number = (owner: string, name: string) => Number(misc.signature_defaults[owner]?.[name])

test('a new Learner', t => {
  const learn = new Learner({ train: tinyBatches(1) }, new nn.Linear(1, 1), { lossFunc: pred => pred.mean() })
  const recorded = misc.signature_defaults.Learner ?? {}
  t.is(learn.lr, number('Learner', 'lr'))
  t.is(learn.modelDir, recorded.model_dir)
  t.is(`(${learn.moms.join(', ')})`, recorded.moms)
  t.deepEqual([learn.wd, recorded.wd], [null, 'None'])
  const { wd, mom, sqrMom, eps } = learn.createOpt().hypers[0] ?? {}
  t.deepEqual(
    [wd, mom, sqrMom, eps],
    ['wd', 'mom', 'sqr_mom', 'eps'].map(name => number('Adam', name)),
  )
  t.true(learn.opt instanceof Adam)
  const sgd = new SGD(learn.model.parameters(), { lr: 1 })
  t.deepEqual([sgd.hypers[0]?.mom, sgd.hypers[0]?.wd], [number('SGD', 'mom'), number('SGD', 'wd')])
  // CastToTensor guards against subclasses of tensors, which there are none of
  const names = misc.default_cb_names.filter(name => name !== 'cast_to_tensor')
  t.deepEqual(
    learn.cbs.map(cb => cb.name),
    names.map(name => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())),
  )
})

const fits: Record<string, (learn: Learner, explicit: boolean) => Promise<void>> = {
  fit_one_cycle: (learn, explicit) => learn.fitOneCycle(2, explicit ? shape('fit_one_cycle', ONE_CYCLE) : {}),
  fit_flat_cos: (learn, explicit) => learn.fitFlatCos(2, explicit ? shape('fit_flat_cos', FLAT) : {}),
  fit_sgdr: (learn, explicit) => learn.fitSgdr(2, 1, explicit ? shape('fit_sgdr', { cycleMult: 'cycle_mult' }) : {}),
  fine_tune: (learn, explicit) => learn.fineTune(1, explicit ? shape('fine_tune', FINE_TUNE) : {}),
}
const FLAT = { divFinal: 'div_final', pctStart: 'pct_start' }
const ONE_CYCLE = { ...FLAT, div: 'div', startEpoch: 'start_epoch' }
const FINE_TUNE = { ...ONE_CYCLE, baseLr: 'base_lr', freezeEpochs: 'freeze_epochs', lrMult: 'lr_mult' }

/** Options that say what the recorded defaults are. */
function shape(owner: string, names: Record<string, string>): Record<string, number> {
  return Object.fromEntries(Object.entries(names).map(([ours, theirs]) => [ours, number(owner, theirs)]))
}

for (const [name, train] of Object.entries(fits)) {
  test.serial(`${name} by its recorded defaults`, async t => {
    const [plain, explicit] = [tinyLearner(), tinyLearner()]
    await train(plain, false)
    await train(explicit, true)
    t.true((plain.recorder.hps.lr ?? []).length > 0)
    t.deepEqual(plain.recorder.hps, explicit.recorder.hps)
  })
}

test.serial('lrFind by its recorded defaults', async t => {
  const [plain, explicit] = [tinyLearner(), tinyLearner()]
  const options = shape('lr_find', { startLr: 'start_lr', endLr: 'end_lr', numIt: 'num_it' })
  assertNumbers(t, (await plain.lrFind()).lrs, (await explicit.lrFind(options)).lrs, { atol: 0, rtol: 0 })
})

class Plain extends MixHandler {}

test('alpha', t => {
  t.deepEqual(
    [new Plain().alpha, new MixUp().alpha, new CutMix().alpha],
    ['MixHandler', 'MixUp', 'CutMix'].map(name => number(name, 'alpha')),
  )
  const classes = { MixUp, CutMix }
  const values: Record<string, unknown> = { inf: Number.POSITIVE_INFINITY, nan: Number.NaN }
  for (const { cls, alpha, ok, error } of misc.alpha_validation) {
    const value = error === 'TypeError' ? alpha : (values[alpha] ?? Number(alpha))
    const make = () => new classes[cls](value as number)
    // better than recorded: 1 is as good as 1.0; an infinite alpha, whose samples are nonsense there, is refused
    const accepted = alpha === '1' || (ok && alpha !== 'inf')
    if (accepted) t.is(make().alpha, Number(alpha))
    else t.throws(make, { code: 'ERR_INVALID_ARG' }, `${cls}(${alpha})`)
  }
})
