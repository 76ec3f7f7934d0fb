// What is given wrongly -> the code and the sentence that come back. Nothing here may crash or hang; what the other
// files test about their own subject isn't repeated.
import test from 'ava'
import {
  Adam,
  accuracy,
  accuracyMulti,
  CrossEntropyLossFlat,
  CutMix,
  combinedCos,
  combineScheds,
  confusionMatrix,
  createBody,
  DataLoader,
  DataLoaders,
  type ErrorCode,
  getImageFiles,
  ImageDataLoaders,
  imageGrid,
  imageSize,
  Learner,
  type LearnerOptions,
  lineChart,
  MixUp,
  nn,
  openImage,
  ops,
  ProgressCallback,
  parentLabel,
  Recorder,
  RegexLabeller,
  randn,
  ranger,
  resnet18,
  resnetSplit,
  rocAuc,
  SGD,
  schedCos,
  scope,
  type Tensor,
  TorchLearnerError,
  tensor,
  topKAccuracy,
  trainableParams,
  Vocab,
  visionLearner,
  zeros,
} from 'torch-learner'
import { temporaryFolder, writeFiles } from './helpers/pictures.js'

const SECONDS = 20
const SAMPLES = [[1], [2]]
const TEXTS = [
  'empty/notes.txt',
  ...['one/cat', 'two/cat', 'two/dog'].flatMap(name => [0, 1, 2, 3].map(i => `${name}/${i}.png`)),
]

/** What TypeScript would refuse, as JavaScript hands it over. */
const wrong = <T>(value: unknown): T => value as T

const classes = (...numbers: number[]) => tensor(numbers, { dtype: 'int64' })

/** A Learner of 3 features and 2 classes whose only batch, for training and validation, is this one. */
function learnerOf(batch: unknown[], options: LearnerOptions = {}, model: nn.Module = new nn.Linear(3, 2)): Learner {
  const batches = [batch as Tensor[]]
  const learn = new Learner(new DataLoaders(batches, batches), model, {
    lossFunc: new CrossEntropyLossFlat(),
    optFunc: (groups, { lr }) => new SGD(groups, { lr }),
    ...options,
  })
  learn.logger = () => undefined
  return learn.removeCb(ProgressCallback)
}

const train = (batch: unknown[], options: LearnerOptions = {}) => learnerOf(batch, options).fit(1)
const good = (): Tensor[] => [randn([4, 3]), classes(0, 1, 0, 1)]

function disposed(x: Tensor): Tensor {
  x.dispose()
  return x
}

function escaped(): Tensor {
  const made: Tensor[] = []
  scope(() => void made.push(zeros([1])))
  return made[0]
}

class Silent extends nn.Module<[Tensor], Tensor> {
  readonly fc = new nn.Linear(3, 2)
  forward(): Tensor {
    return wrong(null)
  }
}

type Row = [given: string, act: () => unknown, code: ErrorCode, sentence: RegExp]

const SHAPES: Row[] = [
  [
    '5 features for 3',
    () => train([randn([4, 5]), classes(0, 1, 0, 1)]),
    'ERR_OP_FAILED',
    /^mat1 and mat2 shapes cannot/,
  ],
  [
    'the same, mixed',
    () => train([randn([4, 5]), classes(0, 1, 0, 1)], { cbs: MixUp }),
    'ERR_OP_FAILED',
    /^mat1 and mat2/,
  ],
  ['3 targets for 4', () => train([randn([4, 3]), classes(0, 1, 0)]), 'ERR_OP_FAILED', /^Expected one target for each/],
  [
    'the same, mixed',
    () => train([randn([4, 3]), classes(0, 1, 0)], { cbs: MixUp }),
    'ERR_OP_FAILED',
    /one partner per sample/,
  ],
  ['class 7 of 2', () => train([randn([4, 3]), classes(0, 1, 0, 7)]), 'ERR_OP_FAILED', /^Target 7 is out of bounds/],
  [
    'the same, mixed',
    () => train([randn([4, 3]), classes(0, 1, 0, 7)], { cbs: MixUp }),
    'ERR_OP_FAILED',
    /^Target 7 is out of bounds/,
  ],
  [
    'CutMix on rows',
    () => train(good(), { cbs: CutMix }),
    'ERR_CALLBACK',
    /^Error in CutMix at beforeBatch: Expected pictures/,
  ],
  [
    'other lengths',
    () => accuracy(zeros([2, 3]), classes(1, 1, 1)).item(),
    'ERR_OP_FAILED',
    /^Expected one target for each prediction but received .* \[2\] and targets of shape \[3\]/,
  ],
  ['ragged rows', () => tensor([[1, 2], [3]]), 'ERR_INVALID_ARG', /^Expected nested arrays of equal lengths/],
  ['a size below 0', () => zeros([-1]), 'ERR_INVALID_ARG', /for shape but received \[-1\]/],
]

