import test, { type ExecutionContext } from 'ava'
import {
  Adam,
  CrossEntropyLossFlat,
  createBody,
  createHead,
  manualSeed,
  nn,
  noGrad,
  randn,
  resnet18,
  resnet34,
  resnet50,
  resnet101,
  resnet152,
  resnetSplit,
  slice,
  type Tensor,
} from 'torch-learner'
import { assertNumbers, assertWithin, type Fixture, golden, numbersOf, toTensor } from './helpers/golden.js'
import { hashFill, hashNumber, hashTensor } from './helpers/hash-fill.js'

type Entries = [name: string, shape: number[], dtype: string][]

interface Meta {
  torchvision_resnet18_state_dict: Entries
  torchvision_resnet18_children: [string, string][]
  fastai_state_dict: Entries
  body_children: [string, string][]
  resnet_split_groups: string[][]
  frozen_trainable: string[]
  no_wd: string[]
  num_features: Record<string, number>
  n_params: Record<string, number>
}

interface Summary {
  shape: number[]
  mean: number
  std: number
  abs_sum: number
  first: Fixture
}

interface Numeric {
  hash_vectors: { i: number; salt: number; u: number }[]
  init_salt0: number
  input: { shape: number[]; salt: number; scale: number; offset: number }
  targets: Fixture
  n_out: number
  eval: { body_activations: (Summary & { name: string })[]; logits: Fixture; loss: number }
  train: {
    logits: Fixture
    loss: number
    grad_norms: Record<string, number>
    grad_first: Record<string, Fixture>
    bn_running: Record<
      string,
      { mean_sum: number; var_sum: number; mean_first: Fixture; var_first: Fixture; num_batches: number }
    >
  }
  after_adam_step: {
    hypers: Record<string, number>[]
    param_norms: Record<string, number>
    param_first: Record<string, Fixture>
    eval_logits: Fixture
  }
  torchvision_1000: { init_salt0: number; logits: Summary; top5: Fixture }
}

const meta = golden<Meta>('resnet18_meta')
const numeric = golden<Numeric>('resnet18_numeric')

const vision = (nOut: number) => new nn.Sequential(createBody(resnet18()), createHead(meta.num_features.resnet18, nOut))
/** Length of the recorded last bias. */
const outputs = (state: Entries) => state.at(-1)?.[1][0] ?? 0
const nOut = outputs(meta.fastai_state_dict)
const entries = (module: nn.AnyModule): Entries =>
  [...module.stateDict()].map(([name, tensor]) => [name, tensor.shape, tensor.dtype])
const names = (module: nn.AnyModule) => new Map([...module.namedParameters()].map(([name, value]) => [value, name]))
const typed = (module: nn.AnyModule) =>
  [...module.namedChildren()].map(([name, child]): [string, string] => [name, child.constructor.name])
const parameterCount = (module: nn.AnyModule) => module.parameters().reduce((sum, { numel }) => sum + numel, 0)

test('golden resnet18_meta: state dict and children of torchvision', t => {
  const model = resnet18({ numClasses: outputs(meta.torchvision_resnet18_state_dict) })
  t.deepEqual(entries(model), meta.torchvision_resnet18_state_dict)
  t.deepEqual(typed(model), meta.torchvision_resnet18_children)
})

test('golden resnet18_meta: body and head of fastai', t => {
  const model = vision(nOut)
  t.deepEqual(entries(model), meta.fastai_state_dict)
  t.deepEqual(typed(model.children()[0]), meta.body_children)
})

test('golden resnet18_meta: parameter groups and what weight decay leaves alone', t => {
  const model = vision(nOut)
  const byTensor = names(model)
  const named = (group: Tensor[]) => group.map(parameter => byTensor.get(parameter as nn.Parameter))
  const groups = resnetSplit(model)
  t.deepEqual(groups.map(named), meta.resnet_split_groups)
  t.deepEqual(named(nn.normBiasParameters(model)).sort(), [...meta.no_wd].sort())
  const trainedWhenFrozen = new Set([...nn.normBiasParameters(model, false), ...groups[2]])
  const inOrder = model.parameters().filter(parameter => trainedWhenFrozen.has(parameter))
  t.deepEqual(named(inOrder), meta.frozen_trainable)
})

test('golden resnet18_meta: sizes of the models', t => {
  for (const [name, make] of Object.entries({ resnet18, resnet34, resnet50 })) {
    const nf = meta.num_features[name]
    const body = createBody(make())
    t.is(parameterCount(body) + parameterCount(createHead(nf, nOut)), meta.n_params[name], name)
  }
})

