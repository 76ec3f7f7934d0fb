// float16's loss scaling against torch.amp.GradScaler: the same scales, counts and weights, step by step, overflows
// included. Recorded with PyTorch 2.13 on the CPU, where the logic is that of a GPU.
import { rm } from 'node:fs/promises'
import test from 'ava'
import {
  Callback,
  Checkpoint,
  GradientAccumulation,
  GradientClip,
  Learner,
  type LearnerOptions,
  MixedPrecision,
  type MixedPrecisionOptions,
  nn,
  ProgressCallback,
  SGD,
  type Tensor,
  tensor,
} from 'torch-learner'
import { assertNumbers } from './helpers/golden.js'
import { temporaryFolder } from './helpers/pictures.js'

/** The gradient of each step; the third one overflows when it is scaled, the fifth and the eighth are broken anyway. */
const gradients = [
  [0.1, 0.2, 0.3],
  [0.4, -0.5, 0.6],
  [1e38, 1, 1],
  [0.7, 0.8, 0.9],
  [Number.POSITIVE_INFINITY, 1, 1],
  [0.3, 0.2, 0.1],
  [0.11, 0.12, 0.13],
  [Number.NaN, 0, 0],
  [0.5, 0.5, 0.5],
  [0.25, 0.125, 3],
  [1, 2, 3],
  [0.1, 0.1, 0.1],
]

const recorded = {
  plain: {
    scales: [7.0, 21.0, 5.25, 5.25, 1.3125, 1.3125, 3.9375, 0.984375, 0.984375, 2.953125, 2.953125, 8.859375],
    steps: [1, 0, 0, 1, 0, 1, 0, 0, 1, 0, 1, 0],
    weights: [
      [0.9900000095367432, -2.0199999809265137, 2.9700000286102295],
      [0.949999988079071, -1.9700000286102295, 2.9100000858306885],
      [0.949999988079071, -1.9700000286102295, 2.9100000858306885],
      [0.8799999952316284, -2.049999952316284, 2.820000171661377],
      [0.8799999952316284, -2.049999952316284, 2.820000171661377],
      [0.8499999642372131, -2.069999933242798, 2.81000018119812],
      [0.8389999866485596, -2.0820000171661377, 2.7970001697540283],
      [0.8389999866485596, -2.0820000171661377, 2.7970001697540283],
      [0.7889999747276306, -2.131999969482422, 2.747000217437744],
      [0.7639999985694885, -2.1445000171661377, 2.44700026512146],
      [0.6639999747276306, -2.3445000648498535, 2.147000312805176],
      [0.6539999842643738, -2.3545000553131104, 2.137000322341919],
    ],
  },
  default: {
    scales: [65536.0, 65536.0, 32768.0, 32768.0, 16384.0, 16384.0, 16384.0, 8192.0, 8192.0, 8192.0, 16384.0, 16384.0],
    steps: [1, 2, 0, 1, 0, 1, 2, 0, 1, 2, 0, 1],
    weights: [
      [0.9900000095367432, -2.0199999809265137, 2.9700000286102295],
      [0.949999988079071, -1.9700000286102295, 2.9100000858306885],
      [0.949999988079071, -1.9700000286102295, 2.9100000858306885],
      [0.8799999952316284, -2.049999952316284, 2.820000171661377],
      [0.8799999952316284, -2.049999952316284, 2.820000171661377],
      [0.8499999642372131, -2.069999933242798, 2.81000018119812],
      [0.8389999866485596, -2.0820000171661377, 2.7970001697540283],
      [0.8389999866485596, -2.0820000171661377, 2.7970001697540283],
      [0.7889999747276306, -2.131999969482422, 2.747000217437744],
      [0.7639999985694885, -2.1445000171661377, 2.44700026512146],
      [0.6639999747276306, -2.3445000648498535, 2.147000312805176],
      [0.6539999842643738, -2.3545000553131104, 2.137000322341919],
    ],
  },
  clipped: {
    scales: [1000.0, 2000.0, 1000.0, 1000.0, 500.0, 500.0, 1000.0, 500.0, 500.0, 1000.0, 1000.0, 2000.0],
    steps: [1, 0, 0, 1, 0, 1, 0, 0, 1, 0, 1, 0],
    weights: [
      [0.9919821619987488, -2.016035556793213, 2.9759466648101807],
      [0.9783068895339966, -1.9989415407180786, 2.9554338455200195],
      [0.9783068895339966, -1.9989415407180786, 2.9554338455200195],
      [0.963229775428772, -2.016172409057617, 2.936048984527588],
      [0.963229775428772, -2.016172409057617, 2.936048984527588],
      [0.9391763210296631, -2.03220796585083, 2.9280312061309814],
      [0.9281763434410095, -2.04420804977417, 2.9150311946868896],
      [0.9281763434410095, -2.04420804977417, 2.9150311946868896],
      [0.9108558297157288, -2.061528444290161, 2.8977108001708984],
      [0.9083666205406189, -2.0627729892730713, 2.86784029006958],
      [0.9003487825393677, -2.078808546066284, 2.8437867164611816],
      [0.8903487920761108, -2.088808536529541, 2.833786725997925],
    ],
  },
}

/** Its loss has the batch for its gradient. */
class Weights extends nn.Module<[Tensor], Tensor> {
  weight = new nn.Parameter(tensor([1, -2, 3]))
  forward(x: Tensor): Tensor {
    return x.mul(this.weight)
  }
}

