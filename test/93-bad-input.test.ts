// Tensors and trainings that are given wrongly -> the code and the sentence that come back. Nothing here may crash or hang;
// what the other files test about their own subject isn't repeated.
import test from 'ava'
import { accuracy, CutMix, MixUp, ops, randn, resnet18, type Tensor, tensor, visionLearner, zeros } from 'torch-learner'
import {
  classes,
  disposed,
  escaped,
  good,
  learnerOf,
  type Row,
  refuses,
  Silent,
  train,
  wrong,
} from './helpers/bad-input.js'

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

refuses({ SHAPES, DTYPES, TRAINING, MIXING, DISPOSED })

test.serial('after all this, everything still works', async t => {
  const learn = learnerOf(good(), { metrics: accuracy })
  await learn.fit(1)
  t.true(learn.recorder.values.every(row => row.every(Number.isFinite)))
})
