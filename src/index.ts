export { type ErrorCode, TorchLearnerError } from './native/index.js'
export * as nn from './nn/index.js'
export {
  LabelSmoothingCrossEntropy,
  LabelSmoothingCrossEntropyFlat,
  type LabelSmoothingOptions,
} from './nn/label-smoothing.js'
export type { Loss } from './nn/losses.js'
export {
  BaseLoss,
  type BCEWithLogitsFlatOptions,
  BCEWithLogitsLossFlat,
  type CrossEntropyFlatOptions,
  CrossEntropyLossFlat,
  type FlatOptions,
  type FocalFlatOptions,
  FocalLoss,
  FocalLossFlat,
  L1LossFlat,
  MSELossFlat,
  type RegressionFlatOptions,
} from './nn/losses-flat.js'
export * as optim from './optim/index.js'
export { Adam, type OptFunc, Optimizer, SGD, slice } from './optim/index.js'
export * from './tensor/index.js'
export {
  AdaptiveConcatPool2d,
  createBody,
  createHead,
  type HeadOptions,
  resnetSplit,
} from './vision/head.js'
export {
  type Arch,
  ResNet,
  type ResNetOptions,
  resnet18,
  resnet34,
  resnet50,
  resnet101,
  resnet152,
} from './vision/resnet.js'
