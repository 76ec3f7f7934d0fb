import { invalidArgument } from '../../check/index.js'
import { Module, normBiasParameters } from '../../nn/index.js'
import { type HyperValue, type OptFunc, Optimizer } from '../../optim/index.js'
import type { Tensor } from '../../tensor/index.js'

/** Splits a model's parameters into groups, first layers first. */
export type Splitter = (model: Module) => Tensor[][]

/** The default splitter: everything trainable, as one group. */
export const trainableParams: Splitter = model => {
  if (!(model instanceof Module)) throw invalidArgument('model', 'a Module', model)
  return [model.parameters().filter(parameter => parameter.requiresGrad)]
}

/** What {@link createOptimizer} needs to know. */
export interface OptimizerPlan {
  splitter: Splitter
  optFunc: OptFunc
  lr: HyperValue
  wdBnBias: boolean
  trainBn: boolean
}

/** Makes the optimizer, and notes the parameters that it treats apart: fastai's `create_opt`. */
export function createOptimizer(model: Module, { splitter, optFunc, lr, wdBnBias, trainBn }: OptimizerPlan): Optimizer {
  const opt = optFunc(splitter(model), { lr })
  if (!(opt instanceof Optimizer)) throw invalidArgument('the result of optFunc', 'an Optimizer', opt)
  if (!wdBnBias) opt.setFlags(normBiasParameters(model), { doWd: false })
  if (trainBn) opt.setFlags(normBiasParameters(model, false), { forceTrain: true })
  return opt
}
