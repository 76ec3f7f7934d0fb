export * from './callbacks/index.js'
export {
  type BatchPass,
  type BatchSource,
  BatchTransform,
  CategoryBlock,
  type CategoryBlockOptions,
  type ChannelArithmetic,
  DataLoader,
  type DataLoaderOptions,
  DataLoaders,
  type DataLoadersFromOptions,
  type DataLoadersOptions,
  type DataSource,
  type Dataset,
  GrandparentSplitter,
  getImageFiles,
  type ImageFilesOptions,
  type ItemSplitter,
  IterableDataset,
  type IterableDatasetOptions,
  imageExtensions,
  type Label,
  type Labeller,
  type LoadContext,
  type Loader,
  type LoaderState,
  MultiCategoryBlock,
  type MultiCategoryBlockOptions,
  type NumberArray,
  type PreparedBatch,
  parentLabel,
  RandomSplitter,
  RegexLabeller,
  RegressionBlock,
  type RegressionBlockOptions,
  type Sample,
  type SampleIterable,
  type SampleStream,
  type ShapedArray,
  type ShowBatchOptions,
  type SplitIdx,
  TargetBlock,
  type TargetEncoder,
  type Targets,
  TensorDataset,
  type TestDlOptions,
  type UntarDataOptions,
  URLs,
  untarData,
  type Value,
  Vocab,
} from './data/index.js'
export * from './learner/index.js'
export {
  type BboxOptions,
  type Box,
  type Boxes,
  type CutmixDraw,
  type CutmixDrawOptions,
  type CutmixOptions,
  cutmix,
  type DrawOptions,
  drawCutmix,
  drawFmix,
  drawMix,
  drawMixup,
  drawResizeMix,
  type FmixDraw,
  type FmixDrawOptions,
  fmix,
  type LossFunction,
  type MinMax,
  type MixDraw,
  type MixedLossOptions,
  type MixMode,
  type MixRandom,
  type MixupDraw,
  type MixWeights,
  mixedLoss,
  mixup,
  noneReduce,
  type Partners,
  partnersOf,
  type ResizeMethod,
  type ResizeMixDrawOptions,
  randBbox,
  randBboxMinMax,
  reduce_loss,
  reduceLoss,
  resizeMix,
} from './mix/index.js'
export { doctor, type ErrorCode, type ErrorOrigin, type PictureStep, TorchLearnerError } from './native/index.js'
export * as nn from './nn/index.js'
export {
  LabelSmoothingCrossEntropy,
  LabelSmoothingCrossEntropyFlat,
  type LabelSmoothingOptions,
} from './nn/label-smoothing.js'
export { type LoadPthOptions, loadPth, loadPthSync } from './nn/load-pth.js'
export type { Loss, OutputsLoss } from './nn/losses.js'
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
export {
  type LoadSafetensorsOptions,
  loadSafetensors,
  readSafetensors,
  type SafetensorsContent,
  type SaveSafetensorsOptions,
  saveSafetensors,
} from './nn/safetensors.js'
export * as optim from './optim/index.js'
export {
  Adam,
  Lamb,
  Larc,
  Lookahead,
  type OptFunc,
  Optimizer,
  QHAdam,
  RAdam,
  RMSProp,
  ranger,
  SGD,
  slice,
} from './optim/index.js'
export {
  type GridOptions,
  type InlineProtocol,
  imageGrid,
  inlineProtocol,
  type LineChartOptions,
  lineChart,
  type Mark,
  type MatrixChartOptions,
  matrixChart,
  type PictureSink,
  type Pixels,
  type SaveFigureOptions,
  type Series,
  saveFigure,
  type Theme,
  type Tile,
} from './plot/index.js'
export * from './tensor/index.js'
export { type AugTransformsOptions, augTransforms } from './vision/augment.js'
export {
  AffineAugment,
  type AffineAugmentOptions,
  BatchResizedCrop,
  type BatchResizedCropOptions,
  type SamplingOptions,
} from './vision/augment-affine.js'
export {
  LightingAugment,
  type LightingAugmentOptions,
  RandomErasing,
  type RandomErasingOptions,
} from './vision/augment-lighting.js'
export {
  type BodyOptions,
  bodyHeadSplit,
  type Cut,
  createBody,
  numFeatures,
  resnetSplit,
} from './vision/body.js'
export { CropPad, type CropPadOptions, RandomCrop } from './vision/crop-pad.js'
export { imageSize, type Orientation, openImage, type RgbPicture } from './vision/decode.js'
export type { Draw } from './vision/draw.js'
export { AdaptiveConcatPool2d, createHead, type HeadOptions } from './vision/head.js'
export {
  ClassificationInterpretation,
  type FigureOptions,
  type InterpretationOptions,
  type Judged,
} from './vision/interpretation.js'
export { ItemTransform } from './vision/item-transform.js'
export {
  type Arch,
  type ArchOptions,
  type VisionData,
  type VisionLearnerOptions,
  visionLearner,
} from './vision/learner.js'
export { ImageDataLoaders } from './vision/loaders.js'
export type {
  ImageDataLoadersOptions,
  ImageFolderOptions,
  LabelFunction,
  WeightFunction,
  YBlock,
} from './vision/loaders-options.js'
export { type ChannelStats, IntToFloatTensor, imagenetStats, mnistStats, Normalize } from './vision/normalize.js'
export { RandomResizedCrop, type RandomResizedCropOptions } from './vision/random-resized-crop.js'
export type { ClassScores } from './vision/report.js'
export { type PictureBox, Resize, type ResizeOptions } from './vision/resize.js'
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
} from './vision/resnet.js'
export type { CsvTableOptions } from './vision/table.js'
export { type BadFile, type VerifyImagesOptions, verifyImages } from './vision/verify.js'
export { downloadWeights, type WeightsName, type WeightsVersion } from './vision/weights.js'
