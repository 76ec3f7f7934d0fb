// What users find in `nn`: layers, losses and state dicts.

export {
  type LoadPthOptions,
  type LoadResult,
  type LoadSafetensorsOptions,
  loadPth,
  loadPthSync,
  loadSafetensors,
  readSafetensors,
  type SafetensorsContent,
  type SaveSafetensorsOptions,
  type StateDict,
  StateDictError,
  saveSafetensors,
} from '../files/index.js'
export { type Layer, ModuleList, Sequential } from './containers.js'
export type { Reduction } from './functional.js'
export * as functional from './functional.js'
export type { InterpolateMode } from './functional-layers.js'
export * as init from './init.js'
export {
  LabelSmoothingCrossEntropy,
  LabelSmoothingCrossEntropyFlat,
  type LabelSmoothingOptions,
} from './label-smoothing.js'
export {
  ELU,
  GELU,
  Hardswish,
  type InplaceOptions,
  LeakyReLU,
  Sigmoid,
  SiLU,
  Softmax,
  Tanh,
} from './layers/activations.js'
export { type AttentionOptions, MultiheadAttention, type MultiheadAttentionOptions } from './layers/attention.js'
export { Dropout, Flatten, Identity, ReLU } from './layers/basic.js'
export { Conv2d, type Conv2dOptions } from './layers/conv.js'
export { ConvTranspose2d, type ConvTranspose2dOptions } from './layers/conv-transpose.js'
export { Embedding, type EmbeddingOptions } from './layers/embedding.js'
export { GroupNorm, type GroupNormOptions, LayerNorm, type LayerNormOptions } from './layers/layer-norm.js'
export { Linear } from './layers/linear.js'
export { BatchNorm, BatchNorm1d, BatchNorm2d, type BatchNormOptions } from './layers/norm.js'
export {
  AdaptiveAvgPool2d,
  AdaptiveMaxPool2d,
  AvgPool2d,
  type AvgPool2dOptions,
  MaxPool2d,
  type MaxPool2dOptions,
} from './layers/pooling.js'
export { Upsample, type UpsampleOptions } from './layers/upsample.js'
export {
  BCEWithLogitsLoss,
  type BCEWithLogitsOptions,
  CrossEntropyLoss,
  type CrossEntropyOptions,
  L1Loss,
  type Loss,
  type LossOptions,
  MSELoss,
  type OutputsLoss,
} from './losses.js'
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
} from './losses-flat.js'
export { type AnyModule, Module, type ModuleTarget } from './module.js'
export { Parameter } from './parameter.js'
export { normBiasParameters } from './parameters.js'
