// What the other folders of src/ may use. What users get of it, src/index.ts lists.
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
} from './blocks.js'
export { inputCount, type Sample, type Value } from './collate.js'
export { columnValues, isBlank, isMissing } from './column.js'
export { readCsv } from './csv.js'
export { getImageFiles, type ImageFilesOptions, listImages } from './files.js'
export { IterableDataset, type IterableDatasetOptions } from './iterable.js'
export { type Labeller, parentLabel, RegexLabeller } from './labellers.js'
export { DataLoader, type LoaderState } from './loader.js'
export type { DataLoaderOptions, TestDlOptions } from './loader-options.js'
export { DataLoaders, type Loader } from './loaders.js'
export type { DataLoadersFromOptions, DataSource } from './loaders-from.js'
export type { DataLoadersOptions } from './loaders-options.js'
export { CONVERT, imageExtensions, PassedOver } from './picture-formats.js'
export type { ShowBatchOptions } from './show.js'
export { areClasses, batchTiles, labelsOf, showBatch } from './show.js'
export {
  type BatchPass,
  type BatchSource,
  type Dataset,
  type LoadContext,
  type PreparedBatch,
  TensorDataset,
} from './source.js'
export { GrandparentSplitter, type ItemSplitter, RandomSplitter } from './splitters.js'
export type { SampleIterable, SampleStream } from './stream.js'
export type { Targets } from './targets.js'
export { BatchTransform, type SplitIdx } from './transform.js'
export { type UntarDataOptions, untarData } from './untar.js'
export { URLs } from './urls.js'
export type { NumberArray, ShapedArray } from './values.js'
export { Vocab } from './vocab.js'
