// All of it is public: src/index.ts passes everything on.
export { type AugTransformsOptions, augTransforms } from './augment.js'
export {
  AffineAugment,
  type AffineAugmentOptions,
  BatchResizedCrop,
  type BatchResizedCropOptions,
  type SamplingOptions,
} from './augment-affine.js'
export {
  LightingAugment,
  type LightingAugmentOptions,
  RandomErasing,
  type RandomErasingOptions,
} from './augment-lighting.js'
export {
  type BodyOptions,
  bodyHeadSplit,
  type Cut,
  createBody,
  numFeatures,
  resnetSplit,
} from './body.js'
export { CropPad, type CropPadOptions, RandomCrop } from './crop-pad.js'
export { imageSize, type Orientation, openImage, type RgbPicture } from './decode.js'
export type { Draw } from './draw.js'
export { AdaptiveConcatPool2d, createHead, type HeadOptions } from './head.js'
export {
  ClassificationInterpretation,
  type FigureOptions,
  type InterpretationOptions,
  type Judged,
} from './interpretation.js'
export { ItemTransform } from './item-transform.js'
export {
  type Arch,
  type ArchOptions,
  type VisionData,
  type VisionLearnerOptions,
  visionLearner,
} from './learner.js'
export { ImageDataLoaders } from './loaders.js'
export type {
  ImageDataLoadersOptions,
  ImageFolderOptions,
  LabelFunction,
  WeightFunction,
  YBlock,
} from './loaders-options.js'
export { type ChannelStats, IntToFloatTensor, imagenetStats, mnistStats, Normalize } from './normalize.js'
export { RandomResizedCrop, type RandomResizedCropOptions } from './random-resized-crop.js'
export type { ClassScores } from './report.js'
export { type PictureBox, Resize, type ResizeOptions } from './resize.js'
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
} from './resnet.js'
export type { CsvTableOptions } from './table.js'
export { type BadFile, type VerifyImagesOptions, verifyImages } from './verify.js'
export { downloadWeights, type WeightsName, type WeightsVersion } from './weights.js'