test('ResNet-101 and 152 have torchvision’s sizes', t => {
  const large = resnet101()
  t.is(parameterCount(large), 44_549_160)
  t.is(large.stateDict().size, 626)
  large.dispose()
  const largest = resnet152()
  t.is(parameterCount(largest), 60_192_808)
  t.is(largest.stateDict().size, 932)
  largest.dispose()
})

test.serial('a seed gives the weights that torchvision draws', async t => {
  // float64 sums of the float32 weights of PyTorch 2.13 after manual_seed(3)
  const expected: [typeof resnet18, Record<string, number>][] = [
    [
      resnet18,
      {
        'conv1.weight': -4.86342165490214,
        'layer1.0.conv1.weight': -1.397682871807092,
        'layer4.1.conv2.weight': -20.94322324529572,
        'fc.weight': -1.1138679511168448,
        'fc.bias': 0.1717326627112925,
      },
    ],
    [
      resnet50,
      {
        'conv1.weight': -3.6686330829618328,
        'layer1.0.conv1.weight': -5.6590663070528535,
        'layer4.1.conv2.weight': -34.86492086428492,
        'fc.weight': 0.6421491777665551,
        'fc.bias': -0.003033042885363102,
      },
    ],
  ]
  for (const [make, sums] of expected) {
    manualSeed(3)
    const state = make({ numClasses: 10 }).stateDict()
    for (const [name, sum] of Object.entries(sums)) {
      const weights = state.get(name)?.to({ dtype: 'float64' })
      const [actual, size] = [await weights?.sum().item(), await weights?.abs().sum().item()]
      // logarithms and cosines of other CPUs differ in the last bit
      t.true(Math.abs((actual ?? 0) - sum) < 6e-8 * (size ?? 0), name)
    }
  }
})

test('channels_last changes results by rounding only', async t => {
  const last = resnet18({ numClasses: 7 })
  const plain = resnet18({ numClasses: 7, memoryFormat: 'contiguous_format' })
  t.is(last.conv1.weight.memoryFormat, 'channels_last')
  t.is(plain.conv1.weight.memoryFormat, 'contiguous')
  plain.loadStateDict(last.stateDict())
  const x = randn([4, 3, 64, 64])
  const [a, b] = [last, plain].map(model => noGrad(() => model.eval()(x)))
  assertNumbers(t, (await a.data()) as Float32Array, (await b.data()) as Float32Array, { atol: 1e-4, rtol: 1e-4 })
})

test('bad options are refused', t => {
  const invalid = { code: 'ERR_INVALID_ARG' }
  t.throws(() => Reflect.apply(resnet18, null, [{ pretrained: 'imagenet' }]), invalid)
  t.throws(() => resnet18({ numClasses: 0 }), invalid)
  t.throws(() => Reflect.apply(resnet18, null, [{ numClass: 3 }]), invalid)
  t.throws(() => Reflect.apply(resnet50, null, [{ memoryFormat: 'nhwc' }]), invalid)
  t.throws(() => Reflect.apply(resnet18, null, [10]), invalid)
})

// golden resnet18_numeric -------------------------------------------------------------------------------------------

// What float32 gives on any CPU, of the largest number: 20 layers make 1e-5 of other orders of addition. Gradients pass them
// twice, and a step by Adam makes as much of small gradients as of large ones.
const ROUNDING = 1e-4
const GRADIENTS = 3e-3

function close(t: ExecutionContext, actual: number, expected: number, share: number, label: string): void {
  assertWithin(t, [actual], [expected], share, label)
}

async function logitsClose(t: ExecutionContext, x: Tensor, expected: Fixture, share: number, label: string) {
  t.deepEqual(x.shape, expected.shape, label)
  assertWithin(
    t,
    Array.from(await x.detach().contiguous().view([-1]).data(), Number),
    numbersOf(expected),
    share,
    label,
  )
}

async function summary(x: Tensor): Promise<{ mean: number; std: number; abs_sum: number; first: Float32Array }> {
  const wide = x.to({ dtype: 'float64' })
  const [mean, std, sum] = [wide.mean(), wide.std(), wide.abs().sum()].map(value => value.item())
  return {
    mean: await mean,
    std: await std,
    abs_sum: await sum,
    first: (await x.contiguous().view([-1]).data()) as Float32Array,
  }
}

const input = () => {
  const { shape, salt, scale, offset } = numeric.input
  return hashTensor(shape, salt, scale, offset)
}

function filled(): nn.Sequential {
  const model = vision(numeric.n_out)
  hashFill(model, numeric.init_salt0)
  return model
}

test('the counter hash is the recordings’ one', t => {
  for (const { i, salt, u } of numeric.hash_vectors) t.is(hashNumber(i, salt), u)
})