const DTYPES: Row[] = [
  [
    'whole numbers as input',
    () => train([classes(1, 2, 3).view([1, 3]), classes(0)]),
    'ERR_OP_FAILED',
    /^mat1 and mat2 must have/,
  ],
  [
    'the same, mixed',
    () => train([classes(1, 2, 3).view([1, 3]), classes(0)], { cbs: MixUp }),
    'ERR_OP_FAILED',
    /floating dtype/,
  ],
  [
    'targets 0.5',
    () => train([randn([2, 3]), tensor([0.5, 1])]),
    'ERR_OP_FAILED',
    /^expected target dtype to be Long or Byte/,
  ],
  [
    'gradients of integers',
    () => classes(1).requiresGrad_(true).data(),
    'ERR_OP_FAILED',
    /^Only Tensors of floating point/,
  ],
  ['no such dtype', () => tensor([1], { dtype: wrong('float8') }), 'ERR_INVALID_ARG', /^Expected one of float32, /],
  [
    'no kernel',
    () => (ops.unsafe.aten.int_repr(zeros([2])) as Tensor).data(),
    'ERR_OP_FAILED',
    /^Could not run 'aten::int_repr' with arguments from the 'CPU' backend\. \(aten::int_repr/,
  ],
]

const TRAINING: Row[] = [
  [
    'numbers for tensors',
    () => train([1, 2]),
    'ERR_INVALID_ARG',
    /^Expected an array of tensors for batch but received \[1, 2\]/,
  ],
  ['a model that gives nothing', () => learnerOf(good(), {}, new Silent()).fit(1), 'ERR_INVALID_ARG', /^Expected/],
  [
    'a loss that is a number',
    () => train(good(), { lossFunc: () => wrong(3) }),
    'ERR_INVALID_ARG',
    /^Expected a Tensor for the result of lossFunc but received 3/,
  ],
  [
    'a loss for each sample',
    () => train(good(), { lossFunc: (pred: Tensor) => pred }),
    'ERR_OP_FAILED',
    /^grad can be implicitly created only for scalar/,
  ],
  [
    'a metric that is text',
    () => train(good(), { metrics: () => wrong('good') }),
    'ERR_CALLBACK',
    /Expected a number or a Tensor for the result of a metric/,
  ],
  [
    'no optimizer',
    () => train(good(), { optFunc: () => wrong(null) }),
    'ERR_INVALID_ARG',
    /^Expected an Optimizer for the result of optFunc/,
  ],
  [
    'two rates for one group',
    () => train(good(), { lr: [0.1, 0.2] }),
    'ERR_INVALID_ARG',
    /^Expected 1 or 1 values \(one for each parameter group\) for lr/,
  ],
  [
    'a misspelt option',
    () => learnerOf(good(), wrong({ metric: accuracy })),
    'ERR_INVALID_ARG',
    /^Expected only lossFunc, .* but received "metric"/,
  ],
  [
    'a rate for options',
    () => learnerOf(good()).fit(1, wrong(1e-3)),
    'ERR_INVALID_ARG',
    /for fit's options but received 0\.001 of type number$/,
  ],
  [
    'half an epoch',
    () => learnerOf(good()).fit(0.5),
    'ERR_INVALID_ARG',
    /^Expected a whole number of at least 0 for nEpoch/,
  ],
  [
    'a rate NaN',
    () => learnerOf(good()).fit(1, { lr: Number.NaN }),
    'ERR_INVALID_ARG',
    /for fit's lr but received NaN/,
  ],
  [
    'no data',
    () => visionLearner(wrong(null), resnet18),
    'ERR_INVALID_ARG',
    /^Expected DataLoaders for dls but received null/,
  ],
  ['a session of 3', () => learnerOf(good()).session(wrong(3)), 'ERR_INVALID_ARG', /^Expected a function for body/],
]

const MIXING: Row[] = [
  ...[0, -1, Number.NaN, Number.POSITIVE_INFINITY].map(
    (alpha): Row => [
      `alpha ${alpha}`,
      () => new MixUp(alpha),
      'ERR_INVALID_ARG',
      /^Expected a finite number above 0 for alpha but received/,
    ],
  ),
  [
    'alpha as text',
    () => new MixUp(wrong('1')),
    'ERR_INVALID_ARG',
    /^Expected a finite number above 0 for alpha but received "1" of type string$/,
  ],
  [
    'a misspelt option',
    () => new MixUp(wrong({ alfa: 1 })),
    'ERR_INVALID_ARG',
    /^Expected only alpha, random, .* for MixUp's options but received "alfa"/,
  ],
  [
    'a schedule below 0',
    () => train(good(), { cbs: new MixUp({ alpha: () => -1 }) }),
    'ERR_CALLBACK',
    /^Error in MixUp at beforeBatch: Expected a finite number above 0 for alpha/,
  ],
]

const DISPOSED: Row[] = [
  ['an input', () => train([disposed(randn([4, 3])), classes(0, 1, 0, 1)]), 'ERR_DISPOSED', /^Expected a live tensor/],
  [
    'a target, mixed',
    () => train([randn([4, 3]), disposed(classes(0, 1, 0, 1))], { cbs: MixUp }),
    'ERR_DISPOSED',
    /^Expected a live tensor/,
  ],
  ['out of its scope', () => escaped().data(), 'ERR_DISPOSED', /^Expected a live tensor/],
  ['a metric’s target', () => accuracy(zeros([1, 2]), disposed(classes(0))), 'ERR_DISPOSED', /^Expected a live tensor/],
]

const FUNCTIONS: Row[] = [
  ['accuracy of text', () => accuracy(wrong('a'), classes(0)), 'ERR_INVALID_ARG', /^Expected a Tensor for pred/],
  [
    'accuracy of nothing',
    () => accuracy(zeros([1, 2]), wrong(undefined)),
    'ERR_INVALID_ARG',
    /^Expected a Tensor for targ/,
  ],
  [
    'half a rank',
    () => topKAccuracy(zeros([1, 2]), classes(0), 0.5),
    'ERR_INVALID_ARG',
    /^Expected a whole number of at least 1 for k/,
  ],
  [
    'a misspelt option',
    () => accuracyMulti(zeros([1]), zeros([1]), wrong({ threshold: 1 })),
    'ERR_INVALID_ARG',
    /only thresh, sigmoid/,
  ],
  [
    'an array',
    () => confusionMatrix(wrong([1]), classes(0)),
    'ERR_INVALID_ARG',
    /for pred but received \[1\] of type array$/,
  ],
  ['scores as numbers', () => rocAuc(wrong(1), classes(0)), 'ERR_INVALID_ARG', /^Expected a Tensor for scores/],
  [
    'a path that is a number',
    () => parentLabel(wrong(3)),
    'ERR_INVALID_ARG',
    /^Expected a path for path but received 3/,
  ],
  ['the same', () => RegexLabeller(/(a)/)(wrong(3)), 'ERR_INVALID_ARG', /^Expected a path for path but received 3/],
  [
    'labels that are numbers',
    () => new Vocab(wrong([1, 2])),
    'ERR_INVALID_ARG',
    /^Expected a list of strings for labels/,
  ],
  [
    'a body of nothing',
    () => createBody(wrong({})),
    'ERR_INVALID_ARG',
    /^Expected a Module for model but received \{\}/,
  ],
  [
    'groups of text',
    () => resnetSplit(wrong('resnet18')),
    'ERR_INVALID_ARG',
    /^Expected a Sequential of body and head/,
  ],
  ['parameters of null', () => trainableParams(wrong(null)), 'ERR_INVALID_ARG', /^Expected a Module for model/],
  [
    'ranger without options',
    () => ranger(wrong([]), wrong(undefined)),
    'ERR_INVALID_ARG',
    /^Expected an object with lr for options/,
  ],
  ['Adam without parameters', () => new Adam([], { lr: 1 }), 'ERR_INVALID_ARG', /^Expected at least one parameter/],
  ['shares as text', () => combineScheds(wrong('ab'), []), 'ERR_INVALID_ARG', /^Expected an array of shares for pcts/],
  ['more than the whole', () => combinedCos(2, 0, 1, 0), 'ERR_INVALID_ARG', /^Expected a number from 0 to 1 for pct/],
  ['a start as text', () => schedCos(wrong('1'), 2), 'ERR_INVALID_ARG', /^Expected a number, or an array .* for start/],
  [
    'a flag as text',
    () => new Recorder({ addTime: wrong('no') }),
    'ERR_INVALID_ARG',
    /^Expected true or false for Recorder's addTime/,
  ],
  ['no pictures', () => imageGrid([]), 'ERR_INVALID_ARG', /^Expected one or more pictures for tiles/],
  [
    'a picture too short',
    () => imageGrid([{ data: new Uint8Array(2), width: 1, height: 1, channels: 3 }]),
    'ERR_INVALID_ARG',
    /^Expected 1 x 1 x 3 bytes/,
  ],
  [
    'nothing to draw',
    () => lineChart(wrong(undefined)),
    'ERR_INVALID_ARG',
    /^Expected an object with series for options/,
  ],
]

const FILES: Row[] = [
  ['no folder', () => ImageDataLoaders.fromFolder('nowhere'), 'ERR_NOT_FOUND', /^There is no folder nowhere$/],
  [
    'an empty folder',
    () => ImageDataLoaders.fromFolder('empty', { validPct: 0.5 }),
    'ERR_NO_DATA',
    /^There are no pictures in empty$/,
  ],
  [
    'one class',
    () => ImageDataLoaders.fromFolder('one', { validPct: 0.5 }),
    'ERR_NO_DATA',
    /^All 2 training pictures of one have one label/,
  ],
  [
    'text called .png',
    async () => (await ImageDataLoaders.fromFolder('two', { validPct: 0.5, bs: 1, seed: 1 })).oneBatch(),
    'ERR_DECODE',
    /^Cannot read the picture .*\.png: it isn't a picture/,
  ],
  ['no file', () => imageSize('nowhere.png'), 'ERR_NOT_FOUND', /there is no such file$/],
  ['a number of a file', () => openImage(wrong(3)), 'ERR_INVALID_ARG', /^Expected a picture file's path for path/],
  [
    'a misspelt option',
    () => getImageFiles('one', wrong({ recursive: true })),
    'ERR_INVALID_ARG',
    /^Expected only recurse, folders/,
  ],
  [
    'a batch above the set',
    () => new DataLoader(SAMPLES, { bs: 10, dropLast: true }),
    'ERR_NO_DATA',
    /^A batch of 10 is larger than the whole set/,
  ],
  [
    'a batch of 0',
    () => new DataLoader(SAMPLES, { bs: 0 }),
    'ERR_INVALID_ARG',
    /^Expected a whole number from 1 for DataLoader's bs/,
  ],
  [
    'options of null',
    () => new DataLoader(SAMPLES, wrong(null)),
    'ERR_INVALID_ARG',
    /^Expected an object with bs, .* for DataLoader's options/,
  ],
]

for (const [subject, rows] of Object.entries({ SHAPES, DTYPES, TRAINING, MIXING, DISPOSED, FUNCTIONS, FILES })) {
  test.serial(subject.toLowerCase(), async t => {
    t.timeout(SECONDS * 1000)
    const folder = await temporaryFolder(t)
    await writeFiles(folder, Object.fromEntries(TEXTS.map(name => [name, 'not a picture'])))
    const here = process.cwd()
    process.chdir(folder)
    t.teardown(() => process.chdir(here))
    for (const [given, act, code, sentence] of rows) {
      const error = await t.throwsAsync(async () => await act(), undefined, given)
      t.true(error instanceof TorchLearnerError, `${given}: ${error?.stack}`)
      t.is(Reflect.get(error ?? {}, 'code'), code, `${given}: ${error?.message}`)
      t.regex(error?.message ?? '', sentence, given)
      t.regex(error?.message ?? '', /^\S[^\n]*\S$/, 'one line')
    }
  })
}

test.serial('after all this, everything still works', async t => {
  const learn = learnerOf(good(), { metrics: accuracy })
  await learn.fit(1)
  t.true(learn.recorder.values.every(row => row.every(Number.isFinite)))
})
