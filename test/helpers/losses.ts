import {
  BCEWithLogitsLossFlat,
  CrossEntropyLossFlat,
  FocalLossFlat,
  L1LossFlat,
  LabelSmoothingCrossEntropy,
  LabelSmoothingCrossEntropyFlat,
  type LossFunction,
  MSELossFlat,
  nn,
  type Tensor,
} from 'torch-learner'
import { type Fixture, isFixture, toTensor } from './golden.js'

/** A loss as the recordings name it. */
export interface LossFixture {
  name: string
  kwargs?: Record<string, unknown>
}

type Reduction = 'mean' | 'sum' | 'none'

/** A plain function as loss, which takes its reduction with each call. */
export function functionLoss(pred: Tensor, y: Tensor, options: { reduction?: Reduction } = {}): Tensor {
  return nn.functional.crossEntropy(pred, y, options)
}

const classes: Record<string, new (options: object) => LossFunction> = {
  BCEWithLogitsLossFlat,
  CrossEntropyLossFlat,
  FocalLossFlat,
  LabelSmoothingCrossEntropy,
  LabelSmoothingCrossEntropyFlat,
  L1LossFlat,
  MSELossFlat,
  'nn.CrossEntropyLoss': nn.CrossEntropyLoss,
}

const camel = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

/** Our loss for a recorded one, with its options. */
export function lossOf({ name, kwargs = {} }: LossFixture): LossFunction {
  if (name === 'function') return functionLoss
  const make = classes[name]
  if (make === undefined) throw new Error(`no loss named ${name}`)
  const options = Object.entries(kwargs).map(([key, value]) => [
    camel(key),
    isFixture(value) ? toTensor(value as Fixture) : value,
  ])
  return new make(Object.fromEntries(options))
}
