import { checkOptions, checkValue, invalidArgument, TorchLearnerError } from '../../check/index.js'
import { Conv2d, type Loss, Module, type OutputsLoss } from '../../nn/index.js'
import type { Tensor } from '../../tensor/index.js'
import type { Metric } from '../metrics/metric.js'
import { type LearnerOptions, learnerSchema } from '../options.js'
import { type LearnerData, learnerData } from './data.js'
import type { ModelOutput } from './loop-state.js'

/** A model that returns several tensors in an array. */
export type OutputsModule = Module<Tensor[], readonly Tensor[]>

/** A metric of a model with several outputs: it gets them as an array. */
export type OutputsMetric = (preds: readonly Tensor[], ...targets: Tensor[]) => Tensor | number

type OutputsMetricLike = OutputsMetric | Metric | (new () => Metric)

/** Options of a {@link Learner} whose model returns several tensors: loss and metrics get all of them. */
export interface OutputsLearnerOptions extends Omit<LearnerOptions, 'lossFunc' | 'metrics'> {
  /** `lossFunc(preds, ...targets)`, which has to be given. */
  lossFunc: OutputsLoss
  /** Functions `(preds, ...targets)`, or {@link Metric}s: those of this package measure the first output. */
  metrics?: OutputsMetricLike | readonly OutputsMetricLike[]
}

/** What a Learner is made of, checked: `model` and the loss in the types of one output, which the loop is written in. */
export interface Parts {
  model: Module
  options: LearnerOptions
  lossFunc: Loss
}

/** @internal Checks what a Learner's constructor was given. */
export function checkParts(
  dls: LearnerData,
  model: Module<Tensor[], ModelOutput>,
  options: LearnerOptions | OutputsLearnerOptions,
): Parts {
  checkValue(learnerData, dls, 'dls')
  if (!isModule(model)) throw invalidArgument('model', 'a Module', model)
  checkOptions(learnerSchema, options, 'Learner')
  if (!isForOne(options)) throw invalidArgument('options', 'options of a Learner', options)
  const lossFunc = options.lossFunc ?? dls.lossFunc
  if (lossFunc) return { model, options, lossFunc }
  throw new TorchLearnerError('ERR_INVALID_ARG', 'Could not infer the loss function from the data: pass lossFunc')
}

function isModule(value: unknown): value is Module {
  return value instanceof Module
}

function isForOne(options: unknown): options is LearnerOptions {
  return typeof options === 'object' && options !== null
}

/** Convolutions are faster in that memory format. */
export function useChannelsLast(model: Module): void {
  if (model.modules().some(module => module instanceof Conv2d)) model.to({ memoryFormat: 'channels_last' })
}
