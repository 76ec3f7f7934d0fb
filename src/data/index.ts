// What the other folders of src/ may use. What users get of it, src/index.ts lists.

export { type UntarDataOptions, untarData } from './download/untar.js'
export { URLs } from './download/urls.js'
export {
  blockFor,
  CategoryBlock,
  type CategoryBlockOptions,
  type Label,
  MultiCategoryBlock,
  type MultiCategoryBlockOptions,
  RegressionBlock,
  type RegressionBlockOptions,
  TargetBlock,
  type TargetEncoder,
} from './labels/blocks.js'
export { type Labeller, parentLabel, RegexLabeller } from './labels/labellers.js'
export { GrandparentSplitter, type ItemSplitter, RandomSplitter } from './labels/splitters.js'
export type { Targets } from './labels/targets.js'
export { Vocab } from './labels/vocab.js'
export { inputCount, type Sample, type Value } from './loader/collate.js'
export { DataLoader, type LoaderState } from './loader/loader.js'
export type { DataLoaderOptions, TestDlOptions } from './loader/loader-options.js'
export { DataLoaders, type Loader } from './loader/loaders.js'
export type { DataLoadersFromOptions, DataSource } from './loader/loaders-from.js'
export type { DataLoadersOptions } from './loader/loaders-options.js'
export { BatchTransform, type SplitIdx } from './loader/transform.js'
export type { ShowBatchOptions } from './show.js'
export { areClasses, batchTiles, labelsOf, showBatch } from './show.js'
export { columnValues, isBlank, isMissing } from './source/column.js'
export { readCsv } from './source/csv.js'
export { getImageFiles, type ImageFilesOptions, listImages } from './source/files.js'
export { IterableDataset, type IterableDatasetOptions } from './source/iterable.js'
export { CONVERT, imageExtensions, PassedOver } from './source/picture-formats.js'
export {
  type BatchPass,
  type BatchSource,
  type Dataset,
  type LoadContext,
  type PreparedBatch,
  TensorDataset,
} from './source/source.js'
export type { SampleIterable, SampleStream } from './source/stream.js'
export type { NumberArray, ShapedArray } from './source/values.js'
