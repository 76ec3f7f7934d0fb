// A real ResNet-18 trained step by step as the reference did: recorded weights, pictures and random choices.
import test from 'ava'
import {
  Callback,
  CrossEntropyLossFlat,
  CutMix,
  errorRate,
  MixUp,
  resnet18,
  setNumThreads,
  slice,
  visionLearner,
} from 'torch-learner'
import { replay, type Step } from './helpers/e2e.js'
import { assertNumbers, type Fixture, golden, numbersOf, toTensor } from './helpers/golden.js'
import { hashFill, hashTensor } from './helpers/hash-fill.js'

setNumThreads(1)

interface Run {
  kind: 'none' | 'mixup' | 'cutmix'
  frozen: boolean
  lr_slice: [number | null, number]
  n_out: number
  bs: number
  size: number
  n_epoch: number
  init_salt0: number
  train_x_salts: number[]
  valid_x_salt: number
  x_scale: number
  train_y: Fixture[]
  valid_y: Fixture
  steps: (Step & { pred_first_row: Fixture })[]
  epochs: { train_loss: number; valid_loss: number; error_rate: number }[]
  final_param_norms: Record<string, number>
  final_bn: Record<string, { mean_sum: number; var_sum: number }>
}

for (const run of golden<{ runs: Run[] }>('e2e_resnet18').runs) {
  test.serial(`e2e_resnet18: ${run.kind}${run.frozen ? ', frozen' : ''}`, async t => {
    const pictures = (salt: number) => hashTensor([run.bs, 3, run.size, run.size], salt, run.x_scale)
    const train = run.train_x_salts.map((salt, i) => [pictures(salt), toTensor(run.train_y[i])])
    const valid = [[pictures(run.valid_x_salt), toTensor(run.valid_y)]]
    const seen: { loss: number; first: number[]; lr: number[]; mom: number[] }[] = []
    const watch = new Callback({
      async afterBackward({ learn: { loss, pred, opt } }) {
        const first = (await pred?.detach().narrow(0, 0, 1).data()) as Float32Array
        const groups = opt?.paramGroups ?? []
        const hypers = { lr: groups.map(group => group.lr), mom: groups.map(group => group.mom) }
        seen.push({ loss: (await loss?.item()) ?? Number.NaN, first: [...first], ...hypers })
      },
    })
    const mixing = {
      none: [],
      mixup: [new MixUp({ random: replay(run.steps) })],
      cutmix: [new CutMix({ random: replay(run.steps) })],
    }
    const learn = visionLearner({ train, valid }, resnet18, {
      pretrained: false,
      nOut: run.n_out,
      ps: 0,
      lossFunc: new CrossEntropyLossFlat(),
      metrics: [errorRate],
      channelsLast: false,
      cbs: [...mixing[run.kind], watch],
    })
    learn.model.to({ memoryFormat: 'contiguous_format' })
    hashFill(learn.model, run.init_salt0)
    learn.logger = () => undefined
    learn.silent = true
    if (run.frozen) learn.freeze()
    const [start, stop] = run.lr_slice
    await learn.fitOneCycle(run.n_epoch, { lrMax: start === null ? slice(stop) : slice(start, stop) })

    t.is(seen.length, run.steps.length)
    const worst = { loss: 0, first: 0 }
    for (const [k, step] of run.steps.entries()) {
      const { loss, first, lr, mom } = seen[k]
      assertNumbers(t, lr, step.lr, { atol: 0, rtol: 1e-9 }, `lr of step ${k}`)
      assertNumbers(t, mom, step.mom, { atol: 0, rtol: 1e-9 }, `mom of step ${k}`)
      worst.loss = Math.max(worst.loss, Math.abs(loss - step.loss) / step.loss)
      const recorded = numbersOf(step.pred_first_row)
      worst.first = Math.max(worst.first, ...first.map((x, i) => Math.abs(x - recorded[i])))
    }
    t.log('worst deviations', worst)
    t.true(worst.loss < 2e-6, `losses deviate by ${worst.loss}`)
    t.true(worst.first < 1e-5, `predictions deviate by ${worst.first}`)
    const rows = run.epochs.map(row => [row.train_loss, row.valid_loss, row.error_rate])
    assertNumbers(t, learn.recorder.values.flat().map(Number), rows.flat(), { atol: 0, rtol: 1e-4 }, 'table')
    const named = new Map(learn.model.namedParameters())
    for (const [name, norm] of Object.entries(run.final_param_norms)) {
      assertNumbers(t, [(await named.get(name)?.norm().item()) ?? 0], [norm], { atol: 1e-5, rtol: 1e-4 }, name)
    }
    const state = learn.model.stateDict()
    for (const [name, { mean_sum, var_sum }] of Object.entries(run.final_bn)) {
      const sums = ['mean', 'var'].map(async what => (await state.get(`${name}.running_${what}`)?.sum().item()) ?? 0)
      assertNumbers(t, await Promise.all(sums), [mean_sum, var_sum], { atol: 2e-2, rtol: 1e-3 }, name)
    }
  })
}
