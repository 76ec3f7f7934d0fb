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
  MSELossFlat,
  matrixChart,
  nn,
  type OutputsLoss,
  rand,
  type Tensor,
  TensorDataset,
  tensor,
  zeros,
} from 'torch-learner'
import { coded, temporaryFolder } from './helpers/pictures.js'

/** Answers with the logits that are in its input's first row of pixels. */
class Echo extends nn.Module {
  forward(x: Tensor): Tensor {
    return x.select(1, 0).select(1, 0)
  }
}

/** Predicts for each sample the class it is told. */
function classifier(truth: number[], answers: number[], names: string[]): Learner {
  const x = zeros([truth.length, 1, names.length, names.length])
  for (const [i, answer] of answers.entries()) x.select(0, i).select(0, 0).select(0, 0).select(0, answer).fill_(1)
  const data = new TensorDataset(x, tensor(truth, { dtype: 'int64' }))
  const dl = new DataLoader(data, { bs: 4 })
  const dls = new DataLoaders(dl, dl, { vocab: names })
  return new Learner(dls, new Echo(), { lossFunc: new CrossEntropyLossFlat() })
}

/** Answers with class 2 of three, and with class 0 of two. */
class Twice extends nn.Module<[Tensor], Tensor[]> {
  forward(x: Tensor): Tensor[] {
    const rows = zeros([x.shape[0], 1])
    return [rows.add(tensor([0, 0, 1])), rows.add(tensor([1, 0]))]
  }
}

const each = new CrossEntropyLossFlat({ reduction: 'none' })

function bothLosses(): OutputsLoss {
  const loss: OutputsLoss = ([a, b], y, z) => each(a as Tensor, y as Tensor).add(each(b as Tensor, z as Tensor))
  return Object.assign(loss, { reduction: 'none' as const })
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
})

test('the report is laid out like scikit-learn’s', async t => {
  // the example of its documentation
  const names = ['class 0', 'class 1', 'class 2']
  const interp = await ClassificationInterpretation.fromLearner(classifier([0, 1, 2, 2, 2], [0, 0, 2, 2, 1], names))
  const expected = [
    '              precision    recall  f1-score   support',
    '',
    '     class 0       0.50      1.00      0.67         1',
    '     class 1       0.00      0.00      0.00         1',
    '     class 2       1.00      0.67      0.80         3',
    '',
    '    accuracy                           0.60         5',
    '   macro avg       0.50      0.56      0.49         5',
    'weighted avg       0.70      0.60      0.61         5',
  ]
  t.is(interp.perClass(), expected.join('\n'))
  t.regex(interp.perClass({ digits: 4 }), /class 2 {5}1\.0000 {4}0\.6667 {4}0\.8000 {9}3/)
  await coded(t, () => interp.perClass({ digits: 2.5 }), 'ERR_INVALID_ARG', /a whole number from 0 to 6 for digits/)
  const [first] = interp.scores()
  t.deepEqual(first, { name: 'class 0', precision: 0.5, recall: 1, f1: 2 / 3, support: 1 })
  t.deepEqual(interp.confusionMatrix({ normalize: true })[2], [0, 1 / 3, 2 / 3])
  const printed: string[] = []
  const { log } = console
  console.log = (text: string) => printed.push(text)
  try {
    interp.printClassificationReport()
  } finally {
    console.log = log
  }
  t.deepEqual(printed, [expected.join('\n')])
})

test('a loader of one’s own; one of several outputs', async t => {
  const learn = classifier([0, 1], [0, 0], ['a', 'b'])
  const other = classifier([1, 1, 1], [1, 0, 1], ['a', 'b']).dls.train
  const interp = await ClassificationInterpretation.fromLearner(learn, { dl: other })
  t.deepEqual(interp.confusionMatrix(), [
    [0, 0],
    [1, 2],
  ])
  const x = rand([3, 4])
  const set = new TensorDataset(x, tensor([0, 1, 2], { dtype: 'int64' }), tensor([0, 0, 1], { dtype: 'int64' }))
  const dl = new DataLoader(set, { bs: 2 })
  const two = new Learner(new DataLoaders(dl, dl, { nInp: 1 }), new Twice(), { lossFunc: bothLosses() })
  const second = await ClassificationInterpretation.fromLearner(two, { output: 1, vocab: ['no', 'yes'] })
  t.deepEqual(second.confusionMatrix(), [
    [2, 0],
    [1, 0],
  ])
  await coded(
    t,
    () => ClassificationInterpretation.fromLearner(two, { output: 2 }),
    'ERR_INVALID_ARG',
    /an output that the model has for output but received 2/,
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
  const expect = async (y: Tensor, message: RegExp, options: object = {}, names?: string[]) => {
    const dl = new DataLoader(new TensorDataset(x, y), { bs: 2 })
    const learn = new Learner(new DataLoaders(dl, dl, { vocab: names }), new nn.Linear(2, 2), {
      lossFunc: y.ndim === 1 ? new CrossEntropyLossFlat() : new MSELossFlat(),
    })
    await coded(t, () => ClassificationInterpretation.fromLearner(learn, options), 'ERR_INVALID_ARG', message)
  }
  await expect(rand([4, 2]), /a classifier with one class number a sample.* targets of shape \[4,2\]/)
  const classes = tensor([0, 1, 0, 1], { dtype: 'int64' })
  await expect(classes, /2 classes, as many as the model has outputs, for vocab/, {}, ['a', 'b', 'c'])
  await expect(classes, /only dsIdx, dl, output, vocab but received "ds_idx"|ds_idx/, { ds_idx: 1 })
  const ignored = tensor([0, -100, 0, 1], { dtype: 'int64' })
  await expect(ignored, /class numbers from 0 to 1 for targets but received -100/)
  const dl = new DataLoader(new TensorDataset(x, classes), { bs: 2 })
  const learn = new Learner(new DataLoaders(dl), new nn.Linear(2, 2), { lossFunc: new CrossEntropyLossFlat() })
  await coded(t, () => ClassificationInterpretation.fromLearner(learn), 'ERR_INVALID_ARG', /no validation set/)
  const bare = new DataLoader(new TensorDataset(x), { bs: 2 })
  await coded(
    t,
    () => ClassificationInterpretation.fromLearner(learn, { dl: bare }),
    'ERR_INVALID_ARG',
    /batches with targets for dl but received "?batches without targets/,
  )
  const interp = await ClassificationInterpretation.fromLearner(learn, { dsIdx: 0 })
  const misuse = (call: () => unknown, message: RegExp) => coded(t, call, 'ERR_INVALID_ARG', message)
  await misuse(() => Reflect.apply(interp.plotConfusionMatrix, interp, [{ normalise: true }]), /normalise/)
  await misuse(() => Reflect.apply(interp.plotTopLosses, interp, [4, { rows: 2 }]), /rows/)
  await misuse(() => interp.plotTopLosses(2, { file: 'top.png' }), /pictures of shape/)
})
