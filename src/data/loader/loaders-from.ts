import { checkOptions, count, flag, invalidArgument, strictObject } from '../../check/index.js'
import { IterableDataset, isStream } from '../source/iterable.js'
import type { BatchSource, Dataset } from '../source/source.js'
import type { SampleStream } from '../source/stream.js'
import type { Sample } from './collate.js'
import { DataLoader } from './loader.js'
import type { DataLoaderOptions } from './loader-options.js'
import type { DataLoadersOptions } from './loaders-options.js'
import { Options as AboutOptions } from './loaders-options.js'

/** Where samples come from: see `DataLoaders.from`. */
export type DataSource = readonly Sample[] | Dataset | BatchSource | SampleStream

const Own = strictObject({
  bs: count.optional(),
  valBs: count.optional(),
  n: count.optional(),
  validN: count.optional(),
  batched: flag.default(false),
  window: count.optional(),
})

/** How `DataLoaders.from` makes loaders; what it doesn't name itself goes to both of them. */
export interface DataLoadersFromOptions
  extends DataLoadersOptions,
    Pick<
      DataLoaderOptions,
      'shuffle' | 'dropLast' | 'seed' | 'prefetch' | 'batchTfms' | 'weights' | 'numSamples' | 'replacement'
    > {
  /** Samples in a training batch; default 64. */
  bs?: number
  /** Samples in a validation batch; default `bs`. */
  valBs?: number
  /** How many samples (batches, with `batched`) a pass over the training data has, and over those of validation. Default: counted. */
  n?: number
  validN?: number
  /** What comes are whole batches. Default false. */
  batched?: boolean
  /** With `shuffle: true` and something to iterate over: see `IterableDatasetOptions`. Default 1000. */
  window?: number
}

/** The loaders, and what is known of the data besides. */
export async function loadersFrom(train: DataSource, valid: DataSource | undefined, options: DataLoadersFromOptions) {
  const [own, others] = divide(options, Object.keys(Own.shape))
  const [about, rest] = divide(others, Object.keys(AboutOptions.shape))
  const { bs, valBs = bs, n, validN, batched, window } = checkOptions(Own, own, 'DataLoaders.from')
  const { path, device, vocab, c, nInp, lossFunc } = checkOptions(AboutOptions, about, 'DataLoaders.from')
  const { shuffle, dropLast, weights, numSamples, replacement, ...both } = rest as DataLoaderOptions
  const read = async (data: DataSource, n: number | undefined, training: boolean) => {
    if (data instanceof DataLoader)
      throw invalidArgument('the data', 'samples', data, 'Loaders go into new DataLoaders(train, valid)')
    const own = { n, window: training ? window : undefined }
    if (!isIndexed(data) || batched) return await IterableDataset.from(streamOf(data), { ...own, batched })
    for (const [name, value] of Object.entries(own)) {
      if (value !== undefined) throw invalidArgument(name, 'nothing for samples that can be had by index', value)
    }
    return data
  }
  const loader = async (data: DataSource, n: number | undefined, size: number | undefined, training: boolean) => {
    const dataset = await read(data, n, training)
    const ordered = dataset instanceof IterableDataset
    const sampling = training
      ? {
          shuffle: shuffle ?? (ordered ? undefined : true),
          dropLast: dropLast ?? !batched,
          weights,
          numSamples,
          replacement,
        }
      : {}
    return new DataLoader(dataset, { ...both, ...sampling, training, bs: size, nInp, device })
  }
  if (window !== undefined && shuffle !== true) throw invalidArgument('window', 'nothing without shuffle: true', window)
  const loaders = [await loader(train, n, bs, true)]
  if (valid !== undefined) loaders.push(await loader(valid, validN, valBs, false))
  return { loaders, about: { path, device, vocab, c, nInp, lossFunc } }
}

/** Samples can be had by index. */
function isIndexed(data: unknown): data is readonly Sample[] | Dataset | BatchSource {
  return (
    Array.isArray(data) ||
    (typeof data === 'object' && data !== null && ('get' in data || 'load' in data) && 'length' in data)
  )
}

function streamOf(data: DataSource): SampleStream {
  if (isStream(data)) return data
  throw invalidArgument('the data', 'samples: an array, a dataset, or something to iterate over', data)
}

function divide(options: unknown, names: readonly string[]): [these: object, others: object] {
  if (typeof options !== 'object' || options === null) throw invalidArgument('options', 'an object', options)
  const entries = Object.entries(options)
  const isNamed = ([name]: [string, unknown]) => names.includes(name)
  return [Object.fromEntries(entries.filter(isNamed)), Object.fromEntries(entries.filter(entry => !isNamed(entry)))]
}
