// A ResNet-18 of 10 outputs instead of 37, and one of 20 classes instead of 1,000; smaller pictures, fewer of them.
import {
  Adam,
  CrossEntropyLossFlat,
  createBody,
  createHead,
  nn,
  noGrad,
  randint,
  resnet18,
  resnet34,
  resnet50,
  resnetSplit,
  slice,
  type Tensor,
} from 'torch-learner'
import { golden } from '../../helpers/golden.js'
import { hashFill, hashTensor } from '../../helpers/hash-fill.js'
import { recordedTensor, write } from './write.js'

const [OUTPUTS, CLASSES, FIRST, TOP] = [10, 20, 5, 3]
const contiguous = { memoryFormat: 'contiguous_format' } as const
const headed = () => new nn.Sequential(createBody(resnet18(contiguous)), createHead(512, OUTPUTS))
const count = (module: nn.AnyModule) => module.parameters().reduce((sum, { numel }) => sum + numel, 0)
const entries = (module: nn.AnyModule) => [...module.stateDict()].map(([name, x]) => [name, x.shape, x.dtype])
const wide = (x: Tensor) => x.detach().to({ dtype: 'float64' })

export async function meta(folder: string): Promise<void> {
  const first = golden<{ num_features: Record<string, number> }>('resnet18_meta')
  const sizes = Object.entries({ resnet18, resnet34, resnet50 }).map(([name, make]) => [
    name,
    count(createBody(make())) + count(createHead(first.num_features[name], OUTPUTS)),
  ])
  write(folder, 'resnet18_meta', {
    ...first,
    torchvision_resnet18_state_dict: entries(resnet18({ numClasses: CLASSES })),
    fastai_state_dict: entries(headed()),
    n_params: Object.fromEntries(sizes),
  })
}

async function summary(x: Tensor): Promise<object> {
  const [mean, std, abs_sum] = [wide(x).mean(), wide(x).std(), wide(x).abs().sum()].map(value => value.item())
  const first = await recordedTensor(x, FIRST)
  return { shape: x.shape, mean: await mean, std: await std, abs_sum: await abs_sum, first }
}

const norms = async (named: Iterable<[string, Tensor | null]>) => {
  const found: Record<string, number> = {}
  for (const [name, x] of named) if (x) found[name] = await wide(x).norm().item()
  return found
}
const firsts = async (named: Iterable<[string, Tensor | null]>) => {
  const found: Record<string, unknown> = {}
  for (const [name, x] of named) if (x && x.numel >= FIRST) found[name] = await recordedTensor(x, FIRST)
  return found
}

async function evaluation(model: nn.Sequential, input: Tensor, targets: Tensor): Promise<object> {
  const body_activations: object[] = []
  let x = input
  for (const [i, stage] of [...(model.children()[0] as nn.Sequential)].entries()) {
    const before = x
    x = noGrad(() => stage(before).clone()) // the stage after this one works in place
    body_activations.push({ name: String(i), ...(await summary(x)) })
  }
  const logits = noGrad(() => model(input))
  const loss = await new CrossEntropyLossFlat()(logits, targets).item()
  return { body_activations, logits: await recordedTensor(logits), loss }
}

async function statistics(model: nn.Sequential): Promise<object> {
  const found: Record<string, object> = {}
  const state = model.stateDict()
  for (const [name, mean] of state) {
    if (!name.endsWith('.running_mean')) continue
    const layer = name.slice(0, -'.running_mean'.length)
    const variance = state.get(`${layer}.running_var`) ?? mean
    found[layer] = {
      mean_sum: await wide(mean).sum().item(),
      var_sum: await wide(variance).sum().item(),
      mean_first: await recordedTensor(mean, FIRST),
      var_first: await recordedTensor(variance, FIRST),
      num_batches: await state.get(`${layer}.num_batches_tracked`)?.item(),
    }
  }
  return found
}

export async function numeric(folder: string): Promise<void> {
  const first = golden<{ init_salt0: number; torchvision_1000: { init_salt0: number } }>('resnet18_numeric')
  const input = { shape: [3, 3, 48, 40], salt: 4321, scale: 1.25, offset: 0.1 }
  const pictures = hashTensor(input.shape, input.salt, input.scale, input.offset)
  const targets = randint(0, OUTPUTS, [3])

  const classifier = resnet18({ ...contiguous, numClasses: CLASSES }).eval()
  hashFill(classifier, first.torchvision_1000.init_salt0)
  const classified = noGrad(() => classifier(pictures))
  const top5 = classified.argsort(-1, true).narrow(1, 0, TOP)

  const model = headed().eval()
  hashFill(model, first.init_salt0)
  const evaluated = await evaluation(model, pictures, targets)
  model.train()
  for (const module of model.modules()) if (module instanceof nn.Dropout) module.eval()
  const logits = model(pictures)
  const loss = new CrossEntropyLossFlat()(logits, targets)
  loss.backward()
  const params = [...model.namedParameters()]
  const gradients = params.map(([name, { grad }]): [string, Tensor | null] => [name, grad])
  const train = {
    logits: await recordedTensor(logits),
    loss: await loss.item(),
    grad_norms: await norms(gradients),
    grad_first: await firsts(gradients),
    bn_running: await statistics(model),
  }
  const opt = new Adam(resnetSplit(model), { lr: slice(2e-4, 8e-4) })
  opt.setFlags(nn.normBiasParameters(model), { doWd: false })
  opt.step()
  const param_first = await firsts(params)
  const after = noGrad(() => model.eval()(pictures))
  write(folder, 'resnet18_numeric', {
    ...first,
    ...{ input, n_out: OUTPUTS, targets: await recordedTensor(targets), eval: evaluated, train },
    after_adam_step: {
      hypers: opt.hypers,
      param_norms: await norms(params),
      param_first,
      eval_logits: await recordedTensor(after),
    },
    torchvision_1000: {
      init_salt0: first.torchvision_1000.init_salt0,
      logits: await summary(classified),
      top5: await recordedTensor(top5),
    },
  })
}