function scaled(rows: number[][], options: LearnerOptions = {}): { learn: Learner; model: Weights } {
  const model = new Weights()
  const train = rows.map(row => [tensor([row]), tensor([0])])
  const learn = new Learner({ train, valid: [] }, model, {
    lossFunc: pred => pred.sum(),
    optFunc: (groups, { lr }) => new SGD(groups, { lr }),
    lr: 0.1,
    ...options,
  })
  learn.logger = () => undefined
  learn.silent = true
  return { learn: learn.removeCb(ProgressCallback), model }
}

interface Row {
  scale: number
  steps: number
  weights: number[]
}

/** Scale, count of steps since it changed, and weights, after each batch. */
function watch(precision: MixedPrecision, model: Weights, rows: Row[]): Callback {
  return new Callback({
    name: 'watch',
    order: 80,
    async afterBatch() {
      const { tensors = {} } = precision.saveState()
      const weights = Array.from(await model.weight.detach().clone().data(), Number)
      rows.push({ scale: await precision.scale(), steps: Number(await tensors.steps?.item()), weights })
    },
  })
}

const float16 = { dtype: 'float16' } as const

const settings: Record<keyof typeof recorded, [MixedPrecisionOptions, Callback[]]> = {
  plain: [{ ...float16, initScale: 7, growthFactor: 3, backoffFactor: 0.25, growthInterval: 2 }, []],
  default: [{ ...float16, growthInterval: 3 }, []],
  clipped: [{ ...float16, initScale: 1000, growthInterval: 2 }, [new GradientClip(0.3)]],
}

for (const [name, [options, cbs]] of Object.entries(settings)) {
  test.serial(`GradScaler: ${name}`, async t => {
    const { scales, steps, weights } = recorded[name as keyof typeof recorded]
    const precision = new MixedPrecision(options)
    const { learn, model } = scaled(gradients)
    const rows: Row[] = []
    await learn.fit(1, { cbs: [precision, ...cbs, watch(precision, model, rows)] })
    assertNumbers(
      t,
      rows.map(row => row.scale),
      scales,
      { atol: 0, rtol: 1e-7 },
      'scales',
    )
    t.deepEqual(
      rows.map(row => row.steps),
      steps,
    )
    assertNumbers(
      t,
      rows.flatMap(row => row.weights),
      weights.flat(),
      { atol: 3e-7, rtol: 1e-6 },
      'weights',
    )
  })
}

test.serial('GradScaler: the scale never grows beyond float32', async t => {
  const precision = new MixedPrecision({ ...float16, initScale: 2 ** 126, growthFactor: 4, growthInterval: 1 })
  const { learn, model } = scaled([1, 2, 3, 4].map(() => [1e-30, 0, 0]))
  const rows: Row[] = []
  await learn.fit(1, { cbs: [precision, watch(precision, model, rows)] })
  t.deepEqual(
    rows.map(row => row.scale),
    [2 ** 126, 2 ** 126, 2 ** 126, 2 ** 126],
  )
})

test.serial('GradientClip sees gradients without their scale, and a skipped step sees none', async t => {
  const seen: (number[] | null)[] = []
  const precision = new MixedPrecision({ ...float16, initScale: 512 })
  const { learn, model } = scaled(gradients.slice(0, 5))
  const look = new Callback({
    name: 'look',
    order: 12,
    async beforeStep() {
      seen.push(model.weight.grad ? Array.from(await model.weight.grad.data(), Number) : null)
    },
  })
  await learn.fit(1, { cbs: [precision, new GradientClip(1000), look] })
  t.deepEqual(
    seen.map(row => row !== null),
    [true, true, false, true, false],
  )
  assertNumbers(t, seen[1] ?? [], gradients[1] as number[], { rtol: 1e-6 })
  // the scaled loss is not what is recorded
  assertNumbers(t, [Number(learn.recorder.losses[0])], [0.1 - 0.4 + 0.9], { rtol: 1e-5 })
})

test.serial('accumulated gradients are unscaled once, when their step comes', async t => {
  const [half, full] = [scaled(gradients.slice(5, 7)), scaled(gradients.slice(5, 7))]
  await half.learn.fit(1, { cbs: [new MixedPrecision(float16), new GradientAccumulation(2)] })
  await full.learn.fit(1, { cbs: new GradientAccumulation(2) })
  const [a, b] = [half, full].map(({ model }) => Array.from(model.weight.detach().dataSync(), Number))
  assertNumbers(t, a ?? [], b ?? [], { rtol: 1e-6 })
  t.notDeepEqual(a, [1, -2, 3])
})

test.serial('checkpoints keep the scale, and how long it has lasted', async t => {
  const path = await temporaryFolder(t)
  const options = { ...float16, initScale: 1000, growthInterval: 3 }
  const run = async (stopAt: number, resume: boolean, folder: string): Promise<Row[]> => {
    const precision = new MixedPrecision(options)
    const { learn, model } = scaled(gradients, { path: folder })
    const rows: Row[] = []
    const stop = new Callback({
      order: 90,
      afterBatch: cb => {
        if (cb.learn.trainIter === stopAt) throw new Error('the power fails')
      },
    })
    const fit = learn.fit(1, {
      cbs: [precision, new Checkpoint({ everyBatches: 1, resume }), watch(precision, model, rows), stop],
    })
    if (stopAt > 0) await t.throwsAsync(fit, { message: /the power fails/ })
    else await fit
    return rows
  }
  const whole = await run(0, false, `${path}/whole`)
  const first = await run(6, false, `${path}/broken`)
  const second = await run(0, true, `${path}/broken`)
  t.deepEqual(first, whole.slice(0, 6))
  t.deepEqual(second.slice(-6), whole.slice(6))
  await rm(path, { recursive: true, force: true })
})