test('golden resnet18_numeric: evaluation, stage by stage', async t => {
  const model = filled().eval()
  const loss = new CrossEntropyLossFlat()
  const [body] = model
  let x = input()
  for (const [i, stage] of [...(body as nn.Sequential)].entries()) {
    const before = x
    // the stage after this one works in place
    x = noGrad(() => stage(before).clone())
    const expected = numeric.eval.body_activations[i]
    t.deepEqual(x.shape, expected.shape)
    const actual = await summary(x)
    close(t, actual.std, expected.std, ROUNDING, `${i} std`)
    close(t, actual.abs_sum, expected.abs_sum, ROUNDING, `${i} abs_sum`)
    assertNumbers(t, [actual.mean], [expected.mean], { atol: ROUNDING * expected.std, rtol: 0 }, `${i} mean`)
    assertNumbers(
      t,
      actual.first.slice(0, expected.first.data.length),
      expected.first.data.map(Number),
      { atol: 1e-4, rtol: 1e-4 },
      `${i} first`,
    )
  }
  const logits = noGrad(() => model(input()))
  await logitsClose(t, logits, numeric.eval.logits, ROUNDING, 'logits')
  close(t, await loss(logits, toTensor(numeric.targets)).item(), numeric.eval.loss, ROUNDING, 'loss')
})

function withoutDropout(model: nn.AnyModule): void {
  for (const module of model.modules()) if (module instanceof nn.Dropout) module.eval()
}

test('golden resnet18_numeric: a training step', async t => {
  const model = filled()
  withoutDropout(model)
  const logits = model(input())
  await logitsClose(t, logits, numeric.train.logits, ROUNDING, 'logits')
  const loss = new CrossEntropyLossFlat()(logits, toTensor(numeric.targets))
  close(t, await loss.item(), numeric.train.loss, ROUNDING, 'loss')
  loss.backward()
  const params = new Map(model.namedParameters())
  for (const [name, norm] of Object.entries(numeric.train.grad_norms)) {
    const { grad } = params.get(name) ?? {}
    const actual = (await grad?.to({ dtype: 'float64' }).norm().item()) ?? 0
    close(t, actual, norm, GRADIENTS, `norm of the gradient of ${name}`)
  }
  for (const [name, { mean_sum, var_sum, num_batches }] of Object.entries(numeric.train.bn_running)) {
    const state = model.stateDict()
    const sum = async (key: string) => (await state.get(`${name}.${key}`)?.to({ dtype: 'float64' }).sum().item()) ?? 0
    const sums = [await sum('running_mean'), await sum('running_var')]
    assertWithin(t, sums, [mean_sum, var_sum], ROUNDING, `statistics of ${name}`)
    t.is(await state.get(`${name}.num_batches_tracked`)?.item(), num_batches)
  }
  const rates = numeric.after_adam_step.hypers.map(({ lr }) => lr)
  const opt = new Adam(resnetSplit(model), { lr: slice(rates[0], rates.at(-1) ?? 0) })
  opt.setFlags(nn.normBiasParameters(model), { doWd: false })
  for (const [g, hypers] of numeric.after_adam_step.hypers.entries()) {
    close(t, opt.hypers[g].lr, hypers.lr, 1e-12, `lr of group ${g}`)
  }
  opt.step()
  for (const [name, norm] of Object.entries(numeric.after_adam_step.param_norms)) {
    const actual = (await params.get(name)?.detach().to({ dtype: 'float64' }).norm().item()) ?? 0
    close(t, actual, norm, GRADIENTS, `norm of ${name}`)
  }
  const after = noGrad(() => model.eval()(input()))
  await logitsClose(t, after, numeric.after_adam_step.eval_logits, GRADIENTS, 'logits after the step')
})

test('golden resnet18_numeric: torchvision’s model with 1000 classes', async t => {
  const { init_salt0, logits: expected, top5 } = numeric.torchvision_1000
  const model = resnet18({ numClasses: expected.shape[1] }).eval()
  hashFill(model, init_salt0)
  const logits = noGrad(() => model(input()))
  t.deepEqual(logits.shape, expected.shape)
  const actual = await summary(logits)
  close(t, actual.abs_sum, expected.abs_sum, ROUNDING, 'abs_sum')
  close(t, actual.std, expected.std, ROUNDING, 'std')
  assertNumbers(t, actual.first.slice(0, expected.first.data.length), expected.first.data.map(Number), {
    atol: 1e-3,
    rtol: 1e-4,
  })
  const best = logits.argsort(-1, true).narrow(1, 0, top5.shape[1])
  t.deepEqual([...((await best.contiguous().view([-1]).data()) as BigInt64Array)].map(Number), top5.data.map(Number))
})
