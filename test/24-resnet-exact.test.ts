// The recorded ResNet-18 again, in the memory layout and with the one thread it was recorded with: the numbers are the
// same to float32's rounding. Channels-last convolutions (the default, faster) add up in another order, which is all that
// separates 24-resnet.test.ts from these.
import test from 'ava'
import {
  Adam,
  CrossEntropyLossFlat,
  createBody,
  createHead,
  getNumThreads,
  nn,
  noGrad,
  resnet18,
  resnetSplit,
  setNumThreads,
  slice,
  type Tensor,
} from 'torch-learner'
import { assertClose, assertNumbers, type Fixture, golden, toTensor } from './helpers/golden.js'
import { hashFill, hashTensor } from './helpers/hash-fill.js'

interface Numeric {
  init_salt0: number
  input: { shape: number[]; salt: number; scale: number; offset: number }
  targets: Fixture
  n_out: number
  eval: { logits: Fixture; loss: number }
  train: {
    logits: Fixture
    loss: number
    grad_norms: Record<string, number>
    grad_first: Record<string, Fixture>
    bn_running: Record<string, { mean_sum: number; var_sum: number; mean_first: Fixture; var_first: Fixture }>
  }
  after_adam_step: { param_norms: Record<string, number>; param_first: Record<string, Fixture>; eval_logits: Fixture }
  torchvision_1000: { init_salt0: number; logits: { first: Fixture } }
}

const numeric = golden<Numeric>('resnet18_numeric')
const exact = { rtol: 2e-6, atol: 2e-6 } // on a CPU with AVX-512, as the recording's, they are equal to the bit
const contiguous = { memoryFormat: 'contiguous_format' } as const

const input = () => {
  const { shape, salt, scale, offset } = numeric.input
  return hashTensor(shape, salt, scale, offset)
}

async function firstOf(x: Tensor | null | undefined, { data }: Fixture): Promise<number[]> {
  const values = x ? await x.detach().contiguous().flatten().data() : []
  return Array.from(values, Number).slice(0, data.length)
}

const norm = async (x: Tensor | null | undefined) => Number(await x?.detach().to({ dtype: 'float64' }).norm().item())

test.serial('golden resnet18_numeric, contiguous and with one thread', async t => {
  const threads = getNumThreads()
  setNumThreads(1)
  try {
    const torchvision = resnet18(contiguous).eval()
    hashFill(torchvision, numeric.torchvision_1000.init_salt0)
    const { first } = numeric.torchvision_1000.logits
    assertNumbers(
      t,
      await firstOf(
        noGrad(() => torchvision(input())),
        first,
      ),
      first.data.map(Number),
      exact,
    )

    const model = new nn.Sequential(createBody(resnet18(contiguous)), createHead(512, numeric.n_out))
    hashFill(model, numeric.init_salt0)
    const evaluated = noGrad(() => model.eval()(input()))
    await assertClose(t, evaluated, numeric.eval.logits, exact, 'evaluation')
    const lossFunc = new CrossEntropyLossFlat()
    const targets = toTensor(numeric.targets)
    assertNumbers(t, [await lossFunc(evaluated, targets).item()], [numeric.eval.loss], exact, 'loss of evaluation')

    model.train()
    for (const module of model.modules()) if (module instanceof nn.Dropout) module.eval()
    const logits = model(input())
    await assertClose(t, logits, numeric.train.logits, exact, 'training')
    const loss = lossFunc(logits, targets)
    assertNumbers(t, [await loss.item()], [numeric.train.loss], exact, 'loss of training')
    loss.backward()
    const params = new Map(model.namedParameters())
    for (const [name, expected] of Object.entries(numeric.train.grad_norms)) {
      assertNumbers(t, [await norm(params.get(name)?.grad)], [expected], exact, `gradient of ${name}`)
    }
    for (const [name, expected] of Object.entries(numeric.train.grad_first)) {
      assertNumbers(t, await firstOf(params.get(name)?.grad, expected), expected.data.map(Number), exact, name)
    }
    const state = model.stateDict()
    for (const [name, { mean_first, var_first }] of Object.entries(numeric.train.bn_running)) {
      const [mean, variance] = [state.get(`${name}.running_mean`), state.get(`${name}.running_var`)]
      assertNumbers(t, await firstOf(mean, mean_first), mean_first.data.map(Number), exact, `${name} mean`)
      assertNumbers(t, await firstOf(variance, var_first), var_first.data.map(Number), exact, `${name} variance`)
    }

    const opt = new Adam(resnetSplit(model), { lr: slice(1e-4, 1e-3) })
    opt.setFlags(nn.normBiasParameters(model), { doWd: false })
    opt.step()
    for (const [name, expected] of Object.entries(numeric.after_adam_step.param_norms)) {
      assertNumbers(t, [await norm(params.get(name))], [expected], exact, `norm of ${name}`)
    }
    for (const [name, expected] of Object.entries(numeric.after_adam_step.param_first)) {
      assertNumbers(t, await firstOf(params.get(name), expected), expected.data.map(Number), exact, name)
    }
    const after = noGrad(() => model.eval()(input()))
    await assertClose(t, after, numeric.after_adam_step.eval_logits, exact, 'after the step')
  } finally {
    setNumThreads(threads)
  }
})
