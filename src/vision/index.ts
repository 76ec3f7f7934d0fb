// All of it is public: src/index.ts passes everything on.

export { imageSize, type Orientation, openImage, type RgbPicture } from './decode/decode.js'
export { type BadFile, type VerifyImagesOptions, verifyImages } from './decode/verify.js'
export { ImageDataLoaders } from './loaders/loaders.js'
export type {
  ImageDataLoadersOptions,
  ImageFolderOptions,
  LabelFunction,
  WeightFunction,
  YBlock,
} from './loaders/loaders-options.js'
export type { CsvTableOptions } from './loaders/table.js'
export {
  type BodyOptions,
  bodyHeadSplit,
  type Cut,
  createBody,
  numFeatures,
  resnetSplit,
} from './model/body.js'
export { AdaptiveConcatPool2d, createHead, type HeadOptions } from './model/head.js'
export {
  type Arch,
  type ArchOptions,
  type VisionData,
  type VisionLearnerOptions,
  visionLearner,
} from './model/learner.js'
export {
  BasicBlock,
  Bottleneck,
  type BottleneckShape,
  ResNet,
  type ResNetOptions,
  resnet18,
  resnet34,
  resnet50,
  resnet101,
  resnet152,
  resnext50_32x4d,
  resnext101_32x8d,
  resnext101_64x4d,
  wideResnet50_2,
  wideResnet101_2,
} from './model/resnet.js'
export { downloadWeights, type WeightsName, type WeightsVersion } from './model/weights.js'
export {
  ClassificationInterpretation,
  type FigureOptions,
  type InterpretationOptions,
  type Judged,
} from './report/interpretation.js'
export type { ClassScores } from './report/report.js'
export { type AugTransformsOptions, augTransforms } from './transforms/augment.js'
export {
  AffineAugment,
  type AffineAugmentOptions,
  BatchResizedCrop,
  type BatchResizedCropOptions,
  type SamplingOptions,
} from './transforms/augment-affine.js'
export {
  LightingAugment,
  type LightingAugmentOptions,
  RandomErasing,
  type RandomErasingOptions,
} from './transforms/augment-lighting.js'
export { CropPad, type CropPadOptions, RandomCrop } from './transforms/crop-pad.js'
export type { Draw } from './transforms/draw.js'
export { ItemTransform } from './transforms/item-transform.js'
export { type ChannelStats, IntToFloatTensor, imagenetStats, mnistStats, Normalize } from './transforms/normalize.js'
export { RandomResizedCrop, type RandomResizedCropOptions } from './transforms/random-resized-crop.js'
export { type PictureBox, Resize, type ResizeOptions } from './transforms/resize.js'
