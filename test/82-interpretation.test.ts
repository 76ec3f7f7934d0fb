// Where a classifier is wrong: in numbers, as text, and drawn.
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import {
  ClassificationInterpretation,
  CrossEntropyLossFlat,
  DataLoader,
  DataLoaders,
  Learner,
  matrixChart,
  nn,
  rand,
  type Tensor,
  TensorDataset,
  tensor,
} from 'torch-learner'
import { coded, temporaryFolder } from './helpers/pictures.js'

/** Answers with the logits that are in its input's first row of pixels. */
class Echo extends nn.Module {
  forward(x: Tensor): Tensor {
    return x.select(1, 0).select(1, 0)
  }
}

const vocab = ['ant', 'bee', 'cat']
const actual = [0, 0, 1, 2, 2, 1]
const logits = [
  [3, 0, 0],
  [0, 2, 0],
  [0, 4, 0],
  [0, 5, 0],
  [0, 0, 1],
  [0, 1, 0],
]

function learner(): Learner {
  const x = rand([6, 3, 3, 3])
  x.select(1, 0).select(1, 0).copy_(tensor(logits))
  const dl = new DataLoader(new TensorDataset(x, tensor(actual, { dtype: 'int64' })), { bs: 4 })
  const dls = new DataLoaders(dl, dl, { vocab })
  return new Learner(dls, new Echo(), { lossFunc: new CrossEntropyLossFlat() })
}

test('counts, confusions, losses', async t => {
  const interp = await ClassificationInterpretation.fromLearner(learner())
  t.deepEqual(interp.confusionMatrix(), [
    [1, 1, 0],
    [0, 2, 0],
    [0, 1, 1],
  ])
  t.deepEqual(interp.mostConfused(), [
    ['ant', 'bee', 1],
    ['cat', 'bee', 1],
  ])
  t.deepEqual(interp.mostConfused(2), [])
  const [worst, second] = interp.topLosses(2)
  t.deepEqual([worst.index, worst.actual, worst.predicted, second.index], [3, 'cat', 'bee', 1])
  const share = Math.exp(5) / (Math.exp(5) + 2)
  t.true(Math.abs(worst.probability - share) < 1e-6 && Math.abs(worst.loss + Math.log(share / Math.exp(5))) < 1e-5)
  t.is(interp.topLosses().length, 6)
  t.is(interp.topLosses(1, { largest: false })[0].index, 2)
  t.is(
    interp.perClass(),
    [
      '               precision  recall     f1  support',
      'ant                1.000   0.500  0.667        2',
      'bee                0.500   1.000  0.667        2',
      'cat                1.000   0.500  0.667        2',
      'mean               0.833   0.667  0.667        6',
      'weighted mean      0.833   0.667  0.667        6',
      'accuracy                          0.667        6',
    ].join('\n'),
  )
})

test('drawn', async t => {
  const folder = await temporaryFolder(t)
  const interp = await ClassificationInterpretation.fromLearner(learner())
  for (const normalize of [false, true]) {
    const file = await interp.plotConfusionMatrix({ file: join(folder, `confusion-${normalize}.png`), normalize })
    t.true((await stat(file)).size > 1000)
  }
  t.true((await stat(await interp.plotTopLosses(4, { file: join(folder, 'top.png') }))).size > 1000)
})

test('a matrix chart writes what it is given', async t => {
  const svg = matrixChart({
    matrix: [
      [5, 0],
      [1, 7],
    ],
    labels: ['<a>', 'b'],
    xLabel: 'x',
    title: 'T',
  })
  t.deepEqual(svg.match(/>\d</g), ['>5<', '>1<', '>7<'])
  t.true(svg.includes('&lt;a&gt;'))
  await coded(t, () => matrixChart({ matrix: [[1]], labels: ['a', 'b'] }), 'ERR_INVALID_ARG', /2 rows of 2 numbers/)
})

test('not a classifier', async t => {
  const x = rand([4, 2])
  const dl = new DataLoader(new TensorDataset(x, rand([4, 2])), { bs: 2 })
  const learn = new Learner(new DataLoaders(dl), new nn.Linear(2, 2), { lossFunc: new CrossEntropyLossFlat() })
  await coded(t, () => ClassificationInterpretation.fromLearner(learn), 'ERR_INVALID_ARG', /no validation set/)
})
