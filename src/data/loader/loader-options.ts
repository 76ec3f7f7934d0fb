import { device, field, flag, instance, integer, list, strictObject, whole } from '../../check/index.js'
import type { Label } from '../labels/blocks.js'
import { BatchTransform } from './transform.js'

const transforms = list(instance(BatchTransform, 'a BatchTransform'), 'an array of transforms')

export const Options = strictObject({
  bs: whole(1).optional(),
  shuffle: flag.optional(),
  weights: field<ArrayLike<number> | 'balanced'>(
    "'balanced' or an array of numbers, one a sample,",
    isWeights,
  ).optional(),
  numSamples: whole(1).optional(),
  replacement: flag.optional(),
  dropLast: flag.default(false),
  training: flag.optional(),
  seed: integer.optional(),
  prefetch: whole(0).default(2),
  batchTfms: transforms.default([]),
  nInp: whole(1).optional(),
  device: device.default('cpu'),
})

function isWeights(value: unknown): boolean {
  if (value === 'balanced') return true
  const isList = Array.isArray(value) || (ArrayBuffer.isView(value) && 'length' in value)
  return isList && Array.from(value as ArrayLike<unknown>).every(item => typeof item === 'number')
}

/** How a `DataLoader` makes batches. */
export interface DataLoaderOptions {
  /** Samples a batch. Default 64; none where batches come ready. */
  bs?: number
  /** A new random order for every pass, from libtorch's CPU generator (see `manualSeed`) or `seed`. Default false. */
  shuffle?: boolean
  /**
   * Draws samples at random, likelier the larger their weights, which need not add up to one: PyTorch's WeightedRandomSampler.
   * `balanced`: each class equally often, for targets that are class numbers. Default: every sample once a pass.
   */
  weights?: ArrayLike<number> | 'balanced'
  /** With `weights`: how many samples a pass draws. Default: as many as there are. */
  numSamples?: number
  /** With `weights`: a sample may be drawn several times in a pass. Default true. */
  replacement?: boolean
  /** Leave out a last batch with fewer than `bs` samples. Default false. */
  dropLast?: boolean
  /** Training batches: random transforms are random, and those for training only take part. Default: as `shuffle`, and with `weights`. */
  training?: boolean
  /**
   * Own random numbers instead of libtorch's, for everything that is random in a pass: orders, crops, batch transforms. The same
   * passes every time the loader is made.
   */
  seed?: number
  /** How many batches are prepared ahead of the one in use. 0 prepares each when it is asked for. Default 2. */
  prefetch?: number
  /** Done to the inputs of each batch, by their `order`. */
  batchTfms?: readonly BatchTransform[]
  /** How many tensors of a batch are inputs. Default: all but the last, or the only one. */
  nInp?: number
  /** Where batches end up. Default `cpu`. */
  device?: string
}

export const TestOptions = strictObject({
  withLabels: field<boolean | readonly Label[]>(
    'true, false or an array of labels',
    value => typeof value === 'boolean' || Array.isArray(value),
  ).default(false),
  bs: whole(1).optional(),
})

/** Options of `testDl`. */
export interface TestDlOptions {
  /**
   * Batches have targets too. `true`: the items' own (`[input, target]` or `{ x, y }` each), for pictures those that the data loaders'
   * function or folders give; or an array of labels, one an item. Default false.
   */
  withLabels?: boolean | readonly Label[]
  /** Items a batch. Default: as the loader has. */
  bs?: number
}

/** Every sample once, as it comes. */
export const IN_ORDER = { shuffle: false, weights: undefined, numSamples: undefined, replacement: undefined } as const
