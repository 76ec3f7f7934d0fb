import {
  classNames,
  device,
  field,
  flag,
  fraction,
  func,
  instance,
  integer,
  invalidArgument,
  list,
  type Output,
  oneOf,
  strictObject,
  string,
  whole,
} from '../../check/index.js'
import { BatchTransform, CategoryBlock, type ItemSplitter, type Label, TargetBlock } from '../../data/index.js'
import { type Orientation, orientationSchema } from '../decode/picture.js'
import { ItemTransform } from '../transforms/item-transform.js'

const itemTransform = instance(ItemTransform, 'an ItemTransform')

export const Options = strictObject({
  validPct: fraction.optional(),
  splitter: func<ItemSplitter<string>>('a splitter such as GrandparentSplitter()').optional(),
  seed: integer.optional(),
  yBlock: field<YBlock>(
    'CategoryBlock, MultiCategoryBlock, RegressionBlock or another TargetBlock',
    value => value instanceof TargetBlock || isBlockClass(value),
  ).optional(),
  vocab: classNames.optional(),
  itemTfms: itemTransform
    .to((one): readonly ItemTransform[] => [one])
    .or(list(itemTransform), 'an ItemTransform such as Resize, or an array of them')
    .default([]),
  batchTfms: list(instance(BatchTransform, 'a BatchTransform'), 'an array of batch transforms').default([]),
  bs: whole(1).default(64),
  valBs: whole(1).optional(),
  shuffle: flag.optional(),
  weights: field<'balanced' | WeightFunction>(
    "'balanced' or a function from a picture's path and label to its weight",
    value => value === 'balanced' || typeof value === 'function',
  ).optional(),
  numSamples: whole(1).optional(),
  replacement: flag.optional(),
  device: device.default('cpu'),
  numWorkers: whole(1).optional(),
  prefetch: whole(0).default(2),
  maxPixels: whole(1).optional(),
  orientation: orientationSchema,
  onBadFile: oneOf('error', 'skip').default('error'),
})

export type Checked = Output<typeof Options>

const subfolder = string("a subfolder's name").optional()
export const FolderOptions = Options.extend({ train: subfolder, valid: subfolder })

/** A kind of target: with its defaults (the class) or with options (an object). */
export type YBlock = TargetBlock | (new () => TargetBlock)

function isBlockClass(value: unknown): value is new () => TargetBlock {
  return typeof value === 'function' && value.prototype instanceof TargetBlock
}

/** The block that was asked for, if one was. */
export function blockOf({ yBlock, vocab }: Checked): TargetBlock | undefined {
  if (vocab !== undefined && yBlock !== undefined) {
    throw invalidArgument('vocab', 'nothing together with yBlock, which takes a vocab itself,', vocab)
  }
  if (yBlock === undefined) return vocab && new CategoryBlock({ vocab })
  return yBlock instanceof TargetBlock ? yBlock : new yBlock()
}

/** From a picture's path to what it shows. */
export type LabelFunction = (file: string) => Label

/** From a picture's path and label to how likely it is drawn, in proportion to the others. */
export type WeightFunction = (file: string, label: Label) => number

/** How `ImageDataLoaders` read pictures and make batches of them. */
export interface ImageDataLoadersOptions {
  /** A random share of all pictures for validation, above 0 and below 1. Default 0.2; with `fromFolder` none. */
  validPct?: number
  /**
   * Which pictures are for validation, by their paths, instead of a random share: `GrandparentSplitter()`, or a function of your own
   * that returns the indices for training and for validation.
   */
  splitter?: ItemSplitter<string>
  /** The same split, orders, crops and augmentations every time. Default: libtorch's generator decides, see `manualSeed`. */
  seed?: number
  /**
   * The kind of target: `CategoryBlock`, `MultiCategoryBlock`, `RegressionBlock`, or one of them with options:
   * `new CategoryBlock({ vocab })`. Default: by the labels. Strings are classes, arrays of strings several classes each, fractions
   * and arrays of numbers are values.
   */
  yBlock?: YBlock
  /** All classes in the order of their numbers: short for `yBlock: new CategoryBlock({ vocab })`. */
  vocab?: readonly string[]
  /**
   * What is done to each picture, by `order`: `Resize`, `RandomResizedCrop`, `RandomCrop`, `CropPad`, an {@link ItemTransform} of your
   * own. Without one of the first four all pictures must have one size.
   */
  itemTfms?: ItemTransform | readonly ItemTransform[]
  /** What is done to each batch: `Normalize`... Bytes have become float32 in 0 to 1 by then. */
  batchTfms?: readonly BatchTransform[]
  /** Pictures in a training batch; default 64. */
  bs?: number
  /** Pictures in a validation batch; default `bs`. */
  valBs?: number
  /** A new order for each epoch of training, the last, smaller batch left out. Default true. */
  shuffle?: boolean
  /**
   * Draws training pictures at random, likelier the larger their weights: a function gives each one's; `balanced`: each class equally
   * often. Default: every picture once an epoch.
   */
  weights?: 'balanced' | WeightFunction
  /** With `weights`: how many pictures an epoch draws. Default: as many as there are. */
  numSamples?: number
  /** With `weights`: a picture may be drawn several times in an epoch. Default true. */
  replacement?: boolean
  /** Where batches end up. Default `cpu`. */
  device?: string
  /** How many pictures are decoded at the same time, on threads of their own. Default: as many as there are processors, at most 4. */
  numWorkers?: number
  /** How many batches are prepared ahead of the one in use; default 2. */
  prefetch?: number
  /** Pictures with more pixels are refused. Default 100 million; 50 million in formats other than BMP, GIF, JPEG, PNG and PNM. */
  maxPixels?: number
  /**
   * `exif` turns pictures as the orientation tags of their files say, before `itemTfms`. Default `ignore`: they are taken as they are
   * stored, as fastai does.
   */
  orientation?: Orientation
  /**
   * A file that can't be read ends the pass with an `error` (default) that names it; or is left out (`skip`), and the next file of the
   * pass takes its place, so that batches keep their size. Where that makes the files run out, the last batch is smaller or missing in
   * validation, and filled with files from the start of the pass in training with `shuffle`. At the end of the pass one warning tells
   * which files were left out; `badFiles` lists them all.
   */
  onBadFile?: 'error' | 'skip'
}

/** The same for a folder with a subfolder for each class. */
export interface ImageFolderOptions extends ImageDataLoadersOptions {
  /** The subfolder of training pictures. Default `train`; not together with `validPct` or `splitter`. */
  train?: string
  /** The subfolder of validation pictures. Default `valid`. */
  valid?: string
}
