// Predictions beside the truth: one class, several labels, numbers.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import {
  BCEWithLogitsLossFlat,
  CrossEntropyLossFlat,
  DataLoader,
  DataLoaders,
  Learner,
  type Loss,
  MixUp,
  MSELossFlat,
  manualSeed,
  nn,
  rand,
  showMixed,
  type Tensor,
  TensorDataset,
  tensor,
} from 'torch-learner'
import { temporaryFolder } from './helpers/pictures.js'

/** Answers with the first numbers of the picture's first row. */
class Echo extends nn.Module {
  readonly outputs: number
  constructor(outputs: number) {
    super()
    this.outputs = outputs
  }
  forward(x: Tensor): Tensor {
    return x.select(1, 0).select(1, 0).narrow(1, 0, this.outputs)
  }
}

function learner(y: Tensor, answers: number[][], lossFunc: Loss, vocab?: string[]): Learner {
  const x = rand([answers.length, 3, 4, 4])
  x.select(1, 0).select(1, 0).narrow(1, 0, answers[0].length).copy_(tensor(answers))
  const dl = new DataLoader(new TensorDataset(x, y), { bs: 8 })
  return new Learner(new DataLoaders(dl, dl, { vocab }), new Echo(answers[0].length), { lossFunc })
}

/** Each title's lines, and its colour. */
async function titles(t: ExecutionContext, learn: Learner, options = {}): Promise<string[]> {
  const file = join(await temporaryFolder(t), 'results.svg')
  const svg = await readFile(await learn.showResults({ file, shuffle: false, ...options }), 'utf8')
  return [...svg.matchAll(/<text[^>]*class="(\w+)"[^>]*>(.*?)<\/text>/g)].map(
    ([, color, text]) => `${color}: ${text.replaceAll('</tspan><tspan', '</tspan> | <tspan').replace(/<[^>]*>/g, '')}`,
  )
}

test('one class: green and red', async t => {
  const y = tensor([0, 1, 1], { dtype: 'int64' })
  const answers = [
    [1, 0],
    [1, 0],
    [0, 1],
  ]
  const learn = learner(y, answers, new CrossEntropyLossFlat(), ['cat', 'dog'])
  t.deepEqual(await titles(t, learn), [
    'ink: Actual / predicted',
    'good: cat | cat',
    'bad: dog | cat',
    'good: dog | dog',
  ])
  t.deepEqual(await titles(t, learn, { maxN: 1, title: 'One' }), ['ink: One', 'good: cat | cat'])
})

test('several labels: right as a whole or not', async t => {
  const y = tensor([
    [1, 0, 1],
    [0, 0, 0],
    [0, 1, 0],
  ])
  const answers = [
    [4, -4, 4],
    [-4, -4, -4],
    [4, 4, -4],
  ]
  const learn = learner(y, answers, new BCEWithLogitsLossFlat(), ['sea', 'sky', 'sun'])
  t.deepEqual(await titles(t, learn), [
    'ink: Actual / predicted',
    'good: sea, sun | sea, sun',
    'good: none | none',
    'bad: sky | sea, sky',
  ])
})

test('numbers: neither right nor wrong', async t => {
  const pairs = tensor([
    [0.5, 2],
    [1.25, -3],
  ])
  const answers = [
    [0.5, 2],
    [1, -2.5],
  ]
  t.deepEqual(await titles(t, learner(pairs, answers, new MSELossFlat())), [
    'ink: Actual / predicted',
    'ink: 0.5, 2 | 0.5, 2',
    'ink: 1.25, -3 | 1, -2.5',
  ])
  t.deepEqual(await titles(t, learner(tensor([0.5, 2]), [[0.5], [1]], new MSELossFlat())), [
    'ink: Actual / predicted',
    'ink: 0.5 | 0.5',
    'ink: 2 | 1',
  ])
})

test('without targets: the predictions alone', async t => {
  const learn = learner(
    tensor([0, 1], { dtype: 'int64' }),
    [
      [1, 0],
      [0, 1],
    ],
    new CrossEntropyLossFlat(),
    ['cat', 'dog'],
  )
  const dl = new DataLoader(new TensorDataset(rand([2, 3, 4, 4])), { bs: 2 })
  const found = await titles(t, learn, { dl })
  t.is(found[0], 'ink: Predicted')
  t.regex(found[1], /^ink: (cat|dog)$/)
})

test.serial('mixed: several labels with their shares, numbers as they are mixed', async t => {
  manualSeed(3)
  const file = join(await temporaryFolder(t), 'mixed.svg')
  const shown = async (learn: Learner) => {
    const svg = await readFile(await showMixed(learn, new MixUp(4), { file, rows: 1, cols: 2 }), 'utf8')
    return [...svg.matchAll(/>([^<]*λ[^<]*)</g)].map(([, text]) => text)
  }
  const several = tensor([
    [1, 0],
    [0, 1],
  ])
  const labels = await shown(
    learner(
      several,
      [
        [0, 0],
        [0, 0],
      ],
      new BCEWithLogitsLossFlat(),
      ['sea', 'sky'],
    ),
  )
  t.is(labels.length, 2)
  for (const text of labels) t.regex(text, /^(sea|sky)( 0\.\d\d)?( \+ sky 0\.\d\d)? \(λ 0\.\d\d\)$/)
  const numbers = await shown(learner(tensor([1, 3]), [[0], [0]], new MSELossFlat()))
  for (const text of numbers) t.regex(text, /^[123](\.\d+)? \(λ 0\.\d\d\)$/)
})
